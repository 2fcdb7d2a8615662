"""What kinds say of machines that are there already, put together: names given, entries merged, all as plain data."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.core.adoption import Adopted, Found, Named
from reconciler.core.fleet import Fleet, Protocol
from reconciler.core.text import visible
from reconciler.core.value import Value
from reconciler.manifest.fill import merged
from reconciler.manifest.problems import PRIVATE_KEY
from reconciler.manifest.shape import keys, models_at

LONGEST = 63
SHORT = 12
"""Digits of an id that tell machines apart well enough for a name."""
_MISSING = object()


class Entry(Value):
    """One machine as it is to be written."""

    content: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.content["name"])


@dataclass
class Additions:
    """Everything that a manifest does not say yet."""

    machines: list[Entry] = field(default_factory=list)
    named: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Place, name, content: agents, policies."""
    fleet: dict[str, Any] = field(default_factory=dict)
    """For the top of a new manifest."""


def put_together(
    found: Iterable[tuple[Found, Sequence[Adopted]]], fleet: Fleet, operators: Mapping[str, str], lives: Protocol
) -> Additions:
    """`fleet` is what the machines join, and `lives` its protocol; `operators` are names by account in lower case."""
    additions, names, links = Additions(), _Names(fleet), _Links(fleet)
    entries: list[tuple[dict[str, Any], list[str]]] = []
    order = list(keys(models_at(type(fleet), ("machines", 0))[0]))

    def written(entry: Mapping[str, Any], notes: Iterable[str]) -> Entry:
        ranked = sorted(entry.items(), key=lambda item: order.index(item[0]))
        return Entry(dict(ranked), tuple(map(visible, notes)))

    for machine, parts in found:
        label = next((part.name for part in parts if part.name), "")
        notes = [note for part in parts for note in part.notes]
        entry: dict[str, Any] = {"name": names.machine(label, machine.id)}
        entry |= {"address": machine.address} if machine.address else {}
        entry |= {"protocol": machine.protocol} if machine.protocol != lives else {}
        if (operator := operators[machine.operator.lower()]) != "default":
            entry["operator"] = operator
        said: Any = {}
        for part in parts:
            said = merged(_said(part.machine, notes, ""), said)
            additions.fleet = merged(dict(part.fleet), additions.fleet)
        entry |= names.put(said, additions.named)
        links.names[machine.did.lower()] = entry["name"]
        links.followers += [(entry, part.follows) for part in parts if part.follows]
        entries.append((entry, notes))
    links.write()
    additions.machines = [written(*each) for each in entries]
    return additions


class _Links:
    """Which machine takes the place of which, written once all have their names."""

    def __init__(self, fleet: Fleet) -> None:
        self.names = {fleet.identity_of(machine).did.lower(): machine.name for machine in fleet.of("v1")}
        self.followers: list[tuple[dict[str, Any], str]] = []
        """Entries, each with the DID of the machine whose place it takes."""
        self._taken = set(fleet.successors)

    def write(self) -> None:
        for entry, follows in self.followers:
            former = self.names.get(follows.lower())
            # Only one may say so: a second one is just a machine.
            if former is not None and former not in self._taken:
                self._taken.add(former)
                entry["successorOf"] = former


class _Names:
    """Gives each thing a name that nothing else of its sort has."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._given: dict[tuple[str, str], str] = {}
        self._taken: dict[str, set[str]] = {"machines": {_folded(m.name) for m in fleet.machines}}

    def machine(self, label: str, machine_id: str) -> str:
        return self._free("machines", _slug(label) or f"machine-{machine_id[:SHORT]}", machine_id[:SHORT])

    def put(self, value: Any, named: dict[str, dict[str, Any]]) -> Any:
        """`value` with a name for each Named, and what is new among them added to `named`."""
        if isinstance(value, Named):
            return self._name(value, named)
        if isinstance(value, Mapping):
            return {key: self.put(item, named) for key, item in value.items()}
        return [self.put(item, named) for item in value] if isinstance(value, list | tuple) else value

    def _name(self, wanted: Named, named: dict[str, dict[str, Any]]) -> str:
        declared = self._declared(wanted.place)
        if wanted.exact and wanted.name in declared:
            return wanted.name
        if (wanted.place, wanted.key) not in self._given:
            self._taken.setdefault(wanted.place, {_folded(name) for name in declared})
            name = wanted.name if wanted.exact else self._free(wanted.place, _slug(wanted.name) or wanted.place, "")
            self._given[wanted.place, wanted.key] = name
            named.setdefault(wanted.place, {})[name] = _said(wanted.content, [], "")
        return self._given[wanted.place, wanted.key]

    def _declared(self, place: str) -> Mapping[str, Any]:
        """What the fleet keeps under names there."""
        field = next((n for n, f in type(self._fleet).model_fields.items() if f.alias == place), "")
        declared: Mapping[str, Any] = getattr(self._fleet, field, {})
        return declared

    def _free(self, place: str, name: str, ending: str) -> str:
        tries = [name, *([f"{name[: LONGEST - 1 - len(ending)]}-{ending}"] if ending else [])]
        tries += [f"{name[: LONGEST - 6]}-{number}" for number in range(2, 100_000)]
        free = next(each for each in tries if _folded(each) not in self._taken[place])
        self._taken[place].add(_folded(free))
        return free


def _folded(name: str) -> str:
    """Names that differ only in this would store their tokens under one name."""
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def _slug(text: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[^A-Za-z0-9._-]+", "-", bare).strip("-._")[:LONGEST]


def _said(value: Any, notes: list[str], path: str) -> Any:
    """`value` without what a manifest refuses to hold: what looks like a private key, and `${`."""
    left = _sayable(value, notes, path)
    return {} if left is _MISSING else left


def _sayable(value: Any, notes: list[str], path: str) -> Any:
    if isinstance(value, Mapping):
        kept = {key: _sayable(item, notes, f"{path}.{key}".lstrip(".")) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not _MISSING and not PRIVATE_KEY.search(key)}
    if isinstance(value, list | tuple):
        items = [_sayable(item, notes, path) for item in value]
        # A list less one of its items would say something else.
        return _MISSING if any(item is _MISSING for item in items) else items
    if isinstance(value, str) and ("${" in value or PRIVATE_KEY.search(value)):
        notes.append(f"{path} holds what a manifest may not, and is left as it is")
        return _MISSING
    return value
