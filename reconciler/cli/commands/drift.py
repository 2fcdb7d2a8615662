"""fleetctl drift: a plan that answers one question, whether anything differs."""

import asyncio

import click

from reconciler.cli.commands.plan import exit_code, show
from reconciler.cli.leaving import scan_option
from reconciler.cli.options import Command, Options


@click.command("drift", cls=Command)
@scan_option
def command(options: Options, scan: bool) -> int:
    """Compare the world with the manifest. Exit code 2 where they differ."""
    return exit_code(asyncio.run(show(options, scan=scan)), detailed=True)
