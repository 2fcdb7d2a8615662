"""fleetctl drift: a plan that answers one question, whether anything differs, and says who moved."""

import asyncio

import click

from reconciler.cli.commands.plan import exit_code, make, show
from reconciler.cli.documents import Documented
from reconciler.cli.leaving import scan_option
from reconciler.cli.options import Options
from reconciler.cli.planning import Planned
from reconciler.cli.render.drift_text import render_drift
from reconciler.cli.render.progress import answer
from reconciler.cli.render.remarks import Remarks
from reconciler.cli.selecting import Terms, selects
from reconciler.cli.wiring import Session, open_project


@click.command("drift", cls=Documented)
@scan_option
@selects
def command(options: Options, scan: bool, only: Terms, skip: Terms) -> int:
    """Compare the world with the manifest, and both with the last apply. Exit code 2 where what is chosen differs."""
    # A window holds changes back; that something differs it cannot hide.
    session, planned = asyncio.run(make(options, open_project(options), only, skip, ignore_windows=True, scan=scan))
    show(options, "drift", session, planned, print_drift)
    return exit_code(planned, detailed=True)


def print_drift(options: Options, session: Session, planned: Planned) -> None:
    """For people."""
    remarks = Remarks(planned.moved)
    render_drift(planned.plan, answer(options), verbose=options.verbose > 0, remarks=remarks)
