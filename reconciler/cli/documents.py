"""Answers as documents: printed in the form asked for, and as Markdown in the summary of a GitHub Actions job."""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from reconciler.cli.event_log import event_log
from reconciler.cli.options import FORMS, Command, Options
from reconciler.cli.render import html, junit, markdown
from reconciler.cli.render.as_json import dump
from reconciler.cli.render.as_lines import of_error, of_plan, of_result
from reconciler.cli.render.blocks import Data, Heading
from reconciler.cli.render.errors import error_data
from reconciler.core.errors import FleetError
from reconciler.core.lines import ResultLine
from reconciler.core.text import visible
from reconciler.manifest.problems import Problems
from reconciler.manifest.source import read, read_text

RENDERERS: dict[str, Callable[[Data, Heading], str]] = {
    "json": lambda data, heading: dump(dict(data)),
    "markdown": markdown.render,
    "html": html.render,
    "junit": junit.render,
}
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
        with event_log(options.events, command) if options.events else nullcontext(options.record) as record:
            ctx.params["options"] = ctx.obj = replace(options, record=record)
            try:
                code = super().call(ctx)
            except FleetError as error:
                _failed(ctx.obj, command, error)
                raise
            record(ResultLine(message=f"exit code {code}", exit_code=code))
            return code


def record_plan(options: Options, command: str, data: Data) -> None:
    """Write a plan to the events, and nowhere else."""
    for line in of_plan(data, command):
        options.record(line)


def answered(options: Options, command: str, data: Data) -> None:
    """Give the answer of `command` in the form asked for, which for text the command has done itself."""
    if "result" in data:
        options.record(of_result(data["result"]))
    _publish(options, Heading(command, data["fleet"], _details(options, os.environ)), data)


def _failed(options: Options, command: str, error: FleetError) -> None:
    """An error is an answer too: a comment or a report that showed nothing, or the last plan, would mislead."""
    for line in of_error(error):
        options.record(line)
    options.record(ResultLine(level="error", message=f"exit code {error.exit_code}", exit_code=error.exit_code))
    heading = Heading(command, _fleet_name(options.file), _details(options, os.environ))
    # JSON errors, and those for people, are told for every command in one place.
    told = replace(options, output="text") if options.json else options
    _publish(told, heading, error_data(error))


def _publish(options: Options, heading: Heading, data: Data) -> None:
    if not options.text:
        click.echo(RENDERERS[options.output](data, heading))
    if path := os.environ.get(SUMMARY):
        _summarise(Path(path), heading, data)


def _summarise(path: Path, heading: Heading, data: Data) -> None:
    """Append to the summary of the job, as much as fits."""
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
