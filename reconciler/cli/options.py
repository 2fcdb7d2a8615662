"""Options that every command takes, before or after its name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from reconciler.cli.recording import Recorder
from reconciler.core.value import Value, field, replace

FORMS = ("text", "json", "markdown", "html", "junit")
F = TypeVar("F", bound=Callable[..., Any])


class Options(Value):
    file: Path = Path("fleet.yaml")
    state: Path | None = None
    output: str = "text"
    no_color: bool = False
    verbose: int = 0
    quiet: bool = False
    debug: bool = False
    timeout: float = 600.0
    events: Path | None = None
    details_url: str = ""
    record: Recorder = field(default_factory=Recorder)
    """Not said on a command line: the Recorder that is told what happens."""
    instead: Mapping[Path, str] = field(default_factory=dict)
    """Not said on a command line: texts that are read in place of files, by the whole paths of these."""
    around: Callable[[Any], Any] = field(default=lambda world: world)
    """Not said on a command line: what a caller puts between the engine and its ports."""

    @property
    def state_directory(self) -> Path:
        return self.state or self.file.parent / ".fleetctl"

    @property
    def json(self) -> bool:
        return self.output == "json"

    @property
    def text(self) -> bool:
        """True where the answer is for a person at a terminal."""
        return self.output == "text"


_COMMON = [
    click.option("-f", "--file", type=click.Path(path_type=Path), envvar="FLEETCTL_FILE", help="Manifest [fleet.yaml]"),
    click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="FLEETCTL_STATE",
        help="State directory [.fleetctl beside the manifest]",
    ),
    click.option("--output", type=click.Choice(FORMS), help="Form of the answer [text]"),
    click.option("--no-color", is_flag=True, default=None, envvar="NO_COLOR", help="No colours"),
    click.option("-v", "--verbose", count=True, default=None, help="Show more"),
    click.option("-q", "--quiet", is_flag=True, default=None, help="No progress, no talk"),
    click.option("--debug", is_flag=True, default=None, help="Show where an error comes from"),
    click.option("--timeout", type=click.FloatRange(min=0.1), help="Seconds before a wait gives up [600]"),
]


def common(command: F) -> F:
    """Adds the common options; the command finds them merged in `ctx.obj`."""
    for option in reversed(_COMMON):
        command = option(command)
    return command


def merge(ctx: click.Context, given: dict[str, Any]) -> Options:
    """Options given here over those given before the command's name."""
    base = ctx.obj if isinstance(ctx.obj, Options) else Options()
    names = set(Options.__struct_fields__)
    chosen = {name: value for name, value in given.items() if name in names and value is not None}
    return replace(base, **chosen)


class Command(click.Command):
    """A command with the common options, which reach it as one `options` argument."""

    forms: tuple[str, ...] = ("text", "json")
    """Of the answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

        @common
        def holder() -> None: ...

        self.params.extend(reversed(holder.__click_params__))  # type: ignore[attr-defined]

    def invoke(self, ctx: click.Context) -> Any:
        names = set(Options.__struct_fields__)
        given = {name: ctx.params.pop(name) for name in list(ctx.params) if name in names}
        ctx.obj = merge(ctx, given)
        if ctx.obj.output not in self.forms:
            raise click.UsageError(f"{self.name} answers as {' or '.join(self.forms)}, not as {ctx.obj.output}", ctx)
        ctx.params["options"] = ctx.obj
        return self.call(ctx)

    def call(self, ctx: click.Context) -> Any:
        """Run it, with its options known."""
        return super().invoke(ctx)
