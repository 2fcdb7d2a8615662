"""Where each part of the merged fleet was written: in the manifest, an included file, `defaults` or a row of a CSV."""

from dataclasses import dataclass, field

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from reconciler.core.section import Loc
from reconciler.core.value import Value
from reconciler.manifest.problems import Place
from reconciler.manifest.source import Source, Step, place_of, trail


class Entry(Value):
    """One thing that was written in one place: `row` where a template was filled, `base` for what lies under it."""

    source: Source
    at: Loc = ()
    row: Place | None = None
    base: "Entry | None" = None

    @property
    def file(self) -> str:
        return self.source.file

    @property
    def node(self) -> Node:
        return trail(self.source.node, self.at)[-1][1]

    def place(self, loc: Loc, *, key: bool = False) -> Place:
        steps = trail(self.node, loc)
        missing = len(steps) - 1 < len(loc)
        if missing and self.base is not None and isinstance(steps[-1][1], MappingNode):
            below = trail(self.base.node, loc)
            if len(below) > len(steps):
                return place_of(self.base.file, below, key=key)
        if self.row and not key and _filled(steps[-1]):
            return self.row
        return place_of(self.file, steps, key=key)

    def text(self, loc: Loc) -> str | None:
        """The scalar at `loc` as it was written."""
        for node in (self.node, self.base.node if self.base else None):
            steps = trail(node, loc) if node is not None else []
            if len(steps) == len(loc) + 1 and isinstance(steps[-1][1], ScalarNode):
                return str(steps[-1][1].value)
        return None


def _filled(step: Step) -> bool:
    return isinstance(step[1], ScalarNode) and "{" in str(step[1].value)


@dataclass
class Origins:
    """Looks up places of the merged fleet, by the path that pydantic and the kinds name."""

    root: Entry
    machines: list[Entry] = field(default_factory=list)
    named: dict[Loc, Entry] = field(default_factory=dict)
    """The file of what is named, in the manifest or an included one: ("agents", name)."""
    locked: dict[Loc, Place] = field(default_factory=dict)
    """Where the lock file has what the manifest leaves out."""
    sources: list[Source] = field(default_factory=list)
    """The manifest and the files it includes."""

    def forget(self) -> None:
        """Once a fleet is made: places are found all the same, in files that are then looked through again."""
        for source in self.sources:
            source.forget()

    def place(self, loc: Loc, *, key: bool = False) -> Place:
        entry, rest = self.entry(loc)
        return entry.place(rest, key=key)

    def text(self, loc: Loc) -> str | None:
        entry, rest = self.entry(loc)
        return entry.text(rest)

    def from_row(self, loc: Loc) -> bool:
        return self.entry(loc)[0].row is not None

    def entry(self, loc: Loc) -> tuple[Entry, Loc]:
        """The entry that `loc` leads into, and the rest of the way."""
        if loc[:1] == ("machines",) and len(loc) > 1 and isinstance(loc[1], int) and loc[1] < len(self.machines):
            return self.machines[loc[1]], loc[2:]
        if loc[:2] in self.named:
            return self.named[loc[:2]], loc
        if loc[:1] == ("operators",) and len(trail(self.root.node, ("operators",))) == 1:
            return self.root, ("operator", *loc[2:])
        return self.root, loc
