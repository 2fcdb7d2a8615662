"""fleetctl drift: a plan that answers one question, whether anything differs."""

import asyncio

import click

from reconciler.cli.commands.plan import exit_code, show
from reconciler.cli.options import Command, Options
from reconciler.cli.selecting import Terms, selects


@click.command("drift", cls=Command)
@selects
def command(options: Options, only: Terms, skip: Terms) -> int:
    """Compare the world with the manifest. Exit code 2 where they differ, of what is chosen."""
    # A window holds changes back; that something differs it cannot hide.
    return exit_code(asyncio.run(show(options, only, skip, ignore_windows=True)), detailed=True)
