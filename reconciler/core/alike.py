"""What says the same is one object: the machines of a large fleet mostly repeat each other."""

from collections.abc import Hashable, Mapping
from typing import Any, TypeVar, cast

from reconciler.core.section import Section

SectionT = TypeVar("SectionT", bound=Section)
_PLAIN = (str, int, float)
MOST = 5_000
"""Values that are known at a time: what is said so often is known again soon."""


class Alike:
    """Knows values that it was given. Nothing in a manifest or an answer is ever changed: nobody sees a difference."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}

    def thinned(self, section: SectionT) -> SectionT:
        """`section`, made of parts that were met before where it can be."""
        written: set[str] = self._known.setdefault(frozenset(section.model_fields_set), section.model_fields_set)
        parts = {name: self.one(part) for name, part in section}
        return cast(SectionT, type(section).model_construct(written, **parts))

    def one(self, part: Any) -> Any:
        """An equal value that was met before, or else this one."""
        if part is None or isinstance(part, _PLAIN):
            return part
        key = _key(part)
        if len(self._known) > MOST:
            self._known.clear()
        if key not in self._known:
            self._known[key] = self.thinned(part) if isinstance(part, Section) else part
        return self._known[key]


def _key(value: Any) -> Hashable:
    """Differs where anything does: which fields were written, the order of names, and whether it is 1, 1.0 or true."""
    kind = type(value)
    if kind is str or value is None:
        return cast(Hashable, value)
    if isinstance(value, _PLAIN):
        return kind, value
    if isinstance(value, Section):
        return kind, frozenset(value.model_fields_set), tuple(map(_key, value.__dict__.values()))
    if isinstance(value, tuple | list):
        return kind, tuple(map(_key, value))
    if isinstance(value, Mapping):
        return Mapping, tuple((name, _key(item)) for name, item in value.items())
    return kind, value
