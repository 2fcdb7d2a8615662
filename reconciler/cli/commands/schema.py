"""fleetctl schema: the manifest's JSON Schema, for editors and for schemas/."""

import json
from pathlib import Path

import click

from reconciler.cli.options import Command, Options
from reconciler.kinds import discover
from reconciler.manifest.schema import schema


@click.command("schema", cls=Command)
@click.option("--write", type=click.Path(path_type=Path, file_okay=False), help="Write fleet.schema.json there instead")
def command(options: Options, write: Path | None) -> int:
    """Print the JSON Schema of the manifest."""
    text = json.dumps(schema(discover()), indent=2) + "\n"
    if write is None:
        click.echo(text, nl=False)
    else:
        write.mkdir(parents=True, exist_ok=True)
        (write / "fleet.schema.json").write_text(text)
    return 0
