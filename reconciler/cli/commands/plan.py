"""fleetctl plan: what apply would do, and what speaks against it. Never writes anywhere."""

import asyncio
from typing import Any

import click

from reconciler.adapters.journal_store import JournalStore
from reconciler.cli.leaving import removal_options
from reconciler.cli.options import Command, Options
from reconciler.cli.planning import LEGACY, Planned, Wishes, make_plan
from reconciler.cli.render.as_json import dump, plan_data
from reconciler.cli.render.plan_text import render_plan, render_refusals
from reconciler.cli.render.progress import Meter, answer
from reconciler.cli.wiring import Session, connected, open_project
from reconciler.core.change import Action

CHANGES = 2


@click.command("plan", cls=Command)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there is anything to do or blocked")
@click.option("--allow-token-loss", is_flag=True, help="Plan policy changes even where an agent's key is not at hand")
@removal_options
def command(options: Options, detailed_exitcode: bool, **given: Any) -> int:
    """Show what apply would do, what it costs, and what is in the way."""
    planned = asyncio.run(show(options, **given))
    return exit_code(planned, detailed=detailed_exitcode)


async def show(options: Options, **given: Any) -> Planned:
    """Plan and print; `given` are wishes."""
    project = open_project(options)
    journal = JournalStore.read_only(options.state_directory / "journal.sqlite")
    with Meter(options, "reading", len(project.resources)) as meter:
        async with connected(project, options, journal, meter.event) as session:
            wishes = Wishes(project.keyring.declared, **given)
            planned = await make_plan(session, wishes, meter.tick)
    print_plan(options, session, planned)
    return planned


def print_plan(options: Options, session: Session, planned: Planned) -> None:
    if options.json:
        click.echo(dump(plan_data(session, planned)))
        return
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
