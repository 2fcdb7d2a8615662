"""Adding entries to a manifest as text: nothing that is there moves, comments and order stay as they are."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from reconciler.manifest.adopted import Additions, Entry
from reconciler.manifest.emit import comment, entry, flow
from reconciler.manifest.source import Source, Step, trail

Edit = tuple[int, int, str]
"""From and to which character, and what stands there instead."""


def machine_lines(machine: Entry, indent: int) -> list[str]:
    """A machine as an item of a list, with its notes as comments under it."""
    name, *rest = [line for key, value in machine.content.items() for line in entry(key, value, indent + 2)]
    return [
        f"{' ' * indent}- {name.strip()}",
        *rest,
        *(comment(note, indent + 2) for note in machine.notes),
    ]


def named_lines(entries: Mapping[str, Any], indent: int) -> list[str]:
    return [line for name, content in entries.items() for line in entry(name, content, indent)]


def grafted(source: Source, additions: Additions) -> str:
    """The text of the manifest with everything added to it."""
    edits = [edit for place, entries in additions.named.items() for edit in _named(source, place, entries)]
    edits += _machines(source, additions.machines) if additions.machines else []
    text = source.text
    for start, end, new in sorted(edits, key=lambda edit: -edit[0]):
        text = text[:start] + new + text[end:]
    return text


def _named(source: Source, place: str, entries: Mapping[str, Any]) -> list[Edit]:
    items = [f"{json.dumps(name)}: {flow(content)}" for name, content in entries.items()]
    node = _at(source, place)
    indent = int(node.start_mark.column) if isinstance(node, MappingNode) and node.value and not _flows(node) else 2
    return _added(source, place, named_lines(entries, indent), items, "{}")


def _machines(source: Source, machines: Sequence[Entry]) -> list[Edit]:
    node = _at(source, "machines")
    block = isinstance(node, SequenceNode) and node.value and not _flows(node)
    indent = int(node.start_mark.column) if block and node is not None else 2
    lines = [line for machine in machines for line in machine_lines(machine, indent)]
    return _added(source, "machines", lines, [flow(machine.content) for machine in machines], "[]")


def _at(source: Source, place: str) -> Node | None:
    steps = trail(source.node, (place,))
    return steps[-1][1] if len(steps) == 2 else None


def _added(source: Source, place: str, lines: Sequence[str], items: Sequence[str], brackets: str) -> list[Edit]:
    """In the style of what is there: as lines after the last, or between the brackets."""
    node, newline = _at(source, place), "\r\n" if "\r\n" in source.text else "\n"
    if node is None and _flows(source.node):
        whole = f"{json.dumps(place)}: {brackets[0]}{', '.join(items)}{brackets[1]}"
        return _between(source.text, source.node, [whole], newline)
    if node is None:
        return [_after(source.text, len(source.text), ["", f"{place}:", *lines], newline)]
    if _flows(node) and (node.value or _flows(source.node)):
        return _between(source.text, node, items, newline)
    if _flows(node) or isinstance(node, ScalarNode):
        start, end = int(node.start_mark.index), int(node.end_mark.index)
        return [(start, end, ""), _after(source.text, end, lines, newline)]
    return [_after(source.text, _end(node), lines, newline)]


def _between(text: str, node: Node, items: Sequence[str], newline: str) -> list[Edit]:
    """Into a flow, after its last item: on lines of their own where its bracket closes on another line."""
    if not node.value:
        at = int(node.start_mark.index) + 1
        return [(at, at, ", ".join(items))]
    at = _last(node)
    if "\n" not in text[at : int(node.end_mark.index)]:
        return [(at, at, ", " + ", ".join(items))]
    trailing = re.match(r"\s*,", text[at:]) is not None
    key, value = _children(node)[-1]
    margin = " " * int((key or value).start_mark.column)
    lines = [f"{margin}{item}," for item in items[:-1]] + [f"{margin}{items[-1]}{',' if trailing else ''}"]
    return [(at, at, "" if trailing else ","), _after(text, at, lines, newline)]


def _after(text: str, end: int, lines: Sequence[str], newline: str) -> Edit:
    """After the line in which something ends."""
    whole = "".join(f"{line}{newline}" for line in lines)
    if end and text[end - 1] == "\n":
        return end, end, whole
    at = text.find("\n", end)
    return (len(text), len(text), newline + whole) if at < 0 else (at + 1, at + 1, whole)


def _flows(node: Node) -> bool:
    """True where it stands in brackets."""
    return bool(getattr(node, "flow_style", False))


def _end(node: Node) -> int:
    """Where what a node says ends: a block itself reaches up to what follows it, comments included."""
    return int(node.end_mark.index) if _flows(node) or not _children(node) else _last(node)


def _last(node: Node) -> int:
    """Where the last key or value inside a node ends."""
    ends = [int(key.end_mark.index) if _blank(value) and key else _end(value) for key, value in _children(node)[-1:]]
    return ends[0]


def _children(node: Node) -> list[Step]:
    if isinstance(node, MappingNode):
        return list(node.value)
    return [(None, item) for item in node.value] if isinstance(node, SequenceNode) else []


def _blank(value: Node) -> bool:
    return isinstance(value, ScalarNode) and not value.value and value.style is None
