"""fleetctl validate: every problem of the manifest at once, without network, keys or environment."""

import json

import click

from reconciler.cli.legacy import legacy
from reconciler.cli.options import Command, Options
from reconciler.cli.reading import read_manifest


@click.command("validate", cls=Command)
def command(options: Options) -> int:
    """Check the manifest, offline. Needs no environment variable and no key."""
    fleet = read_manifest(options, None).fleet
    counts = {"machine": len(fleet.machines), "agent": len(fleet.agents), "operator": len(fleet.operators)}
    if options.json:
        numbers = {f"{name}s": n for name, n in counts.items()}
        click.echo(json.dumps({"formatVersion": "1.0", "valid": True, **numbers}, indent=2))
    else:
        what = ", ".join(f"{n} {name}{'s' if n != 1 else ''}" for name, n in counts.items())
        click.echo(f"{options.file} is valid: {what}.")
    if said := legacy(fleet):
        click.echo(f"Note: {said}", err=True)
    return 0
