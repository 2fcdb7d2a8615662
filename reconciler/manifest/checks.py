"""Mistakes across entries: two of the same, an address of another, an operator that is not there.

These look at the plain data, so that they are told together with what the model refuses.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reconciler.core.section import Loc
from reconciler.manifest.draft import Draft
from reconciler.manifest.networks import ADDRESSES
from reconciler.manifest.problems import nearest, unknown
from reconciler.manifest.protocols import has_account

Entries = list[tuple[Loc, dict[str, Any]]]
Checksum = Callable[[str], str]
"""The EIP-55 spelling of an address."""

_ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
_REFERENCES = ("env", "file", "keystore", "command")


def check(draft: Draft, checksum: Checksum | None) -> None:
    machines: Entries = [(("machines", i), m) for i, m in enumerate(draft.raw["machines"]) if isinstance(m, dict)]
    others: Entries = [
        ((place, name), entry)
        for place in ("operators", "agents")
        for name, entry in _mapping(draft.raw.get(place)).items()
        if isinstance(entry, dict)
    ]
    _names(machines, draft)
    _addresses(others, machines, draft)
    _keys([*others, *machines], draft)
    for loc, machine in machines:
        _reachable(loc, machine, draft)
    if checksum is not None:
        _spelling(draft, checksum)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(machines: Entries, draft: Draft) -> None:
    first: dict[str, Loc] = {}
    for loc, machine in machines:
        if isinstance(name := machine.get("name"), str):
            if name in first:
                _twice(f"two machines are called `{name}`", (*loc, "name"), (*first[name], "name"), draft)
            first.setdefault(name, loc)


def _twice(message: str, loc: Loc, first: Loc, draft: Draft) -> None:
    file, line, _ = draft.origins.place(first)
    draft.problems.add(draft.origins.place(loc), message, f"the first is at {file}:{line}")


def _addresses(others: Entries, machines: Entries, draft: Draft) -> None:
    """An agent may be its own operator's account; a machine is always somebody of its own."""
    first: dict[str, Loc] = {}
    for loc, entry in [*others, *machines]:
        if isinstance(address := entry.get("address"), str):
            seen = first.setdefault(address.lower(), loc)
            if seen != loc and (loc[0] == "machines" or loc[0] == seen[0]):
                whose = f"{str(seen[0])[:-1]} `{_called(seen, draft)}`"
                _twice(f"this is the address of the {whose} already", (*loc, "address"), (*seen, "address"), draft)


def _called(loc: Loc, draft: Draft) -> str:
    if loc[0] == "machines":
        return str(draft.raw["machines"][loc[1]].get("name", loc[1]))
    return str(loc[1])


def _keys(entries: Entries, draft: Draft) -> None:
    first: dict[tuple[str, str], Loc] = {}
    for loc, entry in entries:
        for reference in _REFERENCES:
            value = _mapping(entry.get("key")).get(reference)
            if isinstance(value, str):
                seen = first.setdefault((reference, value), loc)
                if seen != loc and (loc[0] == "machines" or loc[0] == seen[0]):
                    whose = f"{str(seen[0])[:-1]} `{_called(seen, draft)}`"
                    at, before = (*loc, "key", reference), (*seen, "key", reference)
                    _twice(f"this is the key of the {whose} already", at, before, draft)


def _reachable(loc: Loc, machine: dict[str, Any], draft: Draft) -> None:
    operators = _mapping(draft.raw.get("operators"))
    wanted = machine.get("operator", "default")
    if isinstance(wanted, str) and wanted not in operators and "operators" in draft.raw and operators:
        at = (*loc, "operator")
        draft.problems.add(draft.origins.place(at), *unknown("operator", wanted, operators, "there are"))
    nobody = machine.get("key") is None or _mapping(machine.get("v1")).get("custody") == "none"
    if nobody and has_account(machine, draft.raw) and machine.get("address") is None and not _mistyped(machine):
        hint = "write its `address`, or make a key with `fleetctl keys generate`"
        draft.problems.add(draft.origins.place((*loc, "name")), "a machine needs an address or a key", hint)


def _mistyped(machine: dict[str, Any]) -> bool:
    return any(nearest(key, ("address", "key")) for key in machine if key not in ("address", "key"))


def _spelling(draft: Draft, checksum: Checksum) -> None:
    for loc, address in _all_addresses(draft.raw, ()):
        # Those of the presets are known to be right, and a fleet that has no others need not import how to tell.
        if _mixed(address) and address not in ADDRESSES and (right := checksum(address.lower())) != address:
            place = draft.origins.place(loc)
            draft.problems.add(place, "the address has a wrong EIP-55 checksum", f"if it is right, write {right}")


def _all_addresses(value: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    """Values of the keys that hold addresses, inside a mapping or a list."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        # Most of a large fleet is text that is no address: that is seen soonest.
        if isinstance(item, str):
            if len(item) == 42 and _ADDRESS.fullmatch(item) and _holds_addresses(at := (*loc, key)):
                yield at, item
        elif isinstance(item, dict | list):
            yield from _all_addresses(item, (*loc, key))


def _holds_addresses(loc: Loc) -> bool:
    named = str(loc[-1]).lower().endswith("address") or loc[:2] == ("network", "contracts")
    return named or ("v2" in loc and loc[-1] in ("manufacturer", "owner", "controller"))


def _mixed(address: str) -> bool:
    return address[2:] not in (address[2:].lower(), address[2:].upper())
