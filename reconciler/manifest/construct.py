"""YAML nodes to plain data: text, numbers, booleans, nothing, lists and mappings with text keys. Nothing else."""

import re
from collections.abc import Callable
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.resolver import BaseResolver

from reconciler.manifest.problems import Place, Problems

_TAG = "tag:yaml.org,2002:"
_TEXT = BaseResolver.DEFAULT_SCALAR_TAG
"""Of every word that is nothing else: this one object."""
_HEX = re.compile(r"^0[xX][0-9a-fA-F]{33,}$")
# Aliases may say the same thing again, but not a thousand times a thousand times.
_MOST_REPETITION = 50
_ALWAYS_FINE = 100_000


def construct(root: Node, file: str, problems: Problems) -> Any:
    """The data of a document that repeats itself no more than `repetition` allows."""
    return _Constructor(file, problems).value(root)


def repetition(root: Node) -> str:
    """What is wrong with how a document uses aliases, or ""."""
    sizes: dict[int, int] = {}
    size = _expanded(root, sizes, set())
    if size is None:
        return "an alias contains itself"
    return "aliases repeat too much" if size > max(_ALWAYS_FINE, len(sizes) * _MOST_REPETITION) else ""


def _expanded(node: Node, sizes: dict[int, int], above: set[int]) -> int | None:
    """How many nodes this is with every alias written out; None where it contains itself."""
    if id(node) in above:
        return None
    if id(node) in sizes:
        return sizes[id(node)]
    above.add(id(node))
    total = 1
    for child in _children(node):
        inner = _expanded(child, sizes, above)
        if inner is None:
            return None
        total += inner
    above.discard(id(node))
    sizes[id(node)] = total
    return total


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def merges(node: MappingNode) -> list[MappingNode]:
    """The mappings that `<<` brings in."""
    found: list[MappingNode] = []
    for key, value in node.value:
        if key.value == "<<":
            inner = value.value if isinstance(value, SequenceNode) else [value]
            found += [item for item in inner if isinstance(item, MappingNode)]
    return found


def _integer(text: str) -> int | str:
    # An address written without quotes is a number to YAML; it is text to us.
    if _HEX.match(text):
        return text
    plain = text.replace("_", "").lower()
    sign = -1 if plain.startswith("-") else 1
    plain = plain.lstrip("+-")
    base = {"0x": 16, "0o": 8, "0b": 2}.get(plain[:2], 10)
    return sign * int(plain[2:] if base != 10 else plain, base)


def _float(text: str) -> float | str:
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        return text
    return value if abs(value) != float("inf") else text


_SCALARS: dict[str, Callable[[str], Any]] = {
    _TAG + "str": str,
    _TAG + "int": _integer,
    _TAG + "float": _float,
    _TAG + "bool": lambda text: text.lower() == "true",
    _TAG + "null": lambda text: None,
    _TAG + "timestamp": str,
    _TAG + "merge": str,
    _TAG + "value": str,
}


class _Constructor:
    def __init__(self, file: str, problems: Problems) -> None:
        self.file = file
        self.problems = problems

    def place(self, node: Node) -> Place:
        return self.file, node.start_mark.line + 1, node.start_mark.column + 1

    def value(self, node: Node) -> Any:
        if isinstance(node, ScalarNode):
            return self.scalar(node)
        if isinstance(node, MappingNode):
            return self.mapping(node)
        return [self.value(item) for item in node.value]

    def scalar(self, node: ScalarNode) -> Any:
        if node.ctag is _TEXT:
            return node.value
        tag = str(node.tag)
        make = _SCALARS.get(tag)
        if make is None:
            self.problems.add(self.place(node), f"the tag `{tag.removeprefix(_TAG)}` is not understood", "leave it out")
            return str(node.value)
        try:
            return make(node.value)
        except ValueError:
            return str(node.value)

    def mapping(self, node: MappingNode) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for inner in reversed(merges(node)):
            data.update(self.mapping(inner))
        seen: dict[str, Node] = {}
        for key, value in node.value:
            name = key.value
            if not isinstance(key, ScalarNode):
                self.problems.add(self.place(key), "a key must be text", "quote a key that begins with `{` or `[`")
            elif name in seen:
                first = seen[name].start_mark.line + 1
                self.problems.add(self.place(key), f"duplicate key `{name}`", f"the first is on line {first}")
            elif name != "<<":
                seen[name] = key
                data[name] = self.value(value)
        return data
