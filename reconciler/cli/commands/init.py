"""fleetctl init: a few questions, and a fleet to go on from. Nothing that exists is overwritten."""

import csv
import json
import os
import re
import secrets
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import click

from reconciler.cli.kits import kit
from reconciler.cli.options import Command, Options
from reconciler.cli.shipped import shipped, template
from reconciler.core.errors import ConfigError
from reconciler.core.value import Value

NETWORKS = ("sandbox", "peaq", "agung")
PROTOCOLS = ("v1", "v2")
CIS = ("github", "gitlab")
SAMPLE = "id\n001\n002\n003\n"
MOST = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_KEY = re.compile(r"(env|file|keystore):(.+)")
_WORD = re.compile(r"[A-Za-z0-9._/\\-]+")


class Answers(Value):
    name: str
    network: str
    protocol: str
    operator_key: str
    machines: str
    ci: str


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise click.BadParameter("1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit")
    return text


def _key(text: str) -> str:
    if not _KEY.fullmatch(text):
        raise click.BadParameter("say env:NAME, file:PATH or keystore:PATH; never the key itself")
    return text


def _machines(text: str) -> str:
    if text.isdecimal() and not 1 <= int(text) <= MOST:
        raise click.BadParameter(f"1 to {MOST}, or a CSV file for more")
    if not text.isdecimal() and not text.endswith(".csv"):
        raise click.BadParameter("a number, or a file that ends in .csv")
    return text


def _one_of(*words: str) -> Callable[[str], str]:
    def chosen(text: str) -> str:
        if text not in words:
            raise click.BadParameter(f"one of {', '.join(words)}")
        return text

    return chosen


CHECKS: dict[str, Callable[[str], str]] = {
    "name": _name,
    "network": _one_of(*NETWORKS),
    "protocol": _one_of(*PROTOCOLS),
    "operator_key": _key,
    "machines": _machines,
    "ci": _one_of(*CIS, "none"),
}
QUESTIONS = {
    "name": "What is the fleet called?",
    "network": f"On which network is it ({', '.join(NETWORKS)})?",
    "protocol": f"By which protocol do its machines live ({', '.join(PROTOCOLS)})? Live networks run v2; v1 is legacy.",
    "operator_key": "Where is the operator's key (env:NAME, file:PATH, keystore:PATH)?",
    "machines": "How many machines, or which CSV file lists them?",
    "ci": f"Which CI plans every change ({', '.join(CIS)}, none)?",
}


def _checked(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    return None if value is None else CHECKS[str(param.name)](value)


@click.command("init", cls=Command)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--name", callback=_checked, help="Name of the fleet [that of the directory]")
@click.option("--network", callback=_checked, help="sandbox, peaq or agung [sandbox]")
@click.option("--protocol", callback=_checked, help="v1 or v2 [v1]")
@click.option("--operator-key", callback=_checked, help="env:NAME, file:PATH or keystore:PATH [env:PEAQOS_PRIVATE_KEY]")
@click.option("--machines", callback=_checked, help="How many, or a CSV file with one row for each [3]")
@click.option("--ci", callback=_checked, help="github, gitlab or none [none]")
@click.option("--yes", is_flag=True, help="Ask nothing; take what is in brackets where nothing else is said")
def command(options: Options, directory: Path, yes: bool, **given: str | None) -> int:
    """Begin a fleet in DIRECTORY: a manifest, its schema for editors, .gitignore and CI files.

    Asks what no option says. A file that exists is left alone.
    """
    answers = _answers(given, directory, ask=not yes)
    for path, text in _files(answers, directory).items():
        _write(directory / path, text)
    if not options.quiet:
        _next_steps(answers, directory)
    return 0


def _answers(given: dict[str, str | None], directory: Path, *, ask: bool) -> Answers:
    if ask and None in given.values() and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on; say --yes for the defaults")
    called = re.sub(r"[^A-Za-z0-9._-]+|^[._-]+", "-", directory.resolve().name).strip("-")[:63]
    defaults = {
        "name": called or "fleet",
        "network": NETWORKS[0],
        "protocol": PROTOCOLS[0],
        "operator_key": "env:PEAQOS_PRIVATE_KEY",
        "machines": "3",
        "ci": "none",
    }

    def answer(what: str) -> str:
        value = given[what]
        if value is None and ask:
            value = click.prompt(QUESTIONS[what], default=defaults[what], value_proc=CHECKS[what], err=True)
        return str(value or defaults[what])

    return Answers(**{what: answer(what) for what in defaults})


def _files(answers: Answers, directory: Path) -> dict[str, str]:
    """What to write, by its path in the directory."""
    files = {
        "fleet.yaml": template(
            f"fleet-{answers.protocol}.yaml",
            name=_text(answers.name),
            network=answers.network,
            key=_key_of(answers.operator_key),
            subject=f"{answers.name}-{secrets.token_hex(8)}",
            machines=_machine_list(answers, directory),
        ),
        "schemas/fleet.schema.json": shipped("schemas/fleet.schema.json").read_text(encoding="utf-8"),
        ".gitignore": template("gitignore"),
    }
    if answers.machines.endswith(".csv") and not (directory / answers.machines).resolve().exists():
        files[answers.machines] = SAMPLE
    return files | (kit(answers.ci, answers.network) if answers.ci in CIS else {})


def _text(word: str) -> str:
    """As YAML text, which a name such as 007, 1e3 or no is only in quotes."""
    return word if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{4,}", word) and word.lower() != "false" else json.dumps(word)


def _key_of(where: str) -> str:
    kind, _, place = where.partition(":")
    password = ", password: {env: OPERATOR_KEY_PASSWORD}" if kind == "keystore" else ""
    return f"{kind}: {place if _WORD.fullmatch(place) else json.dumps(place)}{password}"


def _machine_list(answers: Answers, directory: Path) -> str:
    machines = answers.machines
    if not machines.isdecimal():
        return _machine_set(machines, (directory / machines).resolve(), answers.protocol)
    width = max(3, len(machines))
    names = [f"machine-{number:0{width}d}" for number in range(1, int(machines) + 1)]
    keys = {"v1": ", key: {file: keys/%s.key}", "v2": ""}[answers.protocol]
    lines = [f"  - {{name: {name}{keys.replace('%s', name)}}}" for name in names]
    return "\n".join(["machines:", *lines])


def _machine_set(file: str, path: Path, protocol: str) -> str:
    """Machines out of a table, called by its first column; those of v1 by its addresses where it has them."""
    text = _table(path) if path.exists() else SAMPLE
    columns = [cell.strip() for cell in next(csv.reader(text.splitlines()), [])]
    if not columns:
        raise click.UsageError(f"{path} has no header row")
    first = columns[0]
    who = 'address: "{address}"' if "address" in columns else f'key: {{file: "keys/{{{first}}}.key"}}'
    lines = ["machineSets:", f"  - from: {{csv: {json.dumps(file)}}}", "    template:"]
    lines.append(f'      name: "machine-{{{first}}}"')
    return "\n".join([*lines, *([f"      {who}"] if protocol == "v1" else [])])


def _table(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {type(error).__name__}", hint="save it as CSV in UTF-8") from None


def _write(path: Path, text: str) -> None:
    if os.path.lexists(path):
        click.echo(f"left alone {path}: it is there already", err=True)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="choose another directory") from None
    click.echo(f"wrote {path}")


def _next_steps(answers: Answers, directory: Path) -> None:
    keys = "fleetctl keys generate      makes the machines' keys and writes their addresses down"
    steps = [keys] if answers.protocol == "v1" else []
    if answers.network == "sandbox":
        steps.insert(0, "fleetctl sandbox up         a whole local peaq; `fleetctl sandbox env` says its variables")
    steps += ["fleetctl plan               shows what apply would do", "fleetctl apply              does it"]
    here = [] if directory.resolve() == Path.cwd() else [f"cd {shlex.quote(str(directory))}"]
    click.echo("\n".join(["Next:", *(f"  {step}" for step in [*here, *steps])]), err=True)
