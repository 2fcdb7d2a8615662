"""fleetctl gas-station: enrol an operator, so that the Gas Station pays for its machines."""

import asyncio
import json
import os
import sys
from pathlib import Path

import click
import segno

from reconciler.cli.options import Command, Options
from reconciler.cli.wiring import Project, gas_station, open_project
from reconciler.core.effects import Signer
from reconciler.core.errors import ConfigError

operator_option = click.option("--operator", default="default", show_default=True, help="Which of the operators")


@click.group("gas-station")
def command() -> None:
    """Enrol an operator at the Gas Station: setup, put the secret away, confirm."""


@command.command("setup", cls=Command)
@operator_option
@click.option("--out", type=click.Path(path_type=Path), help="Write the secret to this new file, mode 0600")
def setup_command(options: Options, operator: str, out: Path | None) -> int:
    """Ask for a TOTP secret, and show its QR code on the terminal or write it to a file.

    The secret is shown once. Asked again before it is confirmed, the Gas Station makes another.
    """
    if out is None and (options.json or not sys.stdout.isatty()):
        raise ConfigError("there is no terminal to show the QR code on", hint="name a file with --out")
    project = open_project(options)
    owner = _owner(project, operator)
    stream = _create(out) if out is not None else None
    try:
        uri = asyncio.run(_setup(project, owner))
    except BaseException:
        if out is not None and stream is not None:
            os.close(stream)
            out.unlink()
        raise
    if out is None or stream is None:
        _show(uri)
    else:
        with os.fdopen(stream, "w") as file:
            file.write(uri + "\n")
        _say(options, {"operator": operator, "owner": owner, "file": str(out)}, f"wrote the secret of {owner} to {out}")
    click.echo("Next: put it where operator.totp says, then `fleetctl gas-station confirm`.", err=True)
    return 0


@command.command("confirm", cls=Command)
@operator_option
@click.argument("code", required=False)
def confirm_command(options: Options, operator: str, code: str | None) -> int:
    """Finish the enrolment with the CODE an authenticator shows, or with one made from operator.totp."""
    project = open_project(options)
    owner = _owner(project, operator)
    asyncio.run(_confirm(project, operator, owner, code))
    _say(options, {"operator": operator, "owner": owner, "active": True}, f"{owner} is enrolled at the Gas Station.")
    return 0


async def _setup(project: Project, owner: str) -> str:
    async with gas_station(project) as station:
        return await station.setup(owner)


async def _confirm(project: Project, operator: str, owner: str, code: str | None) -> None:
    async with gas_station(project) as station:
        if code is None:
            code = await station.fresh_code(Signer("totp", operator), owner)
        else:
            await station.spend(owner)
        await station.confirm(owner, code)


def _owner(project: Project, operator: str) -> str:
    if operator not in project.fleet.operators:
        raise ConfigError(f"the manifest names no operator {operator}", hint="check the spelling")
    return project.fleet.operators[operator].address or ""


def _create(path: Path) -> int:
    """The new file, open: a secret must not be asked for that could not be kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists, and may hold a secret in use", hint="name another file") from None
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="name another file") from None


def _show(uri: str) -> None:
    """On the user's terminal, which alone gets to see it."""
    segno.make(uri).terminal(out=sys.stdout, compact=True)
    click.echo(uri)


def _say(options: Options, data: dict[str, object], text: str) -> None:
    click.echo(json.dumps({"formatVersion": "1.0", **data}, indent=2) if options.json else text)
