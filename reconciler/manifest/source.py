"""One YAML file: its plain data, and where each key and value of it stands."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import VersionedResolver

from reconciler.core.section import Loc
from reconciler.manifest.construct import construct, merges, repetition
from reconciler.manifest.problems import PRIVATE_KEY, Place, Problems

_PLAIN_WORDS = (
    ("cannot start any token", "a tab, `@`, `%` or a backquote cannot begin a value"),
    ("mapping values are not allowed", "`:` is not expected here"),
    ("expected a single document", "one file holds one document; `---` begins a second one"),
    ("could not find expected ':'", "a key without `:`"),
    ("while parsing a flow", "a `[` or `{` that is not closed, or a missing comma"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("while scanning a quoted scalar", "a quote that is not closed"),
)
_HINTS = (
    ("cannot start any token", "indent with spaces; put quotes around a value that begins with a special character"),
    ("mapping values are not allowed", "check the indentation, or put quotes around a value that contains `: `"),
    ("could not find expected ':'", "write `key: value`"),
    ("expected <block end>", "indent the keys of one mapping, and the dashes of one list, alike"),
)
Texts = Mapping[Path, str]
"""Texts that stand for those of files, by the whole paths of these."""
NOTHING: Texts = {}
Change = Callable[[Any, Node], None]
"""Changes what a file says and its nodes in place."""
# The parser takes quadratic time for these, long before it gives up. Two, for each is found by how it begins.
_TOO_DEEP = (re.compile(r"[\[{](?:\s*[\[{]){99}"), re.compile(r"[-?](?:[ \t]+[-?]){99}"))


@dataclass(eq=False)
class Source:
    """A file that was read: `file` is how it is shown, `data` is what it says until that is forgotten."""

    file: str
    path: Path
    text: str
    data: Any
    _node: Node | None
    _changes: list[Change] = field(default_factory=list)

    @property
    def node(self) -> Node:
        """Where everything stands. Composed of the text again where it was forgotten."""
        if self._node is None:
            self._node = self._composed()
        return self._node

    def _composed(self) -> Node:
        node = compose(self.text, self.file, Problems())
        if node is None:
            raise ValueError(f"{self.file} was read as YAML and is none any more")
        data = construct(node, self.file, Problems()) if self._changes else None
        for change in self._changes:
            change(data, node)
        return node

    def change(self, change: Change) -> None:
        """Have it say something else than its text, also once that is composed again."""
        change(self.data, self.node)
        self._changes.append(change)

    def forget(self) -> None:
        """Leave the text: nodes and data are many times as large, and hardly anybody asks for them again."""
        self._node = self.data = None

    def place(self, loc: Loc = (), *, key: bool = False) -> Place:
        return place_of(self.file, trail(self.node, loc), key=key)


def read_text(path: Path, file: str, problems: Problems, *, what: str = "manifest") -> str | None:
    """The text of a file. Problems: missing, a directory, unreadable, not UTF-8, a private key in it."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        problems.add((file, 0, 0), f"no such {what}", "check the path, or write a first one with `fleetctl init`")
        return None
    except IsADirectoryError:
        problems.add((file, 0, 0), "this is a directory", "name the file in it")
        return None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        column = error.start - error.object.rfind(b"\n", 0, error.start)
        problems.add((file, line, column), "not UTF-8 text", "save the file as UTF-8")
        return None
    except OSError as error:
        problems.add((file, 0, 0), f"cannot be read: {error.strerror}")
        return None
    _refuse_private_keys(text, file, problems)
    return text


def _refuse_private_keys(text: str, file: str, problems: Problems) -> None:
    for match in PRIVATE_KEY.finditer(text):
        line, column = position(text, match.start())
        problems.add(
            (file, line, column),
            "this looks like a private key; secrets are references, not values",
            "take it out of the file and of Git's history; name its place: `key: {env: NAME}` or `key: {file: PATH}`",
        )


def position(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def read(path: Path, file: str, problems: Problems, instead: Texts = NOTHING) -> Source | None:
    """The file, or the text that stands for it, as data and positions, or None with the problems that prevent it."""
    text = instead.get(path.resolve()) or read_text(path, file, problems)
    node = None if text is None else compose(text, file, problems)
    if text is None or node is None:
        return None
    if not isinstance(node, MappingNode):
        problems.add((file, *_mark(node)), "expected a mapping (`key: value` lines) at the top of the file")
        return None
    return Source(file, path, text, construct(node, file, problems), node)


def compose(text: str, file: str, problems: Problems) -> Node | None:
    """The nodes of one YAML document. Problems: malformed, empty, or a few aliases that stand for millions of nodes."""
    if any(pattern.search(text) for pattern in _TOO_DEEP):
        problems.add((file, 0, 0), "nested too deeply")
        return None
    try:
        node = _nodes(text)
    except MarkedYAMLError as error:
        problems.add((file, *_error_mark(error)), *_plain(error))
        return None
    except ReaderError as error:
        problems.add((file, *position(text, error.position or 0)), "a character that YAML does not allow")
        return None
    except (YAMLError, RecursionError, ValueError) as error:
        deep = isinstance(error, RecursionError)
        problems.add((file, 0, 0), "nested too deeply" if deep else "not valid YAML")
        return None
    if node is None:
        problems.add((file, 0, 0), "the file is empty", "write a first manifest with `fleetctl init`")
    # Every alias has a star, and most files have none.
    elif "*" in text and (said := repetition(node)):
        problems.add((file, 1, 1), said, "write the entries out, or use `defaults` and `machineSets`")
        return None
    return node


class _Resolver(VersionedResolver):
    """Finds the rules for numbers and the like once for a document; the library's own does so twice for each word."""

    @cached_property
    def versioned_resolver(self) -> Any:
        return super().versioned_resolver


def _nodes(text: str) -> Node | None:
    """As libyaml reads it, which is several times faster; what it refuses is told in the words of the other parser."""
    reader = YAML(typ="safe")
    reader.Resolver = _Resolver
    try:
        node: Node | None = reader.compose(text)
    except (YAMLError, RecursionError, ValueError):
        node = YAML(typ="safe", pure=True).compose(text)
    return node


def _error_mark(error: MarkedYAMLError) -> tuple[int, int]:
    mark = error.problem_mark or error.context_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _plain(error: MarkedYAMLError) -> tuple[str, str]:
    said = f"{error.problem or ''} {error.context or ''}"
    message = next((words for sign, words in _PLAIN_WORDS if sign in said), (error.problem or "not valid YAML").strip())
    return f"not valid YAML: {message}", next((hint for sign, hint in _HINTS if sign in said), "")


Step = tuple[Node | None, Node]
"""A key (None for a list item) and its value."""


def trail(node: Node, loc: Loc) -> list[Step]:
    """The steps from `node` along `loc`, as far as they exist; the first is the node itself."""
    steps: list[Step] = [(None, node)]
    for part in loc:
        found = _child(steps[-1][1], part)
        if found is None:
            break
        steps.append(found)
    return steps


def _child(node: Node, part: str | int) -> Step | None:
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    if isinstance(node, MappingNode):
        return next((step for step in _pairs(node) if step[0].value == str(part)), None)
    return None


def _pairs(node: MappingNode) -> Iterator[tuple[Node, Node]]:
    """Own pairs before those that `<<` brings in."""
    yield from (pair for pair in node.value if pair[0].value != "<<")
    for inner in merges(node):
        yield from _pairs(inner)


def place_of(file: str, steps: list[Step], *, key: bool = False) -> Place:
    """Where the last step stands: its value, or its key where asked or where the value begins on another line."""
    name, value = steps[-1]
    if name is not None and (key or not _stands_alone(value)):
        return (file, *_mark(name))
    return (file, *_mark(value))


def _stands_alone(value: Node) -> bool:
    if isinstance(value, ScalarNode):
        return bool(value.value)
    return isinstance(value, SequenceNode | MappingNode) and bool(value.flow_style)


def _mark(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
