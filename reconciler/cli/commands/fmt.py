"""fleetctl fmt: manifests in their usual form, comments and all."""

import difflib
from pathlib import Path

import click

from reconciler.cli.options import Command, Options
from reconciler.core.exits import Exit
from reconciler.manifest.edit import replace_file, sources
from reconciler.manifest.layout import formatted
from reconciler.manifest.source import Source
from reconciler.manifest.upgrade import CURRENT, older_form, upgraded_text


@click.command("fmt", cls=Command)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit with 2 where a file is in another form")
@click.option("--diff", is_flag=True, help="Show what changes")
def command(options: Options, files: tuple[Path, ...], check: bool, diff: bool) -> int:
    """Put FILES, or the manifest, and all that they include into their usual form.

    Keys come in their usual order, each level is indented by two spaces. Comments, anchors and quotes stay, and so does
    the meaning. A manifest of an older form is upgraded, with all that it includes.
    """
    found: dict[Path, tuple[Source, str]] = {}
    for file in files or (options.file,):
        root, *included = sources(file)
        form = older_form(root)
        for source in (root, *included):
            # What a manifest includes is of its form, though it may be named by itself as well.
            _, known = found.get(source.path.resolve(), (source, ""))
            found[source.path.resolve()] = source, form or known
    changes = [(source, new) for source, form in found.values() if (new := _new(source, form)) is not None]
    for form in dict.fromkeys(form for _, form in found.values() if form):
        done = f"`fleetctl fmt` makes it {CURRENT}" if check else f"now it is {CURRENT}"
        click.echo(f"{form} is an older form; {done}", err=True)
    for source, new in changes:
        click.echo("".join(_diff(source, new)) if diff else source.file, nl=not diff)
        if not check:
            replace_file(source.path, new)
    return Exit.CHANGES if check and changes else Exit.DONE


def _new(source: Source, form: str) -> str | None:
    """The file as it should be, or None where it is. Its byte order mark stays, if it has one."""
    text = source.path.read_bytes().decode("utf-8")
    mark = text[: len(text) - len(text.removeprefix("\ufeff"))]
    new = formatted(text.removeprefix("\ufeff"))
    new = mark + (formatted(upgraded_text(source, new, form)) if form else new)
    return None if new == text else new


def _diff(source: Source, new: str) -> list[str]:
    lines = difflib.unified_diff(
        source.text.splitlines(keepends=True), new.splitlines(keepends=True), source.file, source.file
    )
    return [line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines]
