"""The entry of a machine that takes the place of another, and the old entry retired: as text, and no more."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from reconciler.core.errors import ConfigError
from reconciler.core.fleet import Fleet, Machine
from reconciler.core.succession import Forerunner
from reconciler.core.value import Value
from reconciler.manifest.adopted import Additions, Entry
from reconciler.manifest.edit import set_states, sources
from reconciler.manifest.fill import filled
from reconciler.manifest.graft import grafted
from reconciler.manifest.problems import Problems
from reconciler.manifest.protocols import fitting
from reconciler.manifest.shape import keys, models_at
from reconciler.manifest.source import Source, read
from reconciler.manifest.undefault import undefaulted
from reconciler.manifest.upgrade import older_form, upgrade

CARRIED = ("operator", "labels", "protect", "metadata", "market", "pairings", "runtimeEndpoints")
"""What is of the machine whatever protocol it lives by."""
LINK = "#predecessor"


class Asked(Value):
    """What is asked of the new machines beside what the old ones say."""

    name: str = "{name}-v2"
    machine_type: str | None = None
    """None for that of the market block."""
    custody: str | None = None
    """None for that of the defaults."""
    owner: str | None = None

    def name_of(self, machine: Machine) -> str:
        return self.name.replace("{name}", machine.name)


class Successors:
    """Entries for one manifest. Raises ManifestError where it cannot be read."""

    def __init__(self, path: Path, fleet: Fleet, asked: Asked) -> None:
        self._sources, self._fleet, self._asked = sources(path), fleet, asked
        root = read_again(self._sources[0], self._sources[0].text)
        if form := older_form(root):
            upgrade(root, form)
        self._root, defaults = root.data, root.data.get("defaults")
        self._defaults: Mapping[str, Any] = defaults if isinstance(defaults, dict) else {}

    def entry(self, machine: Machine, forerunner: Forerunner) -> Entry | None:
        """The entry of a machine's successor; None where nothing says its machineType."""
        said = machine.model_dump(mode="json", by_alias=True, exclude_unset=True)
        content = {key: said[key] for key in CARRIED if key in said}
        market = content.get("market")
        kept = {key: value for key, value in market.items() if key != "recordId"} if market else {}
        head = {"name": self._asked.name_of(machine), "protocol": "v2", "successorOf": machine.name}
        under = self._under(head)
        block = self._block(kept.get("machineType"), forerunner, under.get("v2") or {})
        if block is None:
            return None
        content |= {"market": kept} if kept else {}
        carried = undefaulted(
            content, {key: value for key, value in under.items() if key in CARRIED}, type(self._fleet)
        )
        owns_itself = {**(under.get("v2") or {}), **block}.get("custody") == "machine"
        whole = {**head, **(_key(head["name"]) if owns_itself else {}), **_beside({**carried, "v2": block}, under)}
        order = list(keys(models_at(type(self._fleet), ("machines", 0))[0]))
        return Entry(dict(sorted(whole.items(), key=lambda item: order.index(item[0]))), ())

    def texts(self, entries: list[Entry], retired: Collection[str]) -> Iterator[tuple[Source, str]]:
        """Each file that changes, and its text with these entries in it and the old ones retired."""
        root, *included = self._sources
        for source in (root, *included):
            text = set_states(source, retired, "retired")
            if source is root and entries:
                text = grafted(read_again(source, text), Additions(machines=entries))
            if text != source.text:
                yield source, text

    def _under(self, head: Mapping[str, Any]) -> dict[str, Any]:
        """The defaults as they will stand under a new entry."""
        fits = fitting(self._defaults, head, self._root)
        under: dict[str, Any] = filled(fits, {"name": head["name"], "address": None}, lambda *_: None)
        return under

    def _block(
        self, market_type: str | None, forerunner: Forerunner, under: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        machine_type = self._asked.machine_type or market_type or under.get("machineType")
        if machine_type is None:
            return None
        link = {"id": LINK, "type": "Predecessor", "url": forerunner.did}
        block = {"machineType": machine_type, "credentialSubject": forerunner.text}
        block |= {"custody": self._asked.custody} if self._asked.custody else {}
        block |= {"owner": self._asked.owner} if self._asked.owner else {}
        return {**block, "serviceEndpoints": [*(under.get("serviceEndpoints") or []), link]}


def _key(name: str) -> dict[str, Any]:
    """A machine that owns itself signs with a key of its own: the old machine's account stays the old machine's."""
    return {"key": {"file": f"keys/{name}.key"}}


def _beside(content: Mapping[str, Any], under: Mapping[str, Any]) -> dict[str, Any]:
    """What the defaults under it do not say already."""
    result: dict[str, Any] = {}
    for key, value in content.items():
        below = under.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            if inner := _beside(value, below):
                result[key] = inner
        elif key not in under or value != below:
            result[key] = value
    return result


def read_again(source: Source, text: str) -> Source:
    """`text` in place of the file's."""
    again = read(source.path, source.file, Problems(), {source.path.resolve(): text})
    if again is None:
        raise ConfigError(f"{source.file} cannot be written in this form", hint="write its machines as a block")
    return again
