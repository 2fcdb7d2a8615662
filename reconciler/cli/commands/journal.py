"""fleetctl journal: look at what was recorded, and settle by hand what nothing else can."""

import asyncio
import json
from collections.abc import Awaitable

import click
from rich.table import Table

from reconciler.adapters.journal_store import JournalStore
from reconciler.cli.options import Command, Options
from reconciler.cli.render.progress import answer
from reconciler.core.errors import ConfigError
from reconciler.core.ports import Entry
from reconciler.core.value import asdict

OUTCOMES = ("done", "failed", "void")


@click.group("journal")
def command() -> None:
    """What was recorded before it was sent. Nobody needs this in the normal course of things."""


@command.command("list", cls=Command)
@click.option("--all", "everything", is_flag=True, help="Closed intents too")
@click.option("--limit", default=100, show_default=True, help="At most so many, newest first")
def list_command(options: Options, everything: bool, limit: int) -> int:
    """List open intents."""
    entries = [e for e in _open(options).entries(limit) if everything or e.outcome == "pending"]
    if options.json:
        click.echo(json.dumps({"formatVersion": "1.0", "intents": [asdict(e) for e in entries]}, indent=2))
        return 0
    if not entries:
        click.echo("No open intents." if not everything else "The journal is empty.")
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("number", "outcome", "resource", "step", "sent as"):
        table.add_column(title)
    for entry in entries:
        table.add_row(str(entry.number), entry.outcome, entry.address or "-", entry.step, _sent(entry))
    answer(options).print(table)
    return 0


@command.command("show", cls=Command)
@click.argument("number", type=int)
def show_command(options: Options, number: int) -> int:
    """Show one intent."""
    entry = _find(_open(options), number)
    if options.json:
        click.echo(json.dumps({"formatVersion": "1.0", **asdict(entry)}, indent=2))
    else:
        for name, value in asdict(entry).items():
            click.echo(f"{name:<10}{'-' if value is None else value}")
    return 0


@command.command("resolve", cls=Command)
@click.argument("number", type=int)
@click.option("--outcome", type=click.Choice(OUTCOMES), required=True, help="What became of it")
def resolve_command(options: Options, number: int, outcome: str) -> int:
    """Close one open intent by hand, and with it everything its transaction carried.

    Only for what apply itself reports as undecidable. `void` says that its transaction can never be mined: if it is
    all the same, fleetctl sees that in the world.
    """
    journal = _open(options)
    entry = _find(journal, number)
    if entry.outcome != "pending":
        raise ConfigError(f"intent {number} is closed already: {entry.outcome}", hint="there is nothing to resolve")
    write = journal.settled(entry.hash, outcome) if entry.hash else journal.answered(number, outcome)
    asyncio.run(_done(write))
    click.echo(f"Intent {number} ({entry.step}) is {outcome} now.")
    return 0


async def _done(write: Awaitable[None]) -> None:
    await write


def _open(options: Options) -> JournalStore:
    path = options.state_directory / "journal.sqlite"
    if not path.exists():
        raise ConfigError(f"there is no journal at {path}", hint="name its directory with --state")
    return JournalStore(path)


def _find(journal: JournalStore, number: int) -> Entry:
    entry = next((e for e in journal.entries(1_000_000) if e.number == number), None)
    if entry is None:
        raise ConfigError(f"the journal has no intent {number}", hint="`fleetctl journal list --all` shows them")
    return entry


def _sent(entry: Entry) -> str:
    if entry.hash is None:
        return entry.request or "-"
    where = f", block {entry.block}" if entry.block is not None else ""
    return f"{entry.hash[:12]}… nonce {entry.nonce}{where}"
