"""YAML nodes to plain data: text, numbers, booleans, nothing, lists and mappings with text keys. Nothing else."""

import re
from collections.abc import Callable
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from reconciler.manifest.problems import Place, Problems

_TAG = "tag:yaml.org,2002:"
_HEX = re.compile(r"^0[xX][0-9a-fA-F]{33,}$")
# Aliases may say the same thing again, but not a thousand times a thousand times.
_MOST_REPETITION = 50
_ALWAYS_FINE = 100_000


def construct(root: Node, file: str, problems: Problems) -> Any:
    """The data of a document, or an empty mapping with the problem where it is an alias bomb."""
    sizes: dict[int, int] = {}
    size = _expanded(root, sizes, set())
    if size is None or size > max(_ALWAYS_FINE, len(sizes) * _MOST_REPETITION):
        said = "an alias contains itself" if size is None else "aliases repeat too much"
        problems.add((file, 1, 1), said, "write the entries out, or use `defaults` and `machineSets`")
        return {}
    return _Constructor(file, problems).value(root)


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
    "str": str,
    "int": _integer,
    "float": _float,
    "bool": lambda text: text.lower() == "true",
    "null": lambda text: None,
    "timestamp": str,
    "merge": str,
    "value": str,
}


class _Constructor:
    def __init__(self, file: str, problems: Problems) -> None:
        self.file = file
        self.problems = problems

    def place(self, node: Node) -> Place:
        return self.file, node.start_mark.line + 1, node.start_mark.column + 1

    def value(self, node: Node) -> Any:
        if isinstance(node, MappingNode):
            return self.mapping(node)
        if isinstance(node, SequenceNode):
            return [self.value(item) for item in node.value]
        return self.scalar(node)

    def scalar(self, node: Node) -> Any:
        tag = str(node.tag)
        make = _SCALARS.get(tag.removeprefix(_TAG)) if tag.startswith(_TAG) else None
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
            if not isinstance(key, ScalarNode):
                self.problems.add(self.place(key), "a key must be text", "quote a key that begins with `{` or `[`")
            elif key.value in seen:
                first = seen[key.value].start_mark.line + 1
                self.problems.add(self.place(key), f"duplicate key `{key.value}`", f"the first is on line {first}")
            elif key.value != "<<":
                seen[key.value] = key
                data[key.value] = self.value(value)
        return data
