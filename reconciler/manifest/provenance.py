"""Where the value of a field comes from: the machine's own entry, a row and its template, a default, the lock file."""

from collections.abc import Iterable
from functools import cached_property

from ruamel.yaml.nodes import Node, ScalarNode

from reconciler.core.section import Loc
from reconciler.core.value import Value
from reconciler.manifest.origin import Entry
from reconciler.manifest.parse import Manifest
from reconciler.manifest.problems import Place
from reconciler.manifest.source import place_of, trail

BUILT_IN = "built in"
"""The manifest could say it, and does not."""


class Provenance(Value, dict=True):
    manifest: Manifest

    def first(self, locs: Iterable[Loc]) -> str:
        """The first of these places that is there, as file:line and by what way; `BUILT_IN` where none is."""
        return next((found for loc in locs if (found := self._found(loc))), BUILT_IN)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {machine.name: index for index, machine in enumerate(self.manifest.fleet.machines)}

    def _found(self, loc: Loc) -> str:
        """`loc` with machines by name; "" where nothing stands there."""
        if loc[0] == "machines" and len(loc) > 1:
            loc = ("machines", self._places[str(loc[1])], *loc[2:])
        entry, rest = self.manifest.origin.entry(loc)
        default = _at(entry.base, rest) if entry.base else ""
        if own := _at(entry, rest):
            return f"{own}, over the default at {default}" if default else own
        if default:
            return f"{default} (default)"
        locked = self.manifest.origin.locked.get(loc)
        return _shown(locked) if locked else ""


def _at(entry: Entry, loc: Loc) -> str:
    """Where `loc` stands in what was written there, or ""."""
    steps = trail(entry.node, loc)
    if len(steps) <= len(loc):
        return ""
    own = _shown(place_of(entry.file, steps))
    if entry.row is None:
        return own
    return f"{_shown(entry.row)}, template at {own}" if _filled(steps[-1][1]) else f"{own} (template)"


def _filled(node: Node) -> bool:
    """Whether a row gives the value, or a part of it."""
    if isinstance(node, ScalarNode):
        return "{" in str(node.value)
    parts = (part for item in node.value for part in (item if isinstance(item, tuple) else (item,)))
    return any(_filled(part) for part in parts)


def _shown(place: Place) -> str:
    return f"{place[0]}:{place[1]}"
