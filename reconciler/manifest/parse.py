"""The way in: a path to a checked fleet, or every problem with it."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconciler.core import ignoring, windows
from reconciler.core.errors import ManifestError, Problem
from reconciler.core.fleet import Fleet
from reconciler.core.kind import AnyKind
from reconciler.core.section import Loc
from reconciler.core.value import Value
from reconciler.manifest import lockfile
from reconciler.manifest.assemble import assemble
from reconciler.manifest.checks import Checksum, check
from reconciler.manifest.draft import Draft
from reconciler.manifest.endpoints import settle
from reconciler.manifest.explain import Fault, explain
from reconciler.manifest.model import fleet_model
from reconciler.manifest.moves import check_moves
from reconciler.manifest.origin import Origins
from reconciler.manifest.problems import Problems
from reconciler.manifest.protocols import check_protocols, unused
from reconciler.manifest.shape import keys
from reconciler.manifest.source import NOTHING, Texts, read


class Manifest(Value):
    """A fleet that was found free of mistakes."""

    fleet: Fleet
    path: Path
    files: tuple[Path, ...]
    """Every file it came from, the manifest itself first."""
    digest: str
    """SHA-256 over all these files."""
    notices: tuple[str, ...]
    form: str
    """The older form that it is written in, or ""."""
    origin: Origins

    def problem(self, loc: Loc, message: str, hint: str = "") -> Problem:
        """A later finding about this fleet, at the place where it was written."""
        return Problem(*self.origin.place(loc), message, hint)

    def files_of(self, machine: int) -> tuple[str, ...]:
        """Where this machine is written, seen from the manifest: its file, and the table it is a row of."""
        entry = self.origin.machines[machine]
        files = (entry.file, *([entry.row[0]] if entry.row else []))
        return tuple(_seen_from(self.path.parent, file) for file in files)


@cache
def _seen_from(directory: Path, file: str) -> str:
    return Path(os.path.relpath(file, directory)).as_posix()


def load(
    path: Path,
    kinds: Mapping[str, AnyKind],
    environ: Mapping[str, str] | None,
    *,
    checksum: Checksum | None = None,
    instead: Texts = NOTHING,
) -> Manifest:
    """Reads a manifest and all that belongs to it. `environ` None leaves `${VAR}` alone; `instead` is read for files.

    Raises ManifestError with every problem.
    """
    problems = Problems()
    root = read(path, str(path), problems, instead)
    if root is None:
        raise ManifestError(problems.sorted())
    model = fleet_model(kinds)
    draft = assemble(root, problems, lockfile.beside(path), keys(model), instead)
    settle(draft, environ)
    check(draft, checksum)
    check_protocols(draft)
    check_moves(draft)
    _check_unused_defaults(model, draft)
    fleet = _checked(model, draft)
    if fleet is not None:
        _ask_kinds(fleet, kinds, draft)
    if fleet is None or problems:
        raise ManifestError(problems.sorted())
    draft.origins.forget()
    files, notices = tuple(draft.texts), tuple(draft.notices)
    return Manifest(fleet, path, files, _digest(draft.texts), notices, draft.form, draft.origins)


def _checked(model: type[Fleet], draft: Draft) -> Fleet | None:
    try:
        return _validate(model, draft.raw)
    except ValidationError as error:
        faults: list[Fault] = list(error.errors(include_url=False))
    if _read_cells(faults, draft):
        return _checked(model, draft)
    explain(faults, model, draft)
    return None


def _check_unused_defaults(model: type[Fleet], draft: Draft) -> None:
    """Defaults under no machine are still read, as those of one that needs nothing else."""
    left = unused(draft.defaults_data, draft)
    if not left or draft.defaults is None:
        return
    origins = replace(draft.origins, machines=[draft.defaults])
    stand_in = replace(draft, raw={**draft.raw, "machines": [left]}, origins=origins)
    try:
        _validate(model, stand_in.raw)
    except ValidationError as error:
        faults: list[Fault] = list(error.errors(include_url=False))
        own = [fault for fault in faults if fault["loc"][:1] == ("machines",) and fault["type"] != "missing"]
        explain(own, model, stand_in)


def _validate(model: type[Fleet], raw: dict[str, Any]) -> Fleet:
    # As JSON, so that strict means YAML's types: a list may be a tuple, but text is no number.
    return model.model_validate_json(json.dumps(raw), strict=True, by_alias=True, by_name=False)


_CELLS: dict[str, Callable[[str], object]] = {
    "int_type": int,
    "float_type": float,
    "bool_type": lambda text: {"true": True, "false": False}[text.lower()],
}


def _read_cells(faults: list[Fault], draft: Draft) -> bool:
    """Cells of a CSV are text: reads those as numbers that must be. True where any could be."""
    read_now = [_read_cell(fault, draft) for fault in faults if fault["type"] in _CELLS]
    return any(read_now)


def _read_cell(fault: Fault, draft: Draft) -> bool:
    loc, text = fault["loc"], fault["input"]
    if not (isinstance(text, str) and draft.origins.from_row(loc)):
        return False
    try:
        value = _CELLS[fault["type"]](text)
        holder: Any = draft.raw
        for part in loc[:-1]:
            holder = holder[part]
        holder[loc[-1]] = value
    except (ValueError, KeyError, IndexError, TypeError):
        return False
    return True


def _ask_kinds(fleet: Fleet, kinds: Mapping[str, AnyKind], draft: Draft) -> None:
    for kind in kinds.values():
        for mistake in kind.check(fleet):
            draft.problems.add(draft.origins.place(mistake.loc), mistake.message, mistake.hint)
    for mistake in (*ignoring.mistakes(fleet, kinds), *windows.mistakes(fleet)):
        draft.problems.add(draft.origins.place(mistake.loc), mistake.message, mistake.hint)


def _digest(texts: Mapping[Path, str]) -> str:
    digest = hashlib.sha256()
    for text in texts.values():
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()
