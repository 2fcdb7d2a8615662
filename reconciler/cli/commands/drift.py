"""fleetctl drift: a plan that answers one question, whether anything differs."""

import asyncio

import click

from reconciler.cli.commands.plan import exit_code, show
from reconciler.cli.options import Command, Options


@click.command("drift", cls=Command)
def command(options: Options) -> int:
    """Compare the world with the manifest. Exit code 2 where they differ."""
    return exit_code(asyncio.run(show(options)), detailed=True)
