"""Writes docs/reference/*.md out of the code: `python docs/generate.py`, or `make docs`. The tests compare them."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

import reconciler
from reconciler.adapters import gas_station, http_api, reverts
from reconciler.cli.main import COMMANDS, cli
from reconciler.cli.options import common
from reconciler.core.errors import FleetError
from reconciler.core.exits import Exit
from reconciler.core.money import format_amount
from reconciler.kinds import discover
from reconciler.manifest.schema import schema

DIRECTORY = Path(__file__).parent / "reference"
NOTE = "<!-- Made from the code by `make docs`. Do not edit. -->"
Schema = Mapping[str, Any]
ADDRESS, DURATION = "^0x[0-9a-fA-F]{40}$", r"^\d+[smhd]$"
PATTERNS = {ADDRESS: "address", DURATION: "duration"}


def page(title: str, intro: str, *blocks: str) -> str:
    return "\n\n".join([f"# {title}", NOTE, intro, *blocks]) + "\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """One line, in which nothing outside of `code` is taken for markup; links are."""
    words = re.sub(r"\s+", " ", text).replace("|", "\\|").strip().split("`")
    words[::2] = [re.sub(r"([<*])", r"\\\1", part) for part in words[::2]]
    return "`".join(words)


def code(text: object) -> str:
    return f"`{text}`"


# Commands.


def commands() -> str:
    intro = (
        "`fleetctl COMMAND --help` says the same. Answers go to standard output, all else to standard error. What the\n"
        "exit codes mean is in [exit codes](exit-codes.md); how commands behave is in [the reference](../reference.md)."
    )
    shared = _options(_common())
    overview = table(("command", "does"), ((f"[{name}](#fleetctl-{name})", COMMANDS[name]) for name in COMMANDS))
    names = {parameter.name for parameter in _common()}
    blocks = [_command(path, command, names) for path, command in every_command()]
    about = "Every command takes these, before or after its name:"
    return page("Commands", intro, overview, "## Common options", about, shared, *blocks)


def every_command() -> Iterator[tuple[str, click.Command]]:
    """All commands with their full names; groups come before what is in them."""
    context = click.Context(cli)
    for name in COMMANDS:
        found = cli.get_command(context, name)
        assert found is not None
        yield f"fleetctl {name}", found
        if isinstance(found, click.Group):
            yield from ((f"fleetctl {name} {sub}", inner) for sub, inner in found.commands.items())


def _common() -> list[click.Parameter]:
    @common
    def holder() -> None: ...

    return list(reversed(holder.__click_params__))  # type: ignore[attr-defined]


def _command(path: str, command: click.Command, shared: set[str | None]) -> str:
    own = [p for p in command.params if p.name not in shared]
    usage = " ".join([path, "[OPTIONS]", *(_place(p) for p in own if isinstance(p, click.Argument))])
    parts = [f"{'##' if path.count(' ') == 1 else '###'} {path}", _help(command)]
    if not isinstance(command, click.Group):
        parts.insert(1, f"```text\n{usage}\n```")
    if options := [p for p in own if isinstance(p, click.Option)]:
        parts.append(_options(options))
    return "\n\n".join(parts)


def _help(command: click.Command) -> str:
    """Its help, with what click keeps as it stands (after a `\\b`) as a block of text."""
    free, _, kept = inspect.cleandoc(command.help or "").partition("\b\n")
    return free.strip() + (f"\n\n```text\n{kept.rstrip()}\n```" if kept else "")


def _options(options: Iterable[click.Parameter]) -> str:
    return table(("option", "does"), ((_names(o), _about(o)) for o in options if isinstance(o, click.Option)))


def _names(option: click.Option) -> str:
    value = "" if option.is_flag or option.count else f" {code(_value(option))}"
    return ", ".join(map(code, option.opts)) + value


def _value(parameter: click.Parameter) -> str:
    """What stands for a value; not click's own word, which differs between its versions."""
    if parameter.metavar:
        return parameter.metavar
    if isinstance(parameter.type, click.Choice):
        return "|".join(map(str, parameter.type.choices))
    return parameter.type.name.removesuffix(" range").upper()


def _place(argument: click.Argument) -> str:
    choice = isinstance(argument.type, click.Choice)
    shown = _value(argument) if choice else str(argument.name).upper() + ("..." if argument.nargs < 0 else "")
    return shown if argument.required else f"[{shown}]"


def _about(option: click.Option) -> str:
    said = [option.help or ""]
    if option.show_default and option.default is not None and not callable(option.default):
        said.append(f"[{option.default}]")
    if option.required:
        said.append("(required)")
    if option.multiple and "repeat" not in said[0]:
        said.append("(may be repeated)")
    if option.envvar:
        said.append(f"(or {code(option.envvar)} in the environment)")
    return " ".join(said)


# Exit codes and errors.


def exit_codes() -> str:
    intro = "Every command ends with one of these. Scripts may rely on them."
    return page("Exit codes", intro, table(("code", "means"), ((str(int(e)), e.meaning) for e in Exit)))


def errors() -> str:
    intro = (
        'With `--output json` an error is `{"formatVersion", "error": {"code", "message", "where", "hint"},\n'
        '"exitCode"}`, '
        "and `error.problems` lists the mistakes of a manifest, which are `error.count`. Of more than 20 a few of\n"
        "each sort are listed; the last of a sort says in `more` how many others there are, and in `last` where the\n"
        "last one is. `-v` lists them all. In text, the hint stands after `→`."
    )
    ours = table(
        ("code", "exit code", "raised as", "what to do"),
        ((code(e.code), str(int(e.exit_code)), code(e.__name__), e.remedy) for e in every_error()),
    )
    return page(
        "Error codes", intro, ours,
        "## What Machine Markets says", "An error code of theirs, and what fleetctl adds to it.",
        _sentences({**http_api.SENTENCES, **http_api.TEMPORARY}),
        "## What the Gas Station says", "What fleetctl does then: [funding](../reference.md#funding-of-wallets).",
        _sentences(gas_station.SENTENCES),
        "## What contracts say", "The name of a revert, or the text of the DID precompile.",
        _sentences(reverts.SENTENCES),
    )  # fmt: skip


def every_error() -> list[type[FleetError]]:
    """All errors that a user can meet, by code; modules are imported so that none is missed."""
    for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return sorted(_descendants(FleetError), key=lambda error: error.code)


def _descendants(cls: type[FleetError]) -> Iterator[type[FleetError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _descendants(child)


def _sentences(sentences: Mapping[str, str]) -> str:
    return table(("code", "what to do"), ((code(name), sentences[name]) for name in sorted(sentences)))


# The manifest.


def manifest() -> str:
    whole = schema(discover())
    definitions = whole["$defs"]
    intro = (
        "Every field of `fleet.yaml`. A field without a default and not marked as required may be left out. Unknown\n"
        "fields are mistakes. `fleetctl schema` prints the same as JSON Schema."
    )
    blocks = ["## The file", _fields(whole, definitions)]
    for name in sorted(definitions):
        section = definitions[name]
        if section.get("properties") and name != "Defaults":
            blocks += [f"## {name}", str(section.get("description", "")), _fields(section, definitions)]
    defaults = "## Defaults\n\n" + str(definitions["Defaults"]["description"])
    own = sorted(set(definitions["Machine"]["properties"]) - set(definitions["Defaults"]["properties"]))
    defaults += f"\n\nThe fields of a [Machine](#machine), without {', '.join(map(code, own))}."
    return page("The manifest", intro, *filter(None, [*blocks, defaults]))


def _fields(section: Schema, definitions: Schema) -> str:
    required = section.get("required", ())
    rows = (
        (code(name), _type(value, definitions), "required" if name in required else _default(value), _said(value))
        for name, value in section["properties"].items()
    )
    return table(("field", "type", "default", "what it says"), rows)


def _said(value: Schema) -> str:
    said, examples = str(value.get("description", "")), ", ".join(code(_yaml(e)) for e in value.get("examples", ()))
    return f"{said.rstrip('.')}. E.g. {examples}" if examples and "e.g." not in said else said


def _default(value: Schema) -> str:
    default = value.get("default")
    if default in (None, {}, []) or "$ref" in value:
        return ""
    # Amounts are text in a manifest and wei in the model.
    amount = isinstance(default, int) and value.get("type") == "string"
    return code(format_amount(default) if amount else _yaml(default))


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return str(value)


def _type(value: Schema, definitions: Schema) -> str:
    """What a value is, in words, with links to the sections it is made of."""
    if "anyOf" in value:
        parts = [_type(one, definitions) for one in value["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(parts))
    if "$ref" in value:
        return _link(value["$ref"].rpartition("/")[2])
    for key, words in (("enum", value.get("enum", ())), ("const", [value.get("const")])):
        if key in value:
            return " or ".join(code(_yaml(word)) for word in words)
    return _container(value, definitions) or _plain(value)


def _container(value: Schema, definitions: Schema) -> str:
    if "properties" in value:
        name = _section_of(value, definitions)
        return _link(name) if name else f"mapping with {', '.join(map(code, value['properties']))}"
    if value.get("type") == "array":
        return f"list of {_type(value['items'], definitions)}" if value.get("items") else "list"
    inner = [*value.get("patternProperties", {}).values(), value.get("additionalProperties")]
    if value.get("type") == "object":
        return f"mapping to {_type(inner[0], definitions)}" if isinstance(inner[0], dict) else "mapping"
    return ""


def _plain(value: Schema) -> str:
    kind = str(value.get("type", "any"))
    return PATTERNS.get(value.get("pattern", ""), {"string": "text", "boolean": "true or false"}.get(kind, kind))


def _section_of(value: Schema, definitions: Schema) -> str:
    """Its definition: what stands in machines and defaults is a copy, in which nothing is required."""
    keys = set(value["properties"])
    found = [name for name, one in definitions.items() if set(one.get("properties", ())) == keys]
    return found[0] if found else ""


def _link(name: str) -> str:
    return f"[{name}](#{slug(name)})"


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "manifest.md": manifest,
    "exit-codes.md": exit_codes,
    "errors.md": errors,
}

if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (DIRECTORY / name).write_text(make(), encoding="utf-8")
