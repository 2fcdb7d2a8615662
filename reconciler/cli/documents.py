"""Answers as documents: printed in the form asked for, and as Markdown in the summary of a GitHub Actions job."""

import json
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from reconciler.cli.options import FORMS, Command, Options
from reconciler.cli.recording import Recorder
from reconciler.cli.render.blocks import Data, Heading
from reconciler.cli.render.errors import error_data
from reconciler.core.errors import FleetError
from reconciler.core.text import visible
from reconciler.core.value import replace
from reconciler.manifest.problems import Problems
from reconciler.manifest.source import read, read_text

SUMMARY, SUMMARY_LIMIT = "GITHUB_STEP_SUMMARY", 1024 * 1024
"""A file that GitHub shows, and the bytes that a step may leave there."""
RUNS = ("CI_JOB_URL", "BUILD_URL")
"""Where GitLab and Jenkins say which run this is."""


class Documented(Command):
    """A command whose answer is a plan or how it was applied: with every form of answer, and with --events."""

    forms = FORMS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        path = click.Path(path_type=Path, dir_okay=False, allow_dash=False)
        self.params += [
            click.Option(["--events"], type=path, metavar="FILE", help="Write what happens there, as JSON lines"),
            click.Option(["--details-url"], metavar="URL", help="Where a cut Markdown says the whole is [the CI run]"),
        ]

    def call(self, ctx: click.Context) -> Any:
        options, command = ctx.obj, str(self.name)
        if options.events == Path("-"):
            raise click.UsageError("--events takes a file; /dev/stderr is one", ctx)
        with _recording(options, command) as record:
            ctx.params["options"] = ctx.obj = replace(options, record=record)
            try:
                code = super().call(ctx)
            except FleetError as error:
                _failed(ctx.obj, command, error)
                raise
            record.ended(code)
            return code


def _recording(options: Options, command: str) -> AbstractContextManager[Recorder]:
    if options.events is None:
        return nullcontext(options.record)
    # Imported only here: most are not heard.
    from reconciler.cli.lines import recording

    return recording(options.events, command)


def documented(options: Options) -> bool:
    """True where anybody wants the answer in another form than that for people."""
    return not options.text or options.record.heard or bool(os.environ.get(SUMMARY))


def answered(options: Options, command: str, data: Data) -> None:
    """Give the answer of `command` in the form asked for, which for text the command has done itself."""
    if "result" in data:
        options.record.result(data["result"])
    _publish(options, Heading(command, data["fleet"], _details(options, os.environ)), data)


def _failed(options: Options, command: str, error: FleetError) -> None:
    """An error is an answer too: a comment or a report that showed nothing, or the last plan, would mislead."""
    options.record.error(error)
    options.record.ended(error.exit_code, "error")
    heading = Heading(command, _fleet_name(options.file), _details(options, os.environ))
    # JSON errors, and those for people, are told for every command in one place.
    told = replace(options, output="text") if options.json else options
    _publish(told, heading, error_data(error))


def _publish(options: Options, heading: Heading, data: Data) -> None:
    if not options.text:
        click.echo(_rendered(options.output, heading, data))
    if path := os.environ.get(SUMMARY):
        _summarise(Path(path), heading, data)


def _rendered(form: str, heading: Heading, data: Data) -> str:
    # Each is imported only where it is wanted.
    if form == "json":
        return json.dumps(data, indent=2, ensure_ascii=False)
    text: str = import_module(f"reconciler.cli.render.{form}").render(data, heading)
    return text


def _summarise(path: Path, heading: Heading, data: Data) -> None:
    """Append to the summary of the job, as much as fits."""
    from reconciler.cli.render import markdown

    try:
        room = SUMMARY_LIMIT - (path.stat().st_size if path.exists() else 0)
        if room <= markdown.LIMIT:
            raise OSError(0, "it is full")
        with path.open("a", encoding="utf-8") as file:
            file.write(markdown.render(data, heading, room) + "\n")
    except OSError as error:
        click.echo(visible(f"Warning: nothing was added to {SUMMARY}: {error.strerror}"), err=True)


def _details(options: Options, environ: Mapping[str, str]) -> str:
    """Where the whole answer can be looked at: as told, or the page of this CI run."""
    if options.details_url:
        return options.details_url
    github = [environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
    if all(github):
        return "{}/{}/actions/runs/{}".format(*github)
    return next((environ[name] for name in RUNS if environ.get(name)), "")


def _fleet_name(path: Path) -> str:
    """The name that even an invalid manifest gives its fleet, so that its comment replaces the right one."""
    problems = Problems()
    source = read(path, str(path), problems)
    if source is not None and isinstance(name := source.data.get("name"), str):
        return name
    # Not even YAML, perhaps; a name at the start of a line is still the best guess.
    found = re.search(r"^name:\s*[\"']?([\w.-]+)", read_text(path, str(path), problems) or "", re.MULTILINE)
    return found[1] if found else path.name
