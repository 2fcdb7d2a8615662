"""fleetctl import: the manifest of a fleet that is there already. Reads the world, and writes nothing but the file."""

import asyncio
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from reconciler.cli.adopting import Imported, Wanted, import_fleet
from reconciler.cli.options import Command, Options
from reconciler.core.errors import ConfigError
from reconciler.core.exits import Exit
from reconciler.manifest.edit import replace_file
from reconciler.manifest.fresh import Head

SHOWN = 20
"""Notes and differences that are told one by one."""
DID = re.compile("did:peaq:(0x[0-9a-fA-F]{40}|[1-9][0-9]{0,77})")
_ADDRESS = re.compile("0x[0-9a-fA-F]{40}")


def _address(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        if not _ADDRESS.fullmatch(text):
            raise click.BadParameter(f"{text!r} is not an address: 0x and 40 hex digits are expected")
    return value


def _did(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    found = [DID.fullmatch(text) for text in value]
    if not all(found):
        raise click.BadParameter("a DID is expected: did:peaq:0x and 40 hex digits, or did:peaq: and a number")
    return tuple(match[1] for match in found if match)


@click.command("import", cls=Command)
@click.option("--operator", "operators", multiple=True, callback=_address, help="All machines of this operator")
@click.option("--did", "dids", multiple=True, callback=_did, help="An operator or a machine, by its did:peaq:…")
@click.option("--address", "addresses", multiple=True, callback=_address, help="One machine; may be repeated")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write [the manifest itself]; - for stdout")
@click.option("--attribute", "attributes", multiple=True, help="A DID attribute to look for, instead of in the logs")
@click.option("--protocol", type=click.Choice(["v1", "v2"]), help="Look only for machines that live by it [both]")
@click.option("--network", type=click.Choice(["sandbox", "peaq", "agung"]), help="For a new manifest [sandbox]")
@click.option("--rpc", help="For a new manifest: the node to ask")
@click.option("--markets", help="For a new manifest: Machine Markets [${PEAQOS_ORCHESTRATION_URL}, where it is set]")
@click.option("--mcr", help="For a new manifest: the MCR API [${PEAQOS_MCR_API_URL}, where it is set]")
def command(options: Options, out: Path | None, attributes: tuple[str, ...], protocol: Any, **given: Any) -> int:
    """Write the manifest of a fleet that is there already; into a manifest that is there, only what it does not name.

    Needs no private key. Exit code 2 where a plan of the result would not be empty.
    """
    whose = [given.pop(name) for name in ("operators", "dids", "addresses")]
    if sum(map(bool, whose)) != 1:
        raise click.UsageError("say whose machines to import: one of --operator, --did and --address")
    target = _target(options, out)
    imported = asyncio.run(
        import_fleet(options, Wanted(whose[0], whose[1], whose[2], attributes, protocol), _head(options, given))
    )
    if target is not None and imported.machines:
        replace_file(target, imported.text)
    _tell(options, imported, target)
    return Exit.CHANGES if imported.pending else Exit.DONE


def _target(options: Options, out: Path | None) -> Path | None:
    """The file to write, or None for standard output. ConfigError where that would overwrite another file."""
    if out == Path("-"):
        return None
    target = out or options.file
    if target.exists() and target.resolve() != options.file.resolve():
        raise ConfigError(f"{target} exists, and import overwrites nothing", hint=f"import into it with -f {target}")
    return target


def _head(options: Options, given: Mapping[str, str | None]) -> Head | None:
    """How a new manifest begins, or None where there is one already."""
    if options.file.exists():
        if said := [name for name, value in given.items() if value]:
            hint = "leave it out, or name a new file with -f"
            raise ConfigError(f"--{said[0]} is for a new manifest, and {options.file} says it already", hint=hint)
        return None
    network, rpc = given["network"] or "sandbox", given["rpc"]
    services = {
        "markets": _service(given["markets"], "PEAQOS_ORCHESTRATION_URL", "PEAQOS_API_KEY"),
        "mcr": _service(given["mcr"], "PEAQOS_MCR_API_URL", ""),
    }
    found = {name: service for name, service in services.items() if service}
    return Head({"preset": network, "rpcUrl": rpc} if rpc else network, found, {})


def _service(url: str | None, variable: str, key: str) -> dict[str, Any]:
    if url is None and not os.environ.get(variable):
        return {}
    return {"url": url or f"${{{variable}}}", **({"apiKey": {"env": key}} if os.environ.get(key) else {})}


def _tell(options: Options, imported: Imported, target: Path | None) -> None:
    if options.json:
        data = {"file": str(target or "-"), **{n: getattr(imported, n) for n in ("machines", "notes", "pending")}}
        text = {} if target else {"manifest": imported.text}
        click.echo(json.dumps({"formatVersion": "1.0", **data, **text}, indent=2))
        return
    if target is None:
        click.echo(imported.text, nl=False)
    if not options.quiet:
        for line in _summary(imported, target):
            click.echo(line, err=True)


def _summary(imported: Imported, target: Path | None) -> list[str]:
    count = len(imported.machines)
    where = f" into {target}" if target else ""
    first = f"Imported {count} machine{'s' if count != 1 else ''}{where}." if count else "Nothing to import."
    notes = [f"Note: {note}" for note in _some(imported.notes)]
    if not imported.pending:
        return [*notes, f"{first} A plan of it is empty."]
    return [*notes, f"{first} A plan of it is not empty:", *(f"  {text}" for text in _some(imported.pending))]


def _some(lines: Sequence[str]) -> list[str]:
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
