"""fleetctl plan: what apply would do, and what speaks against it. Never writes anywhere."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from reconciler.adapters.journal_store import JournalStore
from reconciler.cli.documents import Documented, answered, documented
from reconciler.cli.handed import OutFile
from reconciler.cli.leaving import removal_options
from reconciler.cli.legacy import legacy
from reconciler.cli.options import Options
from reconciler.cli.planning import Planned, Wishes, make_plan
from reconciler.cli.provenance import sources
from reconciler.cli.render.as_json import plan_data
from reconciler.cli.render.plan_text import render_plan, render_refusals
from reconciler.cli.render.progress import Meter, answer
from reconciler.cli.render.remarks import Remarks
from reconciler.cli.saving import Keeping, chosen_signer
from reconciler.cli.selecting import Choice, Terms, selected, selects
from reconciler.cli.unkeyed import without_absent_keys
from reconciler.cli.wiring import Project, Session, connected, open_project
from reconciler.core.change import Action
from reconciler.core.exits import Exit
from reconciler.core.plan import spelled_out
from reconciler.core.value import replace
from reconciler.engine.events import Event

Then = Callable[[Session, Planned, Options], Awaitable[None]]
"""What else is done with a plan while the session is open."""


@click.command("plan", cls=Documented)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there is anything to do or blocked")
@click.option("--allow-token-loss", is_flag=True, help="Plan policy changes even where an agent's key is not at hand")
@click.option("--ignore-windows", is_flag=True, help="As if every maintenance window were open")
@click.option("--explain", is_flag=True, help="Say of every field where its value comes from")
@click.option("--out", type=OutFile("Plan"), help="Save the plan there, for `apply FILE`")
@click.option("--sign", is_flag=True, help="Sign what is saved with the operator's key")
@removal_options
@selects
def command(
    options: Options,
    *,
    detailed_exitcode: bool,
    explain: bool,
    out: Path | None,
    sign: bool,
    ignore_windows: bool,
    **given: Any,
) -> int:
    """Show what apply would do, what it costs, and what is in the way."""
    if sign and out is None:
        raise click.UsageError("--sign is about what --out saves")
    project = open_project(options)
    then = Keeping(out, Choice.of(given), chosen_signer(project) if sign else "") if out else _nothing_else
    # The windows that count for a saved plan are those of the moment at which it is applied.
    opened = ignore_windows or out is not None
    session, planned = asyncio.run(make(options, project, then=then, ignore_windows=opened, **given))
    if explain:
        plan, project = spelled_out(planned.plan, planned.scene), session.project
        planned = replace(planned, plan=plan, sources=sources(project.manifest, project.resources, plan))
    show(options, "plan", session, planned, print_plan)
    if out is not None and not options.quiet:
        click.echo(f"wrote {out}; `fleetctl apply {out}` does just this", err=True)
    return exit_code(planned, detailed=detailed_exitcode)


async def _nothing_else(session: Session, planned: Planned, options: Options) -> None: ...


async def make(
    options: Options, project: Project, only: Terms, skip: Terms, *, then: Then = _nothing_else, **given: Any
) -> tuple[Session, Planned]:
    """A plan, and the session it was made in, closed by now; `given` are wishes."""
    project = without_absent_keys(project)
    selection = selected(project, only, skip)
    journal = JournalStore.read_only(options.state_directory / "journal.sqlite")
    with Meter(options, "reading", len(project.resources)) as meter:
        emit = partial(told, options, meter)
        async with connected(project, options, journal, emit) as session:
            wishes = Wishes(project.keyring.declared, selection=selection, **given)
            planned = await make_plan(session, wishes, meter.tick)
            await then(session, planned, options)
    return session, planned


def show(
    options: Options,
    command: str,
    session: Session,
    planned: Planned,
    in_text: Callable[[Options, Session, Planned], None],
) -> None:
    """Give the answer of `command` in the form asked for; `in_text` prints it for people."""
    if options.text:
        in_text(options, session, planned)
    if documented(options):
        data = plan_data(session, planned)
        options.record.plan(data, command)
        answered(options, command, data)


def told(options: Options, meter: Meter, event: Event) -> None:
    """An event of the engine goes to whoever watches and to the file of events."""
    meter.event(event)
    options.record.event(event)


def print_plan(options: Options, session: Session, planned: Planned) -> None:
    """For people."""
    console = answer(options)
    remarks = Remarks(planned.moved, planned.sources)
    render_plan(planned.plan, console, verbose=options.verbose > 0, remarks=remarks)
    if said := legacy(session.project.fleet):
        console.print(f"Warning: {said}")
    render_refusals(planned.refusals, console)


def exit_code(planned: Planned, *, detailed: bool) -> int:
    if any(change.unreadable for change in planned.plan.changes):
        return Exit.ERROR
    pending = bool(planned.plan.acting) or planned.plan.count(Action.BLOCKED) > 0
    return Exit.CHANGES if detailed and pending else Exit.DONE
