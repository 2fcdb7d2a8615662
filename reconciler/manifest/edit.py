"""Writing public addresses of new keys where they belong: into the entry, or into the lock file."""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node

from reconciler.core.errors import ConfigError, ManifestError
from reconciler.core.section import Loc
from reconciler.manifest import lockfile
from reconciler.manifest.assemble import included_paths
from reconciler.manifest.problems import Problems
from reconciler.manifest.source import Source, read, trail

Named = tuple[str, str]
"""A place and a name: ("machines", "air-001")."""


def write_addresses(path: Path, addresses: Mapping[Named, str]) -> tuple[Path, ...]:
    """Writes each address into the entry of that name, or into the lock file where the entry is made from a table.

    Returns the files that changed. Raises ManifestError where a file cannot be read, ConfigError where an entry has
    another address.
    """
    left = dict(addresses)
    changed: list[Path] = []
    for source in sources(path):
        edits = {name: loc for name in left if (loc := _written_out(source, name)) is not None}
        text = _edited(source, {loc: left[name] for name, loc in edits.items()})
        if text != source.text:
            replace_file(source.path, text)
            changed.append(source.path)
        for name in edits:
            del left[name]
    if left and _lock(lockfile.beside(path), left):
        changed.append(lockfile.beside(path))
    return tuple(changed)


def set_states(source: Source, names: Iterable[str], state: str) -> str:
    """The text with this state at each of these machines that is written out in this file."""
    found = [loc for name in names if (loc := _written_out(source, ("machines", name))) is not None]
    text = source.text
    for loc in sorted(found, key=lambda loc: -trail(source.node, loc)[-1][1].start_mark.index):
        steps = trail(source.node, (*loc, "state"))
        node = steps[len(loc)][1]
        if len(steps) > len(loc) + 1:
            there = steps[-1][1]
            text = text[: there.start_mark.index] + state + text[_end(there) :]
        elif isinstance(node, MappingNode):
            text = _with_line(text, node, f"state: {state}")
    return text


def sources(path: Path) -> list[Source]:
    """The file and all that it includes, each once. Raises ManifestError where one cannot be read."""
    problems = Problems()
    found: list[Source] = []
    waiting, seen = [path], set[Path]()
    while waiting:
        here = waiting.pop(0)
        if here.resolve() not in seen:
            seen.add(here.resolve())
            source = read(here, str(here), problems)
            found += [source] if source else []
            waiting += included_paths(source) if source else []
    if problems:
        raise ManifestError(problems.sorted())
    return found


def _written_out(source: Source, named: Named) -> Loc | None:
    """Where the entry of that name is written in this file."""
    place, name = named
    entries = source.data.get(place)
    if isinstance(entries, list):
        hits = [i for i, entry in enumerate(entries) if isinstance(entry, dict) and entry.get("name") == name]
        return (place, hits[0]) if hits else None
    if isinstance(entries, dict) and isinstance(entries.get(name), dict):
        return (place, name)
    if named == ("operators", "default") and isinstance(source.data.get("operator"), dict):
        return ("operator",)
    return None


def _edited(source: Source, addresses: Mapping[Loc, str]) -> str:
    """The text with each address put in, the last first so that the positions before it hold."""
    text = source.text
    for loc in sorted(addresses, key=lambda loc: -trail(source.node, loc)[-1][1].start_mark.index):
        node = trail(source.node, loc)[-1][1]
        if isinstance(node, MappingNode) and not _has(source, loc, addresses[loc]):
            text = _with_line(text, node, f"address: {json.dumps(addresses[loc])}")
    return text


def _has(source: Source, loc: Loc, address: str) -> bool:
    entry: Any = source.data
    for part in loc:
        entry = entry[part]
    if "address" not in entry:
        return False
    if str(entry["address"]).lower() == address.lower():
        return True
    file, line, _ = source.place((*loc, "address"))
    hint = "an address is never overwritten; remove it first if the key was replaced"
    raise ConfigError("there is another address already", where=f"{file}:{line}", hint=hint)


def _with_line(text: str, node: MappingNode, line: str) -> str:
    """After `name` where there is one, else first; in the style of the mapping."""
    if node.flow_style:
        return _in_flow(text, node, line)
    key, value = next((pair for pair in node.value if pair[0].value == "name"), (node.value[0][0], None))
    newline = "\r\n" if "\r\n" in text else "\n"
    if value is None:
        at = key.start_mark.index
        return f"{text[:at]}{line}{newline}{' ' * key.start_mark.column}{text[at:]}"
    return _after_line(text, value, f"{' ' * key.start_mark.column}{line}", newline)


def _in_flow(text: str, node: MappingNode, line: str) -> str:
    named = next((value for key, value in node.value if key.value == "name"), None)
    if named is not None:
        at = _end(named)
        return f"{text[:at]}, {line}{text[at:]}"
    at = node.start_mark.index + 1
    return f"{text[:at]}{line}{', ' if node.value else ''}{text[at:]}"


def _after_line(text: str, value: Node, line: str, newline: str) -> str:
    at = text.find("\n", _end(value))
    if at < 0:
        return f"{text}{newline}{line}{newline}"
    return f"{text[: at + 1]}{line}{newline}{text[at + 1 :]}"


def _end(node: Node) -> int:
    return int(node.end_mark.index)


def _lock(path: Path, addresses: Mapping[Named, str]) -> bool:
    known: dict[str, dict[str, str]] = {}
    if path.is_file():
        problems = Problems()
        source = read(path, str(path), problems)
        if source is None:
            raise ManifestError(problems.sorted())
        known = {place: dict(entries) for place, entries in source.data.items()}
    before = json.dumps(known, sort_keys=True)
    for (place, name), address in addresses.items():
        known.setdefault(place, {})[name] = address
    if json.dumps(known, sort_keys=True) == before:
        return False
    replace_file(path, lockfile.written(known))
    return True


def replace_file(path: Path, text: str) -> None:
    """The whole new file or the whole old one, whatever happens; a link stays a link."""
    target = path.resolve()
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(target.stat().st_mode & 0o777 if target.exists() else 0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
