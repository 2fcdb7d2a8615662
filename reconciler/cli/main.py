"""The command line: finds commands, runs them, and turns every way to end into words and an exit code."""

import gc
import json
import logging
import os
import re
import sys
from importlib import import_module
from itertools import pairwise
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import click
from click.shell_completion import CompletionItem

from reconciler.cli.early import announce
from reconciler.cli.options import Options, common, merge
from reconciler.cli.render.errors import error_data, error_lines
from reconciler.core.errors import FleetError
from reconciler.core.exits import Exit
from reconciler.core.folding import apart, folded
from reconciler.core.text import visible

COMMANDS = {
    "validate": "Check the manifest, offline",
    "plan": "Show what apply would do",
    "apply": "Make the world as the manifest says",
    "show": "Show a saved plan",
    "sign-request": "Export what machines whose keys are elsewhere should sign",
    "sign": "Sign such an export, offline, where the key is",
    "drift": "Compare the world with the manifest: exit code 2 where they differ",
    "status": "Show how every machine is",
    "import": "Write the manifest of a fleet that is there already",
    "migrate": "From protocol v1 to v2: a successor for each machine",
    "keys": "Make keys for machines",
    "gas-station": "Enrol an operator at the Gas Station",
    "rotate": "Give agents new session tokens",
    "preflight": "Check chain, contracts, services, clocks and balances",
    "journal": "Look at what was recorded before it was sent",
    "init": "Begin a fleet: a manifest, .gitignore and CI",
    "fmt": "Put manifests into their usual form",
    "schema": "Print the JSON Schema of the manifest",
    "completion": "Print the completion script of a shell",
    "sandbox": "A whole local peaq to try things on",
    "demo": "Watch a fleet go live on a sandbox",
}


_VERBOSE = re.compile("-v+|--verbose")


class _Group(click.Group):
    """Imports a command's module only when it is called, so that help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"reconciler.cli.commands.{cmd_name.replace('-', '_')}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing:
            announce(ctx, args[0], args[1:])
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read our answer has seen enough. Further up click would make an error of it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="peaq-fleetctl", prog_name="fleetctl")
@common
@click.pass_context
def cli(ctx: click.Context, /, **given: Any) -> None:
    """Terraform for machine fleets on peaq: one file says what should be true, apply makes it so."""
    ctx.obj = merge(ctx, given)


def main() -> None:
    """Entry point. Exit codes are those of core/exits.py."""
    # Imports and manifests make many things and little rubbish: looking for it so often takes longer than it saves.
    gc.set_threshold(50_000, 20, 20)
    # Plugins of other packages have no business where keys are. With nothing to look for them, nothing is imported that
    # reads packages, which takes its time.
    sys.modules["pydantic.plugin._loader"] = cast(ModuleType, SimpleNamespace(get_plugins=tuple))
    code = run(sys.argv[1:])
    # Python looks for rubbish once more before it goes, through all that is to be let go anyway.
    gc.freeze()
    sys.exit(code)


def run(arguments: list[str], options: Options | None = None) -> int:
    """The exit code of one call, with `options` as what is said nowhere. Only --debug lets a traceback out."""
    # Libraries have logs of their own, in which they quote URLs, headers and tracebacks. Nobody asked for them.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        result = cli.main(arguments, prog_name="fleetctl", standalone_mode=False, obj=options)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("Interrupted. What was sent is in the journal; apply again to go on.")
        return Exit.INTERRUPTED
    except FleetError as error:
        _report(error, arguments)
        if "--debug" in arguments:
            _say(_trace(error))
        return error.exit_code
    except Exception as error:
        if "--debug" in arguments:
            _say(_trace(error))
        _say(
            f"Error: fleetctl met something it did not expect ({type(error).__name__}). Nothing was left half-recorded."
        )
        _say("  → run again with --debug and report what it prints")
        return Exit.ERROR


def _trace(error: BaseException) -> str:
    """Where an error comes from. The words of errors that are not ours are left out: they may quote a secret."""
    import traceback

    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{_trace(cause)}\nand so\n" if cause is not None else ""
    said = f": {error}" if isinstance(error, FleetError) else ""
    return f"{before}{''.join(traceback.format_tb(error.__traceback__))}{type(error).__name__}{said}"


def _asks_json(arguments: list[str]) -> bool:
    return "--output=json" in arguments or any(a == "--output" and b == "json" for a, b in pairwise(arguments))


def _report(error: FleetError, arguments: list[str]) -> None:
    fold = apart if any(_VERBOSE.fullmatch(argument) for argument in arguments) else folded
    if _asks_json(arguments):
        click.echo(json.dumps(error_data(error, fold), indent=2))
        return
    for line in error_lines(error, fold):
        _say(line)


def _say(text: str) -> None:
    click.echo(visible(text), err=True)
