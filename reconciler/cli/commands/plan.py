"""fleetctl plan: what apply would do, and what speaks against it. Never writes anywhere."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from reconciler.adapters.journal_store import JournalStore
from reconciler.cli.options import Command, Options
from reconciler.cli.planning import LEGACY, Planned, Wishes, make_plan
from reconciler.cli.presigned import FILE
from reconciler.cli.render.as_json import dump, plan_data
from reconciler.cli.render.plan_text import render_plan, render_refusals
from reconciler.cli.render.progress import Meter, answer
from reconciler.cli.saving import Keeping, chosen_signer
from reconciler.cli.wiring import Session, connected, open_project
from reconciler.core.change import Action

CHANGES = 2
Then = Callable[[Session, Planned, Options], Awaitable[None]]
"""What else is done with a plan while the session is open."""


@click.command("plan", cls=Command)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there is anything to do or blocked")
@click.option("--allow-token-loss", is_flag=True, help="Plan policy changes even where an agent's key is not at hand")
@click.option("--out", type=FILE, help="Save the plan there, for `apply FILE`")
@click.option("--sign", is_flag=True, help="Sign what is saved with the operator's key")
def command(options: Options, detailed_exitcode: bool, allow_token_loss: bool, out: Path | None, sign: bool) -> int:
    """Show what apply would do, what it costs, and what is in the way."""
    then = _keeping(options, out, sign)
    planned = asyncio.run(show(options, allow_token_loss=allow_token_loss, then=then))
    if out is not None and not options.quiet:
        click.echo(f"wrote {out}; `fleetctl apply {out}` does just this", err=True)
    return exit_code(planned, detailed=detailed_exitcode)


def _keeping(options: Options, out: Path | None, sign: bool) -> Then:
    if out is not None:
        return Keeping(out, chosen_signer(open_project(options)) if sign else "")
    if sign:
        raise click.UsageError("--sign is about what --out saves")
    return _nothing_else


async def _nothing_else(session: Session, planned: Planned, options: Options) -> None: ...


async def show(options: Options, *, allow_token_loss: bool = False, then: Then = _nothing_else) -> Planned:
    """Plan and print."""
    project = open_project(options)
    journal = JournalStore.read_only(options.state_directory / "journal.sqlite")
    with Meter(options, "reading", len(project.resources)) as meter:
        async with connected(project, options, journal, meter.event) as session:
            wishes = Wishes(project.keyring.declared, allow_token_loss)
            planned = await make_plan(session, wishes, meter.tick)
            await then(session, planned, options)
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
