"""fleetctl migrate: from protocol v1 to v2, by a plan that is looked at first and never made by anything else."""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from typing import Any

import click

from reconciler.cli.commands.plan import make, print_plan
from reconciler.cli.migrating import Migration, work_out
from reconciler.cli.options import Command, Options
from reconciler.cli.planning import Planned
from reconciler.cli.reading import read_manifest
from reconciler.cli.render.as_json import plan_data
from reconciler.cli.selecting import Terms, selects
from reconciler.cli.wiring import Session, open_project
from reconciler.core.errors import ConfigError, ManifestError
from reconciler.core.value import replace
from reconciler.manifest.edit import replace_file
from reconciler.manifest.succeed import Asked

CUSTODIES = ["operator", "machine", "handover"]
Preview = tuple[Session, Planned]


@click.group("migrate")
def command() -> None:
    """From protocol v1 to v2. Nothing migrates unasked."""


@command.command("plan", cls=Command)
@click.option("--machine-type", help="machineType of the new machines [that of the market block]")
@click.option("--name", default="{name}-v2", show_default=True, help="What the new machines are called")
@click.option(
    "--custody", type=click.Choice(CUSTODIES), help="Who activates and owns them [as defaults say, or operator]"
)
@click.option("--owner", help="Who gets the new machines, with --custody handover: an address")
@click.option("--deactivate", is_flag=True, help="Retire each old machine once its successor is converged")
@click.option("--write", is_flag=True, help="Write it into the manifest; without this nothing is changed")
@selects
def plan_command(options: Options, *, deactivate: bool, write: bool, only: Terms, skip: Terms, **given: Any) -> int:
    """Show what gives each v1 machine a v2 successor: the change of the manifest, and its plan with its costs.

    The successor says on the chain whose place it takes, and gets a record and pairings of its own. `plan` and `apply`
    do the rest, as with any manifest.
    """
    asked = _asked(**given)
    migration = asyncio.run(work_out(options, asked, only, skip, deactivate=deactivate))
    preview = _preview(options, migration) if migration.texts else None
    if write:
        for path, text in migration.texts.items():
            replace_file(path, text)
    _tell(options, migration, preview, written=write)
    return 0


def _asked(name: str, machine_type: str | None, custody: str | None, owner: str | None) -> Asked:
    if (owner is not None) != (custody == "handover"):
        raise click.UsageError("--owner and --custody handover belong together")
    if owner is not None and not re.fullmatch("0x[0-9a-fA-F]{40}", owner):
        raise click.UsageError(f"{owner!r} is not an address: 0x and 40 hex digits are expected")
    return Asked(name, machine_type, custody, owner)


def _preview(options: Options, migration: Migration) -> Preview | None:
    """The plan of the manifest as it is to be; None where keys must be made first, which give addresses."""
    changed = replace(options, instead=migration.instead)
    try:
        if migration.wants_keys:
            read_manifest(changed, os.environ)
            return None
        return asyncio.run(make(changed, open_project(changed), (), ()))
    except ManifestError as error:
        problem = error.problems[0]
        raise ConfigError(f"no such manifest can be written: {problem.message}", hint=problem.hint) from None


def _tell(options: Options, migration: Migration, preview: Preview | None, *, written: bool) -> None:
    if options.json:
        click.echo(json.dumps(_data(migration, preview, written=written), indent=2))
        return
    click.echo(migration.diff, nl=False)
    if preview is not None:
        click.echo()
        print_plan(options, *preview)
    if not options.quiet:
        for line in _summary(migration, preview, written=written):
            click.echo(line, err=True)


def _data(migration: Migration, preview: Preview | None, *, written: bool) -> Mapping[str, Any]:
    return {
        "formatVersion": "1.0",
        "successors": migration.successors,
        "retired": migration.retired,
        "notes": migration.notes,
        "diff": migration.diff,
        "written": written and bool(migration.texts),
        "plan": plan_data(*preview) if preview else None,
    }


def _summary(migration: Migration, preview: Preview | None, *, written: bool) -> list[str]:
    lines = _notes(migration)
    if not migration.texts:
        return [*lines, "Nothing to migrate."]
    if migration.wants_keys:
        lines.append("Note: the new machines own themselves: make their keys with `fleetctl keys generate`, then plan")
    files = ", ".join(map(str, migration.texts))
    return [*lines, f"Wrote {files}; `fleetctl apply` does it." if written else "Nothing was changed; --write does it."]


def _notes(migration: Migration) -> list[str]:
    """Each once, with the first machine of which it is true."""
    by_text: dict[str, list[str]] = {}
    for name, text in migration.notes.items():
        by_text.setdefault(text, []).append(name)
    return [f"Note: {names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)}: {t}" for t, names in by_text.items()]
