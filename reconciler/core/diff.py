"""Comparing one declared field with one observed field."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.core.address import placeholders
from reconciler.core.change import FieldChange

# Tuples: a union is made anew each time, and these are asked for every field of a fleet.
_PLAIN, _LISTS = (str, int, float, type(None)), (list, tuple)
_ACCOUNT = re.compile(r"(did:[\w:]+:)?0x[0-9a-fA-F]{40}")


def same(declared: Any, observed: Any) -> bool:
    """Equal as data: numbers by value (5 is 5.0), sequences as sets of items, maps by content, null for absent there.

    The letters of an account address, or of the DID of one, have no case: it is only a checksum.
    """
    if isinstance(declared, str) and isinstance(observed, str) and _ACCOUNT.fullmatch(declared):
        return declared.lower() == observed.lower()
    if isinstance(declared, _PLAIN) and isinstance(observed, _PLAIN):
        return bool(declared == observed)
    before, after = _listed(observed), _listed(declared)
    if before == after:
        return True
    # Slow to import, and a thousand times as slow as ==, while mostly nothing differs.
    from deepdiff import DeepDiff

    return not DeepDiff(before, after, ignore_order=True, ignore_numeric_type_changes=True)


def _listed(value: Any) -> Any:
    """`value` with plain lists and dicts, as JSON has them, and nothing in a dict that is null."""
    if isinstance(value, Mapping):
        return {key: _listed(item) for key, item in value.items() if item is not None}
    return [_listed(item) for item in value] if isinstance(value, _LISTS) else value


def compare(declared: Mapping[str, Any], observed: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """A FieldChange for each declared field that differs; None declared means "not mine", and never differs.

    A declared value that is known only after apply always counts as a change.
    """
    return tuple(
        FieldChange(name, observed.get(name), value)
        for name, value in declared.items()
        if value is not None and (any(placeholders(value)) or not same(value, observed.get(name)))
    )


def left_alone(found: Iterable[FieldChange], chosen: Iterable[FieldChange]) -> dict[str, object]:
    """Observed values, by field, of those differences that are not to be changed."""
    names = {change.field for change in chosen}
    return {change.field: change.before for change in found if change.field not in names}
