"""Manifests of an older form: what has moved since then, in what is read and in the text of a file.

The table below is all that one form differs from the next.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from reconciler.core.errors import ManifestError
from reconciler.core.section import Loc
from reconciler.manifest.construct import construct
from reconciler.manifest.order import machine_mappings
from reconciler.manifest.problems import Problems
from reconciler.manifest.source import Source, compose, trail

CURRENT = "fleetctl/v1"
Moves = Mapping[str, str]
"""Keys of a machine, and the block in which each stands since."""
OLDER: Mapping[str, Moves] = {"fleetctl/v1alpha1": {"custody": "v1"}}
Edit = tuple[int, int, str]
_COMMENT = re.compile(r" *#.*\n")


def older_form(root: Source) -> str:
    """The older form that a manifest says it is written in, or ""."""
    form = root.data.get("apiVersion")
    return form if isinstance(form, str) and form in OLDER else ""


def upgrade(source: Source, form: str) -> None:
    """Put what was read of a file into its newer place; each node keeps the position at which it was written."""
    source.change(partial(_upgrade, form))


def _upgrade(form: str, data: Any, root: Node) -> None:
    if data.get("apiVersion") == form:
        data["apiVersion"] = CURRENT
    for loc, node in list(machine_mappings(root)):
        machine = _at(data, loc)
        for key, block in OLDER[form].items() if isinstance(machine, dict) else ():
            below = machine.get(block, {})
            if key in machine and isinstance(below, dict) and key not in below:
                machine[block] = {key: machine.pop(key), **below}
                _move_node(node, key, block)


def _at(data: Any, loc: Loc) -> Any:
    for part in loc:
        data = data[part]
    return data


def _own(node: MappingNode, key: str) -> tuple[Node, Node] | None:
    return next((pair for pair in node.value if pair[0].value == key), None)


def _move_node(node: MappingNode, key: str, block: str) -> None:
    """Into a block of its own making where there is none. What `<<` brings in is not this mapping's to move."""
    moved, home = _own(node, key), _own(node, block)
    if moved is None:
        return
    below = home[1] if home and isinstance(home[1], MappingNode) else MappingNode(node.tag, [], flow_style=True)
    name = home[0] if home else ScalarNode(moved[0].tag, block, moved[0].start_mark, moved[0].end_mark)
    marks = (name.start_mark, moved[1].end_mark)
    made = MappingNode(node.tag, [moved, *below.value], *marks, flow_style=below.flow_style)
    node.value = [pair for pair in node.value if pair not in (moved, home)] + [(name, made)]


def upgraded_text(source: Source, text: str, form: str) -> str:
    """`text`, which is that of `source` in its usual form, in the current one; comments and order stay.

    Raises ManifestError with what cannot be moved without a change of meaning, such as what an alias brings in.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n").rstrip("\n") + "\n"
    node = compose(plain, source.file, Problems())
    if not isinstance(node, MappingNode):
        return text
    edits = list(_edits(plain, node, form))
    for start, end, new in sorted(edits, key=lambda edit: -edit[0]):
        plain = plain[:start] + new + plain[end:]
    _compare(source, plain, form)
    return plain.replace("\n", newline)


def _edits(text: str, root: MappingNode, form: str) -> Iterator[Edit]:
    version = trail(root, ("apiVersion",))[-1][1]
    if version.value == form:
        yield version.start_mark.index, version.end_mark.index, CURRENT
    seen: set[int] = set()
    for _, node in machine_mappings(root):
        for key, block in OLDER[form].items() if id(node) not in seen else ():
            if (pair := _own(node, key)) is not None:
                home = _own(node, block)
                yield from _moved(text, node, pair, home) if home else [_wrapped(text, pair, block)]
        seen.add(id(node))


def _span(first: Node, last: Node) -> tuple[int, int]:
    return int(first.start_mark.index), int(last.end_mark.index)


def _wrapped(text: str, pair: tuple[Node, Node], block: str) -> Edit:
    start, end = _span(*pair)
    return start, end, f"{block}: {{{text[start:end]}}}"


def _moved(text: str, node: MappingNode, pair: tuple[Node, Node], home: tuple[Node, Node]) -> list[Edit]:
    """Into the block that is there, in its style; nothing where that cannot be done."""
    if not isinstance(home[1], MappingNode) or home[1].start_mark.index < home[0].end_mark.index:
        return []
    start, end = _span(*pair)
    if not node.flow_style and text[_line(text, start) : start].strip():
        return []
    said = text[start:end] + ", " * bool(home[1].value)
    # An anchor stands before the bracket.
    into = text.index("{", int(home[1].start_mark.index)) + 1 if home[1].flow_style else 0
    if node.flow_style:
        return [(*_out_of_flow(node, pair), ""), (into, into, said)]
    above, comment = _above(text, start), text[end : text.index("\n", end)].strip()
    lines = text[above : _line(text, start)]
    out = (above, text.index("\n", end) + 1, "")
    if home[1].flow_style:
        margin, at = " " * int(home[0].start_mark.column), _line(text, int(home[0].start_mark.index))
        noted = lines + (f"{margin}{comment}\n" if comment else "")
        return [out, (into, into, said), (at, at, noted)]
    margin, into = " " * int(home[1].start_mark.column), text.index("\n", int(home[0].end_mark.index)) + 1
    moved = [*lines.splitlines(), text[start : out[1] - 1]]
    return [out, (into, into, "".join(f"{margin}{line.strip()}\n" for line in moved))]


def _line(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _above(text: str, index: int) -> int:
    """Where the comments begin that stand directly above the line."""
    at = _line(text, index)
    while at and _COMMENT.fullmatch(text[_line(text, at - 1) : at]):
        at = _line(text, at - 1)
    return at


def _out_of_flow(node: MappingNode, pair: tuple[Node, Node]) -> tuple[int, int]:
    """The pair with the comma that divides it from the next, or from the one before."""
    at = node.value.index(pair)
    if at + 1 < len(node.value):
        return int(pair[0].start_mark.index), int(node.value[at + 1][0].start_mark.index)
    return int(node.value[at - 1][1].end_mark.index), int(pair[1].end_mark.index)


def _compare(source: Source, text: str, form: str) -> None:
    """Raises ManifestError where `text` does not say what the file says when it is read."""
    told, said = Problems(), compose(text, source.file, Problems())
    upgrade(source, form)
    for loc, _ in machine_mappings(source.node):
        if said is None or _at(source.data, loc) != _at(construct(said, source.file, Problems()), loc):
            keys = ", ".join(f"`{block}.{key}`" for key, block in OLDER[form].items())
            hint = f"write {keys} by hand where this machine says it, then run fmt again"
            told.add(source.place(loc), f"cannot be upgraded from {form} without a change of meaning", hint)
    if told:
        raise ManifestError(told.sorted())
