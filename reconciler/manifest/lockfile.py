"""`fleet.lock.yaml`: public addresses of generated keys whose entries cannot hold them, such as rows of a CSV."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.core.section import Loc
from reconciler.manifest.draft import Draft
from reconciler.manifest.moves import known_names
from reconciler.manifest.problems import unknown
from reconciler.manifest.source import Source, read
from reconciler.manifest.words import sort_of

NAME = "fleet.lock.yaml"
PLACES = ("machines", "agents", "operators")
_HEAD = "# Public addresses of the keys of this fleet. Written by fleetctl; commit it.\n"


def beside(manifest: Path) -> Path:
    return manifest.parent / NAME


def merge(path: Path, draft: Draft) -> None:
    """Adds the addresses that the manifest leaves out. Problem: the manifest says otherwise."""
    if not path.is_file():
        return
    problems = draft.problems
    source = read(path, str(Path(draft.origins.root.file).parent / NAME), problems)
    if source is None:
        return
    draft.texts[path] = source.text
    for place, addresses in source.data.items():
        if place not in PLACES:
            problems.add(source.place((place,), key=True), *unknown("key", place, PLACES))
        elif not isinstance(addresses, dict):
            problems.add(source.place((place,)), f"expected a mapping of names, got {sort_of(addresses)}")
        elif place == "machines":
            _merge_machines(addresses, source, draft)
        else:
            _merge_named(place, addresses, source, draft)


def _merge_machines(addresses: Mapping[str, Any], source: Source, draft: Draft) -> None:
    machines, known = draft.raw["machines"], known_names(draft.raw)
    for index, machine in enumerate(machines):
        name = machine.get("name") if isinstance(machine, dict) else None
        locked = next((n for n in (name, known.get(str(name))) if isinstance(n, str) and n in addresses), None)
        if locked is not None:
            machines[index] = _located(machine, ("machines", index), source, ("machines", locked), draft)


def _merge_named(place: str, addresses: Mapping[str, Any], source: Source, draft: Draft) -> None:
    entries = draft.raw.get(place)
    if not isinstance(entries, dict):
        return
    known = {name: entry for name, entry in entries.items() if name in addresses and isinstance(entry, dict)}
    located = {name: _located(entry, (place, name), source, (place, name), draft) for name, entry in known.items()}
    draft.raw[place] = {**entries, **located}


def _located(entry: dict[str, Any], loc: Loc, source: Source, locked: Loc, draft: Draft) -> dict[str, Any]:
    """The entry with its locked address, unless it has one of its own."""
    address = source.data[locked[0]][locked[1]]
    if not isinstance(address, str):
        draft.problems.add(source.place(locked), f"expected an address, got {sort_of(address)}")
        return entry
    declared = entry.get("address")
    if declared is None:
        draft.origins.locked[(*loc, "address")] = source.place(locked)
        return {**entry, "address": address}
    if isinstance(declared, str) and declared.lower() != address.lower():
        line = source.place(locked)[1]
        hint = f"{source.file}:{line} says {address}; if the key was replaced, delete that line"
        draft.problems.add(draft.origins.place((*loc, "address")), f"another address than in {NAME}", hint)
    return entry


def written(addresses: Mapping[str, Mapping[str, str]]) -> str:
    """The text of a lock file, in an order that makes small diffs."""
    lines = [_HEAD]
    for place in PLACES:
        if entries := addresses.get(place):
            lines.append(f"{place}:\n")
            lines += [f"  {json.dumps(name)}: {json.dumps(entries[name])}\n" for name in sorted(entries)]
    return "".join(lines)
