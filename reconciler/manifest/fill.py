"""Filling `{placeholders}`, and merging defaults under a machine."""

import re
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

from reconciler.core.section import Loc
from reconciler.manifest.origin import Entry
from reconciler.manifest.problems import Problems, quoted

_PART = re.compile(r"\$\{[^{}]*\}|\{\{|\}\}|\{([^{}]*)\}|[{}]")
Complain = Callable[[Loc, str, str], None]
NONE: Set[int] = frozenset()


def merged(over: Any, under: Any) -> Any:
    """`over` on top of `under`: mappings merge, lists and scalars replace."""
    if not (isinstance(over, dict) and isinstance(under, dict)):
        return over
    result = dict(under)
    for key, value in over.items():
        result[key] = merged(value, under[key]) if key in under else value
    return result


def fixed(value: Any) -> frozenset[int]:
    """The parts of `value` that have no placeholder, by `id`: what all may share as it is, while `value` lives."""
    if isinstance(value, str):
        return frozenset() if "{" in value or "}" in value else frozenset((id(value),))
    inner = list(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
    parts = frozenset[int]().union(*map(fixed, inner))
    return parts | {id(value)} if all(id(item) in parts for item in inner) else parts


def filled(
    value: Any, words: Mapping[str, str | None], complain: Complain, shared: Set[int] = NONE, loc: Loc = ()
) -> Any:
    """`value` with the placeholders of every text replaced. A word that is None is known but has no value here.

    `shared` are parts that are known to have none (`fixed`): they are not looked at, and not copied.
    """
    if id(value) in shared:
        return value
    if isinstance(value, str):
        return _fill_text(value, words, complain, loc) if "{" in value or "}" in value else value
    if isinstance(value, dict):
        return {key: filled(item, words, complain, shared, (*loc, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, words, complain, shared, (*loc, index)) for index, item in enumerate(value)]
    return value


def _fill_text(text: str, words: Mapping[str, str | None], complain: Complain, loc: Loc) -> str:
    def one(match: re.Match[str]) -> str:
        whole, name = match[0], match[1]
        if whole in ("{{", "}}"):
            return whole[0]
        if whole.startswith("$"):
            return whole
        if name is None or name not in words:
            said = f"unknown placeholder `{whole}`" if name is not None else f"a lone `{whole}`"
            complain(loc, said, f"{_known(words)}; a brace itself is written {{{{ or }}}}")
            return whole
        value = words[name]
        if value is None:
            complain(loc, f"`{whole}` has no value for this machine", f"write its {name}")
        return whole if value is None else value

    return _PART.sub(one, text)


def _known(words: Iterable[str]) -> str:
    return f"known here: {quoted('{' + word + '}' for word in words)}"


def fill_defaults(
    defaults: Mapping[str, Any], machine: Mapping[str, Any], base: Entry, shared: Set[int], problems: Problems
) -> Any:
    """The defaults for one machine. Problems stand where the default was written. `shared`: as `filled` takes it."""
    name, address = machine.get("name"), machine.get("address")
    # A missing name is told by itself.
    words = {"name": str(name), "address": address if isinstance(address, str) else None}

    def complain(loc: Loc, message: str, hint: str) -> None:
        problems.add(base.place(loc), message, hint)

    return filled(_needed(defaults, machine), words, complain, shared)


def _needed(defaults: Mapping[str, Any], machine: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that this machine does not overrule, so that an unused placeholder is no mistake."""
    needed: dict[str, Any] = {key: value for key, value in defaults.items() if key not in machine}
    for key, value in defaults.items():
        if key in machine and isinstance(value, dict) and isinstance(machine[key], dict):
            needed[key] = _needed(value, machine[key])
    return needed
