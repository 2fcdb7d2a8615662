"""fleetctl sandbox: start, stop and ask after a whole local peaq."""

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click

from reconciler.cli.options import Command, Options
from reconciler.core.errors import ConfigError, FleetError
from reconciler.core.exits import Exit
from reconciler.sandbox.config import DEFAULT_PORT, V1_CHAIN_ID
from reconciler.sandbox.errors import SandboxError
from reconciler.sandbox.info import PINNED, SandboxInfo
from reconciler.sandbox.lifecycle import down, status, up

T = TypeVar("T")
directory_option = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".fleetctl/sandbox"),
    show_default=True,
    help="Where the sandbox keeps its files",
)


@click.group("sandbox")
def command() -> None:
    """A whole local peaq: chain, contracts, Machine Markets, MCR and Gas Station, on loopback."""


@command.command("up", cls=Command)
@directory_option
@click.option(
    "--port",
    default=DEFAULT_PORT,
    envvar="FLEETCTL_SANDBOX_PORT",
    show_default=True,
    help="Loopback port of everything",
)
@click.option("--block-time", default=0.0, help="Seconds between blocks; 0: one with each transaction")
@click.option(
    "--chain-id",
    default=V1_CHAIN_ID,
    type=click.IntRange(min=1),
    show_default=True,
    help="9990 or 3338: for peaq's own clients, which accept no other",
)
def up_command(options: Options, directory: Path, port: int, block_time: float, chain_id: int) -> int:
    """Start it, or say that it runs already."""
    if chain_id in PINNED:
        click.echo(
            f"Throwaway keys only: what is signed for this sandbox is valid on the real chain {chain_id} too.", err=True
        )
    info = start(directory, port=port, block_time=block_time, chain_id=chain_id, quiet=options.quiet)
    if options.json:
        click.echo(json.dumps(_public(info), indent=2))
        return 0
    click.echo(f"A local peaq is up, chain {info.chain_id}, at {info.url}")
    click.echo(f"  RPC              {info.rpc_url}")
    click.echo(f"  Machine Markets  {info.markets_url}")
    click.echo(f"  operator         {info.operator_address} (holds play money)")
    if not options.quiet:
        click.echo(
            'Next: eval "$(fleetctl sandbox env)" and fleetctl plan. To stop it: fleetctl sandbox down.', err=True
        )
    return 0


@command.command("down", cls=Command)
@directory_option
def down_command(options: Options, directory: Path) -> int:
    """Stop it and forget its chain."""
    click.echo("The sandbox is down." if _tried(lambda: down(directory)) else "No sandbox was running.")
    return 0


@command.command("status", cls=Command)
@directory_option
def status_command(options: Options, directory: Path) -> int:
    """Say whether it runs. Exit code 1 where it does not."""
    info = status(directory)
    if options.json:
        click.echo(json.dumps({"running": info is not None, **(_public(info) if info else {})}, indent=2))
    else:
        click.echo(f"up at {info.url}, chain {info.chain_id}" if info else "down")
    return Exit.DONE if info else Exit.ERROR


@command.command("env", cls=Command)
@directory_option
def env_command(options: Options, directory: Path) -> int:
    """Print the environment that clients of this sandbox need, keys included, for a shell to evaluate."""
    info = status(directory)
    if info is None:
        raise ConfigError("no sandbox is running here", hint="start one with `fleetctl sandbox up`")
    if options.json:
        click.echo(json.dumps(info.env(), indent=2))
    else:
        click.echo("\n".join(f"export {name}={shlex.quote(value)}" for name, value in info.env().items()))
    return 0


def start(directory: Path, *, port: int, block_time: float, quiet: bool, chain_id: int = V1_CHAIN_ID) -> SandboxInfo:
    """A running sandbox; what takes long is said on stderr."""

    def say(text: str) -> None:
        if not quiet:
            click.echo(text, err=True)

    return _tried(lambda: up(directory, port=port, block_time=block_time, chain_id=chain_id, say=say))


def _tried(action: Callable[[], T]) -> T:
    try:
        return action()
    except SandboxError as error:
        raise FleetError(str(error), hint=error.hint) from None


def _public(info: SandboxInfo) -> dict[str, object]:
    return {
        "formatVersion": "1.0",
        "rpcUrl": info.rpc_url,
        "marketsUrl": info.markets_url,
        "mcrUrl": info.mcr_url,
        "gasStationUrl": info.gas_station_url,
        "chainId": str(info.chain_id),
        "operator": info.operator_address,
        "contracts": asdict(info.contracts),
        "contractsV2": asdict(info.v2),
    }
