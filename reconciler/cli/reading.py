"""Reading the manifest, the same way for every command."""

from collections.abc import Mapping

import click

from reconciler.cli.options import Options
from reconciler.kinds import discover
from reconciler.manifest.parse import Manifest, load
from reconciler.manifest.upgrade import CURRENT


def read_manifest(options: Options, environ: Mapping[str, str] | None) -> Manifest:
    """Raises ManifestError. `environ` None leaves `${VAR}` alone. Tells where its form is an older one."""
    from reconciler.adapters.checksum import checksum

    manifest = load(options.file, discover(), environ, checksum=checksum, instead=options.instead)
    if manifest.form and not options.quiet:
        command = f"fleetctl fmt {options.file}"
        click.echo(f"Note: {options.file} is written in {manifest.form}; `{command}` makes it {CURRENT}", err=True)
    return manifest
