"""One raw fleet out of the manifest, the files it includes, its machine sets, its defaults and the lock file."""

import glob
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reconciler.core.section import Loc
from reconciler.core.value import replace
from reconciler.manifest import lockfile
from reconciler.manifest.draft import Draft
from reconciler.manifest.fill import fill_defaults, fixed, merged
from reconciler.manifest.machinesets import machines_of
from reconciler.manifest.moves import known_names
from reconciler.manifest.origin import Entry, Origins
from reconciler.manifest.problems import Problems, mistyped, unknown
from reconciler.manifest.protocols import fitting
from reconciler.manifest.source import NOTHING, Source, Texts, read
from reconciler.manifest.upgrade import CURRENT, older_form, upgrade
from reconciler.manifest.words import sort_of

SHARED = ("agents", "delegationPolicies", "machinePolicies")
"""Named things that an included file may add to."""
INCLUDABLE = ("machines", "machineSets", *SHARED, "include")
TOP = ("apiVersion", "kind", "operator", "defaults", "machineSets", "include")
"""Keys of a manifest that are gone once it is merged."""
NOT_DEFAULTS = ("name", "address", "key")


def assemble(root: Source, problems: Problems, lock: Path, known: Iterable[str], instead: Texts = NOTHING) -> Draft:
    """`known` are the keys of the model, to tell a missing key from a mistyped one; `instead` is read for files."""
    known = (*known, *TOP)
    if form := older_form(root):
        upgrade(root, form)
    raw = {key: value for key, value in root.data.items() if key not in (*TOP, "machines")}
    draft = Draft({**raw, "machines": []}, Origins(Entry(root)), problems, instead=instead, form=form)
    _header(root, problems, known)
    _operators(root, draft, known)
    for key in SHARED:
        _name_all(root, key, draft)
    _add_file(root, draft)
    lockfile.merge(lock, draft)
    _apply_defaults(root, draft)
    return draft


def _header(root: Source, problems: Problems, known: Iterable[str]) -> None:
    for key, wanted in (("apiVersion", CURRENT), ("kind", "Fleet")):
        if key not in root.data:
            if not mistyped(key, root.data, known):
                problems.add(root.place(), f"missing key `{key}`", f"write `{key}: {wanted}` at the top")
        elif root.data[key] != wanted:
            problems.add(root.place((key,)), f"`{key}` must be `{wanted}`", f"write `{key}: {wanted}`")


def _operators(root: Source, draft: Draft, known: Iterable[str]) -> None:
    if "operator" not in root.data:
        if "operators" not in root.data:
            if not mistyped("operator", root.data, known) and not mistyped("operators", root.data, known):
                said = "missing key `operator`"
                draft.problems.add(root.place(), said, "write `operator: {key: {env: PEAQOS_PRIVATE_KEY}}`")
            draft.raw["operators"] = {}
        return
    if "operators" in root.data:
        said = "`operator` and `operators` cannot both be there"
        draft.problems.add(root.place(("operator",), key=True), said, "move it to `operators: {default: …}`")
        return
    draft.raw["operators"] = {"default": root.data["operator"]}


def _name_all(source: Source, key: str, draft: Draft) -> None:
    value = source.data.get(key)
    for name in value if isinstance(value, dict) else ():
        draft.origins.named[(key, name)] = Entry(source)


def _add_file(source: Source, draft: Draft) -> None:
    """The machines of a file: its own, those of its sets, those of the files it includes."""
    draft.texts[source.path] = source.text
    draft.origins.sources.append(source)
    for index, machine in enumerate(_list(source, "machines", draft.problems)):
        draft.raw["machines"].append(machine)
        draft.origins.machines.append(Entry(source, ("machines", index)))
    for index, _ in enumerate(_list(source, "machineSets", draft.problems)):
        for machine, entry in machines_of(source, index, draft.texts, draft.problems):
            draft.raw["machines"].append(machine)
            draft.origins.machines.append(entry)
    for index, pattern in enumerate(_list(source, "include", draft.problems)):
        _include(source, ("include", index), pattern, draft)


def _list(source: Source, key: str, problems: Problems) -> list[Any]:
    value = source.data.get(key, [])
    if isinstance(value, list):
        return value
    problems.add(source.place((key,)), f"expected a list, got {sort_of(value)}", "begin each entry with `- `")
    return []


def _include(source: Source, loc: Loc, pattern: object, draft: Draft) -> None:
    if not isinstance(pattern, str):
        draft.problems.add(source.place(loc), f"expected a file pattern, got {sort_of(pattern)}")
        return
    paths = _matching(source, pattern)
    if not paths:
        draft.problems.add(source.place(loc), f"`{pattern}` matches no file", f"patterns are relative to {source.file}")
    for path in paths:
        if path.resolve() not in {known.resolve() for known in draft.texts}:
            included = read(path, str(path), draft.problems, draft.instead)
            if included is not None:
                if draft.form:
                    upgrade(included, draft.form)
                _add_included(included, draft)


def _matching(source: Source, pattern: str) -> list[Path]:
    here = source.path.parent
    names = sorted(glob.glob(pattern, root_dir=here, recursive=True))  # noqa: PTH207
    return [here / name for name in names if (here / name).is_file()]


def included_paths(source: Source) -> list[Path]:
    """The files that a file includes directly."""
    patterns = source.data.get("include")
    patterns = patterns if isinstance(patterns, list) else []
    return [path for pattern in patterns if isinstance(pattern, str) for path in _matching(source, pattern)]


def _add_included(source: Source, draft: Draft) -> None:
    for key, value in source.data.items():
        if key not in INCLUDABLE:
            message, hint = unknown("key", key, INCLUDABLE, "an included file may hold")
            draft.problems.add(source.place((key,), key=True), message, hint)
        elif key in SHARED:
            _share(source, key, value, draft)
    _add_file(source, draft)


def _share(source: Source, key: str, value: object, draft: Draft) -> None:
    if not isinstance(value, dict):
        draft.problems.add(source.place((key,)), f"expected a mapping of names, got {sort_of(value)}")
        return
    known = draft.raw.setdefault(key, {})
    for name in value:
        if isinstance(known, dict) and name in known:
            file, line, _ = draft.origins.place((key, name), key=True)
            draft.problems.add(
                source.place((key, name), key=True), f"`{name}` is there twice", f"the first is at {file}:{line}"
            )
    if isinstance(known, dict):
        _name_all(source, key, draft)
        draft.raw[key] = {**known, **value}


def _apply_defaults(root: Source, draft: Draft) -> None:
    defaults = root.data.get("defaults")
    if "defaults" not in root.data:
        return
    if not isinstance(defaults, dict):
        draft.problems.add(root.place(("defaults",)), f"expected a mapping, got {sort_of(defaults)}")
        return
    for key in NOT_DEFAULTS:
        if key in defaults:
            said = f"`{key}` cannot be a default: each machine has its own"
            draft.problems.add(root.place(("defaults", key), key=True), said, "write it under the machine")
    usable = {key: value for key, value in defaults.items() if key not in NOT_DEFAULTS}
    base = Entry(root, ("defaults",))
    draft.defaults, draft.defaults_data = base, usable
    _put_under(usable, base, draft)


def _put_under(defaults: Mapping[str, Any], base: Entry, draft: Draft) -> None:
    machines, known, shared = draft.raw["machines"], known_names(draft.raw), fixed(defaults)
    for index, machine in enumerate(machines):
        if isinstance(machine, dict):
            outside = {**machine, "name": known.get(str(machine.get("name")), machine.get("name"))}
            entry = draft.origins.machines[index]
            draft.origins.machines[index] = replace(entry, base=base)
            mine = fitting(defaults, machine, draft.raw)
            machines[index] = merged(machine, fill_defaults(mine, outside, base, shared, draft.problems))
