"""fleetctl preflight: is everything there that an apply would need?"""

import asyncio
import json

import click
from rich.table import Table
from rich.text import Text

from reconciler.adapters.journal_store import JournalStore
from reconciler.cli.options import Command, Options
from reconciler.cli.preflight import Finding, Level, all_findings
from reconciler.cli.render.progress import Meter, answer
from reconciler.cli.wiring import connected, open_project
from reconciler.core.exits import Exit
from reconciler.core.value import asdict

STYLE = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "red"}


@click.command("preflight", cls=Command)
def command(options: Options) -> int:
    """Check chain, contracts, services, clocks and balances. Writes nothing. Exit code 1 where something fails."""
    found = asyncio.run(_find(options))
    if options.json:
        click.echo(json.dumps({"formatVersion": "1.0", "findings": [asdict(finding) for finding in found]}, indent=2))
    else:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for finding in found:
            table.add_row(Text(finding.level, style=STYLE[finding.level]), finding.what, finding.detail)
        answer(options).print(table)
    return Exit.ERROR if any(finding.level is Level.FAILED for finding in found) else Exit.DONE


async def _find(options: Options) -> list[Finding]:
    project = open_project(options)
    journal = JournalStore.read_only(options.state_directory / "journal.sqlite")
    with Meter(options, "checking", 1) as meter:
        async with connected(project, options, journal, meter.event) as session:
            return await all_findings(session)
