"""Machines that were renamed: what each is called outside of the manifest, and what is wrong with saying so."""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.core.rules import origins
from reconciler.core.section import Loc
from reconciler.manifest.draft import Draft

Pair = tuple[int, str, str]


def known_names(raw: Mapping[str, Any]) -> dict[str, str]:
    """The old name of each renamed machine, by the new one, as far as the entries can be read."""
    return origins([(before, after) for _, before, after in _pairs(raw)])


def check_moves(draft: Draft) -> None:
    """Problems: a name that was left and is there still, one that is not there, the same one twice."""
    machines = {m.get("name"): i for i, m in enumerate(draft.raw["machines"]) if isinstance(m, dict)}
    pairs = list(_pairs(draft.raw))
    left: dict[str, Loc] = {}
    taken: dict[str, Loc] = {}
    after = {old: new for _, old, new in pairs}
    for index, old, new in pairs:
        here: Loc = ("moved", index)
        if old in machines:
            at = draft.origins.place(("machines", machines[old], "name"))
            hint = "take one of the two out; a machine that is there was not renamed"
            draft.problems.add(
                draft.origins.place((*here, "from")), f"there is a machine `{old}`, at {at[0]}:{at[1]}", hint
            )
        if _circles(new, after):
            hint = "write the name that the machine has now, or take the entries out"
            draft.problems.add(draft.origins.place(here), "this goes round in a circle", hint)
        elif new not in machines and new not in after:
            hint = "write the name that the machine has now, or take the entry out"
            draft.problems.add(draft.origins.place((*here, "to")), f"there is no machine `{new}`", hint)
        _once(old, left, (*here, "from"), draft)
        _once(new, taken, (*here, "to"), draft)


def _circles(name: str, after: Mapping[str, str]) -> bool:
    left = dict(after)
    while name in left:
        name = left.pop(name)
    return name in after


def _once(name: str, seen: dict[str, Loc], loc: Loc, draft: Draft) -> None:
    if seen.setdefault(name, loc) != loc:
        line = draft.origins.place(seen[name])[1]
        draft.problems.add(draft.origins.place(loc), f"`{name}` is there twice", f"the first is in line {line}")


def _pairs(raw: Mapping[str, Any]) -> Iterator[Pair]:
    """Entries of another shape are told by the model."""
    entries = raw.get("moved")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and isinstance(entry.get("from"), str) and isinstance(entry.get("to"), str):
            yield index, entry["from"], entry["to"]
