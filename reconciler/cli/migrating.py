"""From machines of protocol v1 to a manifest that has a v2 successor for each: asked about, and written as text."""

import asyncio
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from reconciler.adapters.journal_store import JournalStore
from reconciler.cli.options import Options
from reconciler.cli.render.progress import Meter
from reconciler.cli.selecting import Terms, describing, selected
from reconciler.cli.unkeyed import without_absent_keys
from reconciler.cli.wiring import Project, connected, open_project
from reconciler.core.adoption import Found
from reconciler.core.errors import ConfigError
from reconciler.core.fleet import Machine
from reconciler.core.section import NAME
from reconciler.core.succession import Forerunner
from reconciler.core.value import Value, field
from reconciler.engine.adopt import identify
from reconciler.manifest.adopted import Entry
from reconciler.manifest.succeed import Asked, Successors

HAS_ONE = "there is a successor already"


class Migration(Value):
    """What a manifest is to say, and of which machines it says nothing new."""

    texts: Mapping[Path, str] = field(default_factory=dict)
    """By file that changes."""
    diff: str = ""
    successors: Mapping[str, str] = field(default_factory=dict)
    """New machines by the names of those whose places they take."""
    retired: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    """By machine that was chosen and of which not all is written: why."""

    wants_keys: bool = False
    """True where new machines own themselves, and nobody has made their keys yet."""

    @property
    def instead(self) -> Mapping[Path, str]:
        return {path.resolve(): text for path, text in self.texts.items()}


async def work_out(options: Options, asked: Asked, only: Terms, skip: Terms, *, deactivate: bool) -> Migration:
    """Reads the world for the ids of the machines. ConfigError where a new machine could not have its name."""
    project = without_absent_keys(open_project(options))
    machines = list(_chosen(project, only, skip))
    found = await _found(options, project, machines)
    writer = Successors(options.file, project.fleet, asked)
    answers = {machine.name: _answer(machine, found.get(machine.name), project, writer) for machine in machines}
    entries = {name: answer for name, answer in answers.items() if isinstance(answer, Entry)}
    notes = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
    _check_names(entries, project)
    followed = {name for name in answers if name in entries or notes[name] == HAS_ONE} if deactivate else set()
    tabled = followed & _tabled(project)
    notes |= dict.fromkeys(sorted(tabled), "it is made from a table: write `state: retired` there")
    changed = list(writer.texts(list(entries.values()), followed - tabled))
    return Migration(
        {source.path: text for source, text in changed},
        "".join(_diff(source.file, source.text, text) for source, text in changed),
        {name: entry.name for name, entry in entries.items()},
        tuple(name for name in answers if name in followed - tabled),
        notes,
        any("key" in entry.content for entry in entries.values()),
    )


def _chosen(project: Project, only: Terms, skip: Terms) -> Iterator[Machine]:
    """The v1 machines in service that the selection is about."""
    selection, describe = selected(project, only, skip), describing(project)
    names = {r.machine for r in project.resources if not selection.refused(describe(r))}
    return (machine for machine in project.fleet.of("v1") if machine.name in names)


async def _found(options: Options, project: Project, machines: Sequence[Machine]) -> Mapping[str, Found]:
    """Those that are registered, by name. Raises what cannot be read: no machine is left out for that."""
    wanted = [machine for machine in machines if not _obstacle(machine, project)]
    journal = JournalStore.read_only(options.state_directory / "journal.sqlite")
    with Meter(options, "reading", len(wanted)) as meter:
        async with connected(project, options, journal, meter.event) as session:
            reader = await session.world.snapshot(0)
            found = await asyncio.gather(
                *(identify(machine.address or "", project.kinds, reader) for machine in wanted)
            )
    return {machine.name: each for machine, each in zip(wanted, found, strict=True) if each is not None}


def _obstacle(machine: Machine, project: Project) -> str:
    """Why the manifest alone says that a machine gets no successor, or ""."""
    if machine.name in project.fleet.successors:
        return HAS_ONE
    if machine.state == "retired":
        return "it is retired"
    return "it is suspended" if machine.suspended else ""


def _answer(machine: Machine, found: Found | None, project: Project, writer: Successors) -> Entry | str:
    """The entry of its successor, or why there is none."""
    network, operator = project.fleet.network, project.fleet.operator_of(machine).address or ""
    if obstacle := _obstacle(machine, project):
        return obstacle
    if found is None:
        return "it is not registered"
    if found.operator and found.operator.lower() != operator.lower():
        return f"it is registered by another operator, {found.operator}"
    registry = network.contracts.at("identityRegistry")
    entry = writer.entry(machine, Forerunner(network.chain_id, registry, found.id, machine.address or ""))
    return entry or "it has no market.machineType: say --machine-type"


def _check_names(entries: Mapping[str, Entry], project: Project) -> None:
    taken = {machine.name for machine in project.fleet.machines}
    for old, entry in entries.items():
        if entry.name in taken or not re.fullmatch(NAME, entry.name):
            message = f"the successor of {old} cannot be called {entry.name!r}"
            raise ConfigError(message, hint="say another --name with {name} in it")
        taken.add(entry.name)


def _tabled(project: Project) -> set[str]:
    """Machines that are rows of tables, and so are written out nowhere."""
    entries = zip(project.fleet.machines, project.manifest.origin.machines, strict=True)
    return {machine.name for machine, entry in entries if entry.row is not None}


def _diff(file: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), file, file, lineterm="")
    return "".join(f"{line}\n" for line in lines)
