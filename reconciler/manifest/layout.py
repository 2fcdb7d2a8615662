"""A manifest in its usual form: keys in order, two spaces for each level. Lines move; nothing in them is rewritten.

So comments, anchors, quotes and what a user aligned are kept. What cannot be moved without a change of meaning, such as
an alias to before its anchor, stays where it is.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from reconciler.core.value import Value
from reconciler.manifest.construct import construct
from reconciler.manifest.indent import indented
from reconciler.manifest.order import Rank, ordered_mappings
from reconciler.manifest.problems import Problems
from reconciler.manifest.source import compose

_BLANK_OR_COMMENT = re.compile(r"\s*(#|$)")
_DASHES = re.compile(r"(?: *- +)+")


def formatted(text: str) -> str:
    """The text in its usual form, with the same meaning, or as it is where no other form is safe."""
    newline = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n")
    meaning = _meaning(plain)
    tries: tuple[Callable[[str], str], ...] = (lambda t: _indented(_reordered(_indented(t))), _indented)
    for make in tries:
        new = make(plain)
        if _meaning(new) == meaning:
            return new.replace("\n", newline)
    return text


def _node(text: str) -> Node | None:
    return compose(text, "", Problems())


def _meaning(text: str) -> Any:
    node = _node(text)
    return None if node is None else construct(node, "", Problems())


def _indented(text: str) -> str:
    node = _node(text)
    return text if node is None else indented(text, frozenset(_inner_lines(node, set())))


def _inner_lines(node: Node, seen: set[int]) -> Iterator[int]:
    """Lines that go on with a text or a bracket of a line before."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if _whole(node):
        end = node.end_mark
        # A block of text ends where the next line begins.
        yield from range(node.start_mark.line + 1, end.line + (end.column > 0))
    elif isinstance(node, SequenceNode | MappingNode):
        for child in node.value:
            for inner in child if isinstance(child, tuple) else (child,):
                yield from _inner_lines(inner, seen)


def _whole(node: Node) -> bool:
    """True for a text, and for what is in brackets: its lines are not lines of their own."""
    return not isinstance(node, SequenceNode | MappingNode) or bool(node.flow_style)


def _reordered(text: str) -> str:
    node = _node(text)
    if node is None:
        return text
    lines = text.split("\n")
    for mapping, rank in ordered_mappings(node):
        if mapping.flow_style:
            _sort_in_line(lines, mapping, rank)
        else:
            _sort_lines(lines, mapping, rank)
    return "\n".join(lines)


def _sort_in_line(lines: list[str], node: MappingNode, rank: Rank) -> None:
    """Each pair of a one-line mapping into the place of another."""
    number = node.start_mark.line
    if node.end_mark.line != number or any(_is_alias(key, value) for key, value in node.value):
        return
    line = lines[number]
    spans = [(key.start_mark.column, value.end_mark.column, rank(key.value)) for key, value in node.value]
    texts = [line[start:end] for start, end, _ in sorted(spans, key=lambda span: span[2])]
    for (start, end, _), new in reversed(list(zip(spans, texts, strict=True))):
        line = f"{line[:start]}{new}{line[end:]}"
    lines[number] = line


def _is_alias(key: Node, value: Node) -> bool:
    """True where the value is written before its key, where its anchor is."""
    return bool(value.start_mark.index < key.start_mark.index)


class _Entry(Value):
    """A key with all that is below it, and the comments just above it."""

    rank: int
    above: list[str]
    body: list[str]


def _sort_lines(lines: list[str], node: MappingNode, rank: Rank) -> None:
    keys = [key for key, _ in node.value]
    starts = [key.start_mark.line for key in keys]
    if len(set(starts)) < len(starts) or starts != sorted(starts):
        return
    column, first = keys[0].start_mark.column, starts[0]
    last = _end(lines, max(starts[-1], *(_last_line(value) for _, value in node.value)) + 1, column)
    prefix = lines[first][:column]
    dashed = _DASHES.fullmatch(prefix) is not None
    if prefix.strip() and not dashed:
        return
    heads = [first, *(_head(lines, start, above, column) for above, start in pairwise(starts))]
    entries = [
        _Entry(rank(key.value), lines[head:start], lines[start:end])
        for key, head, start, end in zip(keys, heads, starts, [*heads[1:], last], strict=True)
    ]
    ordered = sorted(entries, key=lambda entry: entry.rank)
    if ordered == entries:
        return
    if dashed:
        _move_dash(entries[0], ordered[0], prefix)
    lines[first:last] = [line for entry in ordered for line in (*entry.above, *entry.body)]


def _move_dash(first: _Entry, new: _Entry, prefix: str) -> None:
    """The dash of a list goes to the new first key, and what is said above that key goes above the dash."""
    column, dash = len(prefix), prefix.index("-")
    first.body[0] = " " * column + first.body[0][column:]
    new.above[:] = [f"{' ' * dash}{line.strip()}".rstrip() for line in new.above]
    new.body[0] = prefix + new.body[0][column:]


def _head(lines: list[str], start: int, above: int, column: int) -> int:
    """The first line of what is said just above a key: comments no deeper than it, and blank lines."""
    at = start
    while at - 1 > above and _BLANK_OR_COMMENT.match(lines[at - 1]) and _depth(lines[at - 1]) <= column:
        at -= 1
    return at


def _end(lines: list[str], at: int, column: int) -> int:
    """Past comments that are deeper than the keys, since they belong to the last of them."""
    end = at
    for number in range(at, len(lines)):
        if not _BLANK_OR_COMMENT.match(lines[number]) or (lines[number].strip() and _depth(lines[number]) <= column):
            break
        end = number + 1 if lines[number].strip() else end
    return end


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip()) if line.strip() else 0


def _last_line(node: Node) -> int:
    """The last line with something of it; an empty collection or text ends where it begins."""
    if _whole(node) or not node.value:
        start, end = int(node.start_mark.line), int(node.end_mark.line)
        return max(start, end - int(node.end_mark.column == 0))
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)
