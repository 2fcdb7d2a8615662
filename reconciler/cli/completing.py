"""Names out of the manifest, for shells that complete words. What cannot be read completes to nothing."""

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from reconciler.cli.options import Options
from reconciler.core.errors import FleetError


def machine_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The machines of the manifest that this command line is about, those of tables included."""
    from reconciler.kinds import discover
    from reconciler.manifest.parse import load

    try:
        machines = load(_file(ctx), discover(), None).fleet.machines
    except FleetError:
        return []
    return [CompletionItem(machine.name) for machine in machines if machine.name.startswith(incomplete)]


def _file(ctx: click.Context) -> Path:
    above: click.Context | None = ctx
    while above is not None:
        if isinstance(file := above.params.get("file"), Path):
            return file
        above = above.parent
    return Options().file
