"""fleetctl drift: a plan that answers one question, whether anything differs."""

import asyncio

import click

from reconciler.cli.commands.plan import exit_code, show
from reconciler.cli.documents import Documented
from reconciler.cli.options import Options


@click.command("drift", cls=Documented)
def command(options: Options) -> int:
    """Compare the world with the manifest. Exit code 2 where they differ."""
    return exit_code(asyncio.run(show(options, "drift")), detailed=True)
