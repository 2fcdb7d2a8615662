"""fleetctl schema: the JSON Schemas of the manifest and of other files, for editors, for readers and for schemas/."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from reconciler.cli.options import Command, Options
from reconciler.core.errors import ConfigError
from reconciler.core.lines import line_schema
from reconciler.core.saved import SavedPlan
from reconciler.core.signing import SignedTransactions, SigningRequest
from reconciler.kinds import discover
from reconciler.manifest.schema import DIALECT, file_schema, schema

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "fleet": lambda: schema(discover()),
    "plan": lambda: file_schema(SavedPlan),
    "signing-request": lambda: file_schema(SigningRequest),
    "signed-transactions": lambda: file_schema(SignedTransactions),
    "event": lambda: {"$schema": DIALECT, "$id": "urn:fleetctl:schema:event:1.0", **line_schema()},
}

OTHER = 2


@click.command("schema", cls=Command)
@click.argument("name", type=click.Choice(list(SCHEMAS)), default="fleet")
@click.option("--write", type=click.Path(path_type=Path, file_okay=False), help="Write all NAME.schema.json there")
@click.option("--check", type=click.Path(path_type=Path, dir_okay=False), help="Exit with 2 where FILE is another one")
def command(options: Options, name: str, write: Path | None, check: Path | None) -> int:
    """Print a JSON Schema: the manifest's, or that of a saved plan, of --events or of a file to be signed."""
    if check is not None:
        return _check(check, name)
    if write is None:
        click.echo(text_of(name), nl=False)
        return 0
    write.mkdir(parents=True, exist_ok=True)
    for each in SCHEMAS:
        (write / f"{each}.schema.json").write_text(text_of(each))
    return 0


def _check(path: Path, name: str) -> int:
    try:
        same = path.read_text(encoding="utf-8") == text_of(name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {type(error).__name__}", hint="check the path") from None
    if not same:
        click.echo(f"{path} is not the {name} schema of this fleetctl", err=True)
        click.echo(f"  → fleetctl schema {name} > {path}", err=True)
    return 0 if same else OTHER


def text_of(name: str) -> str:
    return json.dumps(SCHEMAS[name](), indent=2) + "\n"
