"""From a fleet that is there already to the text of its manifest: found, asked about, written down and planned."""

import asyncio
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.adapters.attribute_logs import attribute_names, block_before
from reconciler.adapters.checksum import checksum
from reconciler.adapters.journal_store import JournalStore
from reconciler.adapters.reader import READ_ATTRIBUTE
from reconciler.cli.finding import Search, standing_kinds
from reconciler.cli.options import Options
from reconciler.cli.render.progress import Meter
from reconciler.cli.wiring import Project, Session, connected, open_project
from reconciler.core.adoption import Found
from reconciler.core.change import Action
from reconciler.core.errors import ConfigError, FleetError, ManifestError, Rejected
from reconciler.core.fleet import Protocol
from reconciler.core.plan import PlannedChange, Scene, build_plan
from reconciler.core.ports import Reader
from reconciler.core.section import ZERO_ADDRESS
from reconciler.core.value import Value, replace
from reconciler.engine.adopt import adopt
from reconciler.engine.survey import look_around, observe_all, quests
from reconciler.manifest.adopted import Additions, Entry, put_together
from reconciler.manifest.fresh import Head, fresh, skeleton
from reconciler.manifest.graft import grafted
from reconciler.manifest.problems import Problems
from reconciler.manifest.protocols import fitting
from reconciler.manifest.source import Source, read
from reconciler.manifest.undefault import undefaulted
from reconciler.manifest.upgrade import older_form, upgrade

ACCOUNT = re.compile(r"did:peaq:(0x[0-9a-fA-F]{40})")
SLACK = 60
"""Seconds before its first attribute was made in which one may stand in the logs all the same."""


class Wanted(Value):
    """Whose machines are asked for: one of the three, each of them addresses."""

    operators: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    """Operators or machines, whichever they are."""
    machines: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    """Names to look for instead of searching the chain's logs."""
    protocol: Protocol | None = None
    """Look only for machines that live by it."""


class Imported(Value):
    """The whole text, what is new in it, and what a plan of it would still have to say."""

    text: str
    machines: tuple[str, ...]
    notes: tuple[str, ...]
    """What the manifest cannot say, each once."""
    pending: tuple[str, ...]


async def import_fleet(options: Options, wanted: Wanted, head: Head | None) -> Imported:
    """`head` begins a new manifest; without one the machines join that of `options`."""
    with _base(options, head) as base:
        project = open_project(base)
        journal = JournalStore.read_only(options.state_directory / "journal.sqlite")
        with Meter(options, "reading", 0) as meter:
            async with connected(project, base, journal, meter.event) as session:
                reader = await session.world.snapshot(0)
                found = await _found(session, wanted, reader, meter)
                additions, head = await _additions(session, found, reader, head, meter)
                text = _text(session, base.file, additions, head, reader.block)
                names = tuple(machine.name for machine in additions.machines)
                return Imported(text, names, _notes(additions), await _pending(base, text, reader))


@contextmanager
def _base(options: Options, head: Head | None) -> Iterator[Options]:
    """Options whose manifest can be read now: the one that is there, or one of nothing."""
    if head is None:
        yield options
        return
    with tempfile.TemporaryDirectory(prefix="fleetctl-import-") as directory:
        file = Path(directory) / options.file.name
        file.write_text(skeleton(head), encoding="utf-8")
        yield replace(options, file=file, state=options.state_directory)


async def _found(session: Session, wanted: Wanted, reader: Reader, meter: Meter) -> list[Found]:
    project = session.project
    known = {project.fleet.identity_of(machine).did.lower() for machine in project.fleet.machines}
    search = Search(session, await standing_kinds(session, wanted.protocol), reader, meter.say)
    groups = [await search.fleet_of(account) for account in wanted.operators]
    groups += [await search.either(account) for account in wanted.either]
    groups += [[await search.machine(account)] for account in wanted.machines]
    unique = {machine.did.lower(): machine for group in groups for machine in group}
    new = [await _managed(machine, project, reader) for did, machine in unique.items() if did not in known]
    meter.say(f"{len(unique)} machine(s) found, {len(unique) - len(new)} of them in the manifest already")
    old = [machine for machine in new if machine.protocol == "v1"]
    names = await _attributes(session, old, reader, meter) if not wanted.attributes else {}
    given = frozenset(wanted.attributes)
    return [replace(m, attributes=given | names.get(m.address.lower(), frozenset())) for m in new]


async def _managed(machine: Found, project: Project, reader: Reader) -> Found:
    """With checksummed accounts, and somebody who manages it even where it registered itself."""
    operator = machine.operator or await _adopter(machine, project, reader)
    address = machine.address and checksum(machine.address)
    return replace(machine, address=address, operator=checksum(operator))


async def _adopter(machine: Found, project: Project, reader: Reader) -> str:
    """For a machine that registered itself: the operator that it names, or the manifest's own."""
    if machine.protocol == "v2":
        (controller,) = await reader.view("machineRegistry", "controllerOf(uint256)(address)", int(machine.id))
        (owner,) = await reader.view("machineRegistry", "ownerOf(uint256)(address)", int(machine.id))
        return str(owner if controller == ZERO_ADDRESS else controller)
    claimed = ACCOUNT.fullmatch(await reader.attribute(machine.address, "operator") or "")
    default = project.fleet.operators.get("default")
    if claimed is None and (default is None or not default.address):
        hint = "write a manifest with the operator that is to look after it, and import into that"
        raise ConfigError(f"{machine.address} registered itself and names no operator", hint=hint)
    return claimed[1] if claimed else str(default and default.address)


async def _attributes(
    session: Session, machines: Sequence[Found], reader: Reader, meter: Meter
) -> Mapping[str, frozenset[str]]:
    """Names of attributes from the chain's logs, since the first of these machines wrote one."""
    made = await asyncio.gather(*(_made(machine, reader) for machine in machines))
    moments = [moment for moment in made if moment is not None]
    if not moments:
        return {}
    first = await block_before(session.chain, min(moments) - SLACK, reader.block)
    meter.say(f"searching the logs of blocks {first} to {reader.block} for names of DID attributes")
    did = session.project.fleet.network.contracts.did
    return await attribute_names(session.rpc, did, [m.address for m in machines], first=first, last=reader.block)


async def _made(machine: Found, reader: Reader) -> int | None:
    """When its DID began, in seconds since the epoch."""
    try:
        ((_, _, _, created),) = await reader.view("did", READ_ATTRIBUTE, machine.address, b"machineId")
    except Rejected:
        return None
    return int(created) // 1000


async def _additions(
    session: Session, found: Sequence[Found], reader: Reader, head: Head | None, meter: Meter
) -> tuple[Additions, Head | None]:
    project = session.project
    said = await adopt(found, project.kinds, project.fleet, reader, meter.tick)
    accounts = list(dict.fromkeys(machine.operator for machine in found))
    if head is not None:
        names = ["default", *(f"operator-{number}" for number in range(2, len(accounts) + 1))]
        head = replace(head, operators=dict(zip(names, accounts, strict=False)))
        operators = {account.lower(): name for name, account in head.operators.items()}
    else:
        operators = {(o.address or "").lower(): name for name, o in project.fleet.operators.items()}
    if missing := [account for account in accounts if account.lower() not in operators]:
        hint = "add it under `operators`, or import into a new file with another -f"
        raise ConfigError(f"the manifest names no operator {missing[0]}, which has registered these", hint=hint)
    if head is not None and {machine.protocol for machine in found} == {"v2"}:
        head = replace(head, protocol="v2")
    lives = project.fleet.protocol if head is None else head.protocol
    return put_together(zip(found, said, strict=True), project.fleet, operators, lives), head


def _text(session: Session, file: Path, additions: Additions, head: Head | None, block: int) -> str:
    if head is not None:
        network = session.project.fleet.network
        count = len(additions.machines)
        return fresh(head, additions, f"{count} machines as they stood on chain {network.chain_id} at block {block}")
    source = _source(file)
    if not additions.machines:
        return source.text
    defaults, model = _defaults(file), type(session.project.fleet)

    def whole(machine: Entry) -> Entry:
        under = fitting(defaults, machine.content, source.data)
        return Entry(undefaulted(machine.content, under, model), machine.notes)

    additions.machines = [whole(machine) for machine in additions.machines]
    return grafted(source, additions)


def _defaults(file: Path) -> dict[str, Any]:
    """As they are read, whatever the form of the manifest."""
    source = _source(file)
    if form := older_form(source):
        upgrade(source, form)
    return source.data.get("defaults") or {}


def _notes(additions: Additions) -> tuple[str, ...]:
    by_text: dict[str, list[str]] = {}
    for machine in additions.machines:
        for note in machine.notes:
            by_text.setdefault(note, []).append(machine.name)
    return tuple(f"{names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)}: {n}" for n, names in by_text.items())


def _source(file: Path) -> Source:
    problems = Problems()
    source = read(file, str(file), problems)
    if source is None:
        raise ManifestError(problems.sorted())
    return source


async def _pending(base: Options, text: str, reader: Reader) -> tuple[str, ...]:
    """What a plan of the text would have to say, by the same reading of the world."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=base.file.parent, prefix=".import-", suffix=".yaml"
    ) as file:
        file.write(text)
        file.flush()
        try:
            project = open_project(replace(base, file=Path(file.name), quiet=True))
        except ManifestError as error:
            problem = error.problems[0]
            message = f"what was read makes no good manifest: {problem.message} ({problem.hint})"
            raise FleetError(message, hint="nothing was written; leave this machine out, or report it") from None
    searches = quests(project.kinds, project.fleet)
    observations, strays, unseen = await look_around(project.resources, searches, reader)
    scene = Scene(
        (*project.resources, *strays),
        observations | await observe_all(strays, reader),
        project.keyring.declared,
        unmanaged=frozenset(stray.address for stray in strays),
    )
    return (*(_said(change) for change in build_plan(scene).changes if _pends(change)), *unseen)


def _pends(change: PlannedChange) -> bool:
    return change.action.acts or change.action in (Action.BLOCKED, Action.UNMANAGED)


def _said(change: PlannedChange) -> str:
    fields = ", ".join(field.field for field in change.fields)
    return f"{change.address}: {change.action}: {change.reason or fields}"
