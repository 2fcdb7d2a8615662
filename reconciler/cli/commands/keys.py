"""fleetctl keys: the only command that makes keys."""

import click

from reconciler.adapters.key_files import generate
from reconciler.adapters.secrets import Secrets
from reconciler.cli.options import Command, Options
from reconciler.cli.reading import read_manifest
from reconciler.core.errors import ConfigError
from reconciler.core.fleet import Agent, Fleet, KeyRef, Machine
from reconciler.manifest.edit import Named, write_addresses


@click.group("keys")
def command() -> None:
    """Make keys for machines and agents."""


@command.command("generate", cls=Command)
@click.argument("names", nargs=-1)
def generate_command(options: Options, names: tuple[str, ...]) -> int:
    """Make a key for every machine and agent with a `key:` in a file or keystore and no address, or for NAMES only.

    The key is written where the manifest says, mode 0600, and its public address into the manifest (or into
    fleet.lock.yaml for machines from a table). Nobody who has an address, or whose file exists, gets another key.
    """
    manifest = read_manifest(options, None)
    wanted = _keyless(manifest.fleet, names)
    secrets = Secrets(options.file.parent)
    made = {named: generate(secrets, key, f"{named[0][:-1]} {named[1]}") for named, key in wanted.items()}
    changed = write_addresses(options.file, {named: address for named, (address, _) in made.items()}) if made else ()
    for (_, name), (address, path) in made.items():
        click.echo(f"{name}  {address}  {path}")
    for path in changed:
        click.echo(f"wrote {path}", err=True)
    if not made:
        click.echo("Nothing to make: everybody named has an address.", err=True)
    return 0


def _keyless(fleet: Fleet, names: tuple[str, ...]) -> dict[Named, KeyRef]:
    holders: dict[Named, Agent | Machine] = {
        **{("agents", name): agent for name, agent in fleet.agents.items()},
        **{("machines", machine.name): machine for machine in fleet.machines},
    }
    if unknown := set(names) - {name for _, name in holders}:
        raise ConfigError(f"the manifest names no {', '.join(sorted(unknown))}", hint="check the spelling")
    wanted: dict[Named, KeyRef] = {}
    for named, holder in holders.items():
        if holder.address is None and holder.key is not None and (not names or named[1] in names):
            wanted[named] = holder.key
    return wanted
