"""fleetctl plan: what apply would do, and what speaks against it. Never writes anywhere."""

import asyncio
from functools import partial

import click

from reconciler.adapters.journal_store import JournalStore
from reconciler.cli.documents import Documented, answered, record_plan
from reconciler.cli.options import Options
from reconciler.cli.planning import LEGACY, Planned, Wishes, make_plan
from reconciler.cli.render.as_json import plan_data
from reconciler.cli.render.as_lines import of_event
from reconciler.cli.render.plan_text import render_plan, render_refusals
from reconciler.cli.render.progress import Meter, answer
from reconciler.cli.wiring import Session, connected, open_project
from reconciler.core.change import Action
from reconciler.engine.events import Event

CHANGES = 2


@click.command("plan", cls=Documented)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there is anything to do or blocked")
@click.option("--allow-token-loss", is_flag=True, help="Plan policy changes even where an agent's key is not at hand")
def command(options: Options, detailed_exitcode: bool, allow_token_loss: bool) -> int:
    """Show what apply would do, what it costs, and what is in the way."""
    planned = asyncio.run(show(options, "plan", allow_token_loss=allow_token_loss))
    return exit_code(planned, detailed=detailed_exitcode)


async def show(options: Options, command: str, *, allow_token_loss: bool = False) -> Planned:
    """Plan and print, as `command`."""
    project = open_project(options)
    journal = JournalStore.read_only(options.state_directory / "journal.sqlite")
    with Meter(options, "reading", len(project.resources)) as meter:
        emit = partial(told, options, meter)
        async with connected(project, options, journal, emit) as session:
            wishes = Wishes(project.keyring.declared, allow_token_loss)
            planned = await make_plan(session, wishes, meter.tick)
    data = plan_data(session, planned)
    record_plan(options, command, data)
    if options.text:
        print_plan(options, session, planned)
    answered(options, command, data)
    return planned


def told(options: Options, meter: Meter, event: Event) -> None:
    """An event of the engine goes to whoever watches and to the file of events."""
    meter.event(event)
    options.record(of_event(event))


def print_plan(options: Options, session: Session, planned: Planned) -> None:
    """For people."""
    console = answer(options)
    render_plan(planned.plan, console, verbose=options.verbose > 0)
    if session.project.fleet.network.live:
        console.print(f"Warning: {LEGACY}")
    render_refusals(planned.refusals, console)


def exit_code(planned: Planned, *, detailed: bool) -> int:
    if any(change.unreadable for change in planned.plan.changes):
        return 1
    pending = bool(planned.plan.acting) or planned.plan.count(Action.BLOCKED) > 0
    return CHANGES if detailed and pending else 0
