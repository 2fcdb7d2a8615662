"""fleetctl status: how every machine is."""

import asyncio
import json
import time
from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from reconciler.adapters.journal_store import JournalStore
from reconciler.cli.health import Health, Survey, survey_health
from reconciler.cli.options import Command, Options
from reconciler.cli.render.progress import Meter, answer
from reconciler.cli.selecting import Terms, selected, selects
from reconciler.cli.wiring import connected, open_project
from reconciler.core.address import Address
from reconciler.core.money import format_amount
from reconciler.core.plain import plain

STYLE = {
    "Synced": "green",
    "OutOfSync": "yellow",
    "Parked": "cyan",
    "Suspended": "cyan",
    "Retired": "dim",
    "Blocked": "red",
    "Unknown": "red",
}
COLUMNS = ("machine", "sync", "id", "MCR", "score", "bond", "balance", "agents", "token ends")
FOLLOWS = "in place of"
"""A column that is there where it says anything."""


@click.command("status", cls=Command)
@click.option("--watch", type=click.FloatRange(min=1), help="Show it again every so many seconds, until interrupted")
@selects
def command(options: Options, watch: float | None, only: Terms, skip: Terms) -> int:
    """Show sync, rating, bond, balance, pairings and tokens of every machine. Needs no private key."""
    while True:
        found = asyncio.run(_look(options, only, skip))
        if options.json:
            machines, beside = [_data(machine) for machine in found.machines], list(map(str, found.unmanaged))
            click.echo(json.dumps({"formatVersion": "1.0", "machines": machines, "unmanaged": beside}, indent=2))
        else:
            answer(options).print(_table(found.machines))
            if found.unmanaged:
                answer(options).print(Text(_beside(found.unmanaged), style="yellow"))
        if watch is None:
            return 0
        time.sleep(watch)


async def _look(options: Options, only: Terms, skip: Terms) -> Survey:
    project = open_project(options)
    selection = selected(project, only, skip)
    journal = JournalStore.read_only(options.state_directory / "journal.sqlite")
    with Meter(options, "reading", len(project.resources)) as meter:
        async with connected(project, options, journal, meter.event) as session:
            return await survey_health(session, selection)


def _data(machine: Health) -> dict[str, object]:
    wei = {name: None if (value := getattr(machine, name)) is None else str(value) for name in ("bond", "balance")}
    return {_camel(name): value for name, value in {**plain(machine), **wei}.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def _beside(unmanaged: Sequence[Address]) -> str:
    count, machines = len(unmanaged), len({address.name.partition("/")[0] for address in unmanaged})
    resources = f"{count} resource{'s' if count != 1 else ''} of {machines} machine{'s' if machines != 1 else ''}"
    return f"{resources} {'are' if count != 1 else 'is'} not in the manifest; `fleetctl plan` shows them"


def _table(machines: list[Health]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    follows = any(machine.successor_of for machine in machines)
    for column in (*COLUMNS, *([FOLLOWS] if follows else [])):
        table.add_column(column)
    for machine in machines:
        table.add_row(
            machine.name,
            Text(machine.sync, style=STYLE[machine.sync]),
            machine.id or "-",
            Text(f"{machine.rating or '-'}{' (negative)' if machine.negative else ''}"),
            "-" if machine.score is None else str(machine.score),
            _peaq(machine.bond),
            _peaq(machine.balance),
            Text(", ".join(a if s == "active" else f"{a} {s}" for a, s in machine.pairings.items()) or "-"),
            ", ".join(_left(seconds) for seconds in machine.token_seconds.values()) or "-",
            *([machine.successor_of or "-"] if follows else []),
        )
    return table


def _peaq(wei: int | None) -> str:
    return "-" if wei is None else format_amount(wei, 3).removesuffix(" PEAQ")


def _left(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return "ended" if seconds <= 0 else f"{seconds / 60:.0f} min"
