"""Two spaces for each level of a YAML file, and one blank line at most; every line keeps its words."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from reconciler.core.value import Value

_STEP = 2
_LINE = re.compile(r"( *)((?:-(?: +|$))*)(.*)")
_MARKER = re.compile(r"---|\.\.\.|%")


def indented(text: str, inner: Collection[int]) -> str:
    """`text` with other indents. Lines of `inner` go on with one before and move along with it."""
    layout = _Layout()
    for number, line in enumerate(text.split("\n")):
        layout.add(line, inner=number in inner)
    return layout.finished()


class _Level(Value):
    was: int
    now: int
    dash: bool


@dataclass
class _Layout:
    lines: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    """Comments and blank lines whose place depends on what comes next."""
    levels: list[_Level] = field(default_factory=list)

    def add(self, line: str, *, inner: bool) -> None:
        if inner:
            self.lines += [*self.waiting, self._moved(line)]
            self.waiting = []
        elif not line.strip() or line.lstrip(" ").startswith("#"):
            self.waiting.append(line.rstrip())
        elif _MARKER.match(line):
            self._settle(list(self.levels), None)
            self.levels = []
            self.lines.append(line.rstrip())
        else:
            self._structure(line.rstrip())

    def finished(self) -> str:
        self._settle(list(self.levels), None)
        while self.lines and not self.lines[-1]:
            del self.lines[-1]
        return "\n".join(self.lines) + "\n"

    def _moved(self, line: str) -> str:
        if not line.strip() or not self.levels:
            return line
        shift = self.levels[-1].now - self.levels[-1].was
        return " " * shift + line if shift >= 0 else line[min(-shift, len(line) - len(line.lstrip(" "))) :]

    def _structure(self, line: str) -> None:
        before = list(self.levels)
        tokens = list(_tokens(line))
        for index, (column, dash) in enumerate(tokens):
            self._enter(column, dash=dash, beside=index > 0)
        first = self.levels[-len(tokens)]
        self._settle(before, first)
        dashes = sum(dash for _, dash in tokens)
        words = (_LINE.match(line) or [""] * 4)[3]
        self.lines.append((" " * first.now + "- " * dashes + words).rstrip())

    def _enter(self, column: int, *, dash: bool, beside: bool) -> None:
        """Leaves the levels that a token ends, and enters its own."""
        levels = self.levels
        while levels and (levels[-1].was > column or (levels[-1].was == column and levels[-1].dash and not dash)):
            del levels[-1]
        if levels and levels[-1].was == column and levels[-1].dash == dash and not beside:
            return
        levels.append(_Level(column, levels[-1].now + _STEP if levels else 0, dash))

    def _settle(self, before: list[_Level], coming: _Level | None) -> None:
        """Puts what waits where the coming line is, or where the lines before it are if it is deeper."""
        for line in self.waiting:
            if not line:
                if self.lines and self.lines[-1]:
                    self.lines.append("")
                continue
            column = len(line) - len(line.lstrip(" "))
            self.lines.append(" " * _place(column, before, coming) + line.lstrip(" "))
        self.waiting = []


def _place(column: int, before: list[_Level], coming: _Level | None) -> int:
    if coming is not None and column <= coming.was:
        return coming.now
    return next((level.now for level in reversed(before) if level.was <= column), 0)


def _tokens(line: str) -> Iterator[tuple[int, bool]]:
    """The columns of the dashes that begin a line, and of the words after them."""
    match = _LINE.match(line)
    lead, dashes, words = match.groups() if match else ("", "", line)
    yield from ((len(lead) + at, True) for at, sign in enumerate(dashes) if sign == "-")
    if words and not words.startswith("#"):
        yield len(lead) + len(dashes), False
