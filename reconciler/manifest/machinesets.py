"""Machines out of tables: one machine for each row of a CSV, through a template."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.core.section import Loc
from reconciler.manifest.fill import filled, fixed
from reconciler.manifest.origin import Entry
from reconciler.manifest.problems import Place, Problems, mistyped, unknown
from reconciler.manifest.source import Source, read_text
from reconciler.manifest.words import sort_of

KEYS = ("from", "template")
Made = tuple[dict[str, Any], Entry]


def machines_of(source: Source, index: int, texts: dict[Path, str], problems: Problems) -> list[Made]:
    """The machines of one entry of `machineSets`, each with its template and row."""
    loc: Loc = ("machineSets", index)
    entry = source.data["machineSets"][index]
    if not isinstance(entry, dict):
        problems.add(source.place(loc), f"expected a mapping, got {sort_of(entry)}", "write `from:` and `template:`")
        return []
    for key in entry:
        if key not in KEYS:
            problems.add(source.place((*loc, key), key=True), *unknown("key", key, KEYS))
    template = entry.get("template")
    if "template" not in entry and mistyped("template", entry, KEYS):
        return []
    if not isinstance(template, dict):
        said = "missing key `template`" if "template" not in entry else f"expected a mapping, got {sort_of(template)}"
        problems.add(source.place((*loc, "template")), said, 'write `template: {name: "air-{id}", …}`')
        return []
    name = _csv_name(source, loc, entry.get("from"), problems)
    text = None if name is None else _csv_text(source, loc, name, texts, problems)
    if name is None or text is None:
        return []

    def complain(at: Loc, message: str, hint: str) -> None:
        problems.add(source.place((*loc, "template", *at)), message, hint)

    rows, at, shared = _rows(text, _beside(source, name), problems), (*loc, "template"), fixed(template)
    return [(filled(template, row, complain, shared), Entry(source, at, place)) for place, row in rows]


def _csv_name(source: Source, loc: Loc, value: object, problems: Problems) -> str | None:
    path = value.get("csv") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(path, str) and set(value) == {"csv"}:
        return path
    if value is None and mistyped("from", source.data[loc[0]][loc[1]], KEYS):
        return None
    said = "missing key `from`" if value is None else "expected `{csv: FILE}`"
    problems.add(source.place((*loc, "from")), said, "write `from: {csv: sensors.csv}`")
    return None


def _beside(source: Source, name: str) -> str:
    return str(Path(source.file).parent / name)


def _csv_text(source: Source, loc: Loc, name: str, texts: dict[Path, str], problems: Problems) -> str | None:
    path = source.path.parent / name
    file = _beside(source, name)
    if not path.is_file():
        problems.add(source.place((*loc, "from", "csv")), f"no such file: {file}", f"it is relative to {source.file}")
        return None
    text = read_text(path, file, problems)
    if text is not None:
        texts[path] = text
    return text


def _rows(text: str, file: str, problems: Problems) -> Iterator[tuple[Place, dict[str, str | None]]]:
    """The rows with something in them. Problems: no header, a column twice, a row of another length, bad quoting."""
    reader = csv.reader(text.splitlines(keepends=True), strict=True, skipinitialspace=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if not _good_header(header, file, problems):
            return
        for cells in reader:
            place = (file, reader.line_num, 1)
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                said = f"expected {len(header)} cells, as in the header, got {len(cells)}"
                problems.add(place, said, "quote a cell that contains a comma")
                continue
            yield place, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        problems.add((file, max(reader.line_num, 1), 1), f"not a CSV row: {error}", "check the quotes of this row")


def _good_header(header: list[str], file: str, problems: Problems) -> bool:
    if not header or not all(header):
        problems.add((file, 1, 1), "the first row must name every column", "write a header such as `id,address`")
        return False
    if twice := next((name for name in header if header.count(name) > 1), None):
        problems.add((file, 1, 1), f"the column `{twice}` is there twice", "give each column a name of its own")
        return False
    return True
