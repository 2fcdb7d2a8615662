"""The operator's DID: its own machine id, and the list of machine ids through which the MCR API finds the fleet."""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence

from reconciler.core.address import NEVER, Address, Never, Output
from reconciler.core.adoption import Adopted, Found
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Signer, Step
from reconciler.core.fleet import Fleet, Machine
from reconciler.core.kind import Kind, Need, Strength
from reconciler.core.leaving import owners_of, published_ids, registered_by
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.section import Loc, Section
from reconciler.core.value import Value

ADD = "addAttribute(address,bytes,bytes,uint32)"
UPDATE = "updateAttribute(address,bytes,bytes,uint32)"
CAPACITY = 2560
"""Bytes of one attribute's value."""
WINDOW = 100
"""Ids that the MCR API reads from the list (onchain-v1 §3.6; its own pages disagree on which end is dropped)."""
FOREVER = 0
Id = str | Output | Never


class PublishSection(Section):
    publish_fleet: bool = True
    """Write the machines' ids to the operator's DID, so that MCR lists them under the operator."""


class Spec(Value):
    address: Address
    account: str
    machine_id: Id | None
    """None where nothing but dropping from the list is asked for."""
    machines: tuple[Id, ...]
    deposit: int
    keeps: frozenset[str] = frozenset()
    """Accounts of machines of the manifest, in lower case, that stay on the list."""
    drops: frozenset[str] | None = frozenset()
    """Accounts, in lower case, that do not; None for every other one that this operator registered."""
    enrols: bool = False
    """True where machines may have records, too."""


class State(Value):
    machine_id: str | None
    machines: str | None
    """The attribute's text as it stands."""
    left: frozenset[str] = frozenset()
    """Ids on the list whose machines left."""


class OperatorDid(Kind[Spec, State]):
    name = "operator_did"
    protocol = "v1"
    sections = {"fleet.v1": PublishSection}
    fields = ("machineId", "machines")
    of_machine = False

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        section = fleet.section(PublishSection)
        if "v1" not in fleet.protocols or (section is not None and not section.publish_fleet):
            return
        prunes = "identities" in fleet.prune
        keeps = _accounts(m for m in fleet.of("v1") if m.state == "active" or m.protect or m.suspended)
        drops = None if prunes else _accounts(fleet.retired)
        serving, enrols = fleet.serving("v1"), fleet.services.markets is not None
        active = {machine.operator for machine in serving}
        for name in sorted({machine.operator for machine in fleet.of("v1")} | set(fleet.operators if prunes else ())):
            own = Output(Address("operator_identity", name), "id") if name in active else None
            ids = tuple(
                Output(Address("machine_identity", machine.name), "id")
                for machine in serving
                if machine.operator == name
            )
            account = fleet.operators[name].address or ""
            yield Spec(Address(self.name, name), account, own, ids, fleet.network.did_deposit, keeps, drops, enrols)

    def notices(self, fleet: Fleet) -> Iterable[str]:
        section = fleet.section(PublishSection)
        if section is not None and not section.publish_fleet:
            return
        for name, count in sorted(Counter(machine.operator for machine in fleet.serving("v1")).items()):
            if count > WINDOW:
                yield (
                    f"operator {name} has {count} machines: the MCR API reads only {WINDOW} ids of its list, "
                    f"so {count - WINDOW} will not appear under the operator there (they stay readable by DID)"
                )

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("operator_identity", spec.address.name))
        for output in spec.machines:
            if isinstance(output, Output):
                yield Need(output.address, Strength.SOFT)

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        found = await read.attributes(spec.account, ("machineId", "machines"))
        own, listed = found["machineId"], found["machines"]
        if own is None and listed is None and spec.machine_id is not None:
            return Absent()
        return Present(State(own, listed, await _left(spec, read, listed)))

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        changes = []
        if spec.machine_id is not None and (isinstance(spec.machine_id, Output) or state.machine_id != spec.machine_id):
            changes.append(FieldChange("machineId", state.machine_id, spec.machine_id))
        listed, merged = published_ids(state.machines), _merged(spec, state)
        if set(merged) != set(listed or ()) or (merged and listed is None):
            note, drops = _noted(spec, state), len(state.left)
            changes.append(FieldChange("machines", state.machines, _shown(merged), note=note, drops=drops))
        return tuple(changes)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        observed = state or State(None, None)
        wanted = {f.field for f in fields} if state else {"machineId", "machines"}
        merged = _merged(spec, observed)
        calls = []
        if "machineId" in wanted:
            calls.append(self._write(spec, "machineId", spec.machine_id, observed.machine_id))
        if "machines" in wanted and (merged or observed.machines is not None):
            calls.append(self._write(spec, "machines", _attribute(merged), observed.machines))
        return (Step("publish the fleet", ChainGroup(tuple(calls))),) if calls else ()

    def _write(self, spec: Spec, name: str, value: object, observed: str | None) -> ChainCall:
        signer = Signer("operator", spec.address.name)
        function, deposit = (ADD, spec.deposit) if observed is None else (UPDATE, 0)
        args = (spec.account, name.encode(), value, FOREVER)
        # The list is long where it is not known yet.
        size = (len(value) if isinstance(value, str) else CAPACITY) if name == "machines" else 0
        gas = 250_000 + 750_000 * size // CAPACITY
        return ChainCall(signer, "did", function, args, deposit=deposit, gas=gas, purpose="deposit")

    async def members(self, operator: str, fleet: Fleet, read: Reader) -> Iterable[str]:
        ids = published_ids(await read.attribute(operator, "machines")) or ()
        return await owners_of(read, map(int, dict.fromkeys(ids)))

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        account = machine.operator
        (own,) = await read.view("identityRegistry", "machineIdOfOwner(address)(uint256)", account)
        spec = Spec(Address(self.name, ""), account, str(own), (machine.id,), 0)
        seen = await self.observe(spec, read)
        if isinstance(seen, Present) and not self.diff(spec, seen.state):
            return Adopted()
        return Adopted(fleet={"v1": {"publishFleet": False}}, notes=("its operator's DID does not list it",))

    def creates(self, spec: Spec) -> tuple[FieldChange, ...]:
        empty = State(None, None)
        machines = FieldChange("machines", None, _shown(_merged(spec, empty)), note=_left_out(spec, empty))
        return (FieldChange("machineId", None, spec.machine_id), machines)

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"machineId": spec.machine_id, "machines": tuple(i for i in spec.machines if not isinstance(i, Never))}

    def subject(self, spec: Spec) -> str:
        return spec.account

    def kept(self, field: str, declared: object, observed: object) -> bool:
        if field != "machines" or not isinstance(declared, Sequence):
            return super().kept(field, declared, observed)
        # Ids of others may come and go.
        return set(declared) <= set(published_ids(str(observed)) or ())

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return (("machines",), ("machineSets",), ("include",)) if field == "machines" else ()

    def equal(self, spec: Spec, state: State) -> str:
        left_out = _left_out(spec, state)
        return left_out or f"{len(published_ids(state.machines) or ())} machine ids published"


def _accounts(machines: Iterable[Machine]) -> frozenset[str]:
    return frozenset((machine.address or "").lower() for machine in machines)


async def _left(spec: Spec, read: Reader, text: str | None) -> frozenset[str]:
    """Ids of the list that are to be dropped. What another operator registered, or nobody, is not ours to drop."""
    if spec.drops == frozenset():
        return frozenset()
    if spec.drops is None and spec.enrols:
        # Whose record cannot be seen must not be forgotten before it is archived.
        await read.items("machines")
    listed = published_ids(text) or []
    owners = await read.together(registered_by(read, i, (spec.account.lower(),)) for i in listed)
    left = [
        machine_id
        for machine_id, owner in zip(listed, owners, strict=True)
        if owner is not None and owner not in spec.keeps and (spec.drops is None or owner in spec.drops)
    ]
    return frozenset(left)


def _merged(spec: Spec, state: State) -> list[str | Output]:
    """Ids already published, foreign ones included and those that left not, then ours as far as there is room."""
    published = dict.fromkeys(i for i in published_ids(state.machines) or () if i not in state.left)
    ours = dict.fromkeys(i for i in spec.machines if not isinstance(i, Never))
    new = [i for i in ours if i not in published]
    # As many new ids as fit: the more there are, the less they do.
    room = bisect_right(range(1, len(new) + 1), CAPACITY, key=lambda count: len(_text([*published, *new[:count]])))
    return [*published, *new[:room]]


def _left_out(spec: Spec, state: State) -> str:
    ours = {i for i in spec.machines if i is not NEVER}
    count = len(ours - set(_merged(spec, state)))
    return f"{count} machine ids left out: the {CAPACITY:,} bytes of the attribute are full" if count else ""


def _noted(spec: Spec, state: State) -> str:
    dropped = f"{len(state.left)} dropped that left the fleet" if state.left else ""
    return "; ".join(filter(None, (dropped, _left_out(spec, state))))


def _text(ids: Iterable[str | Output]) -> str:
    # An id not yet known is taken to have seven digits.
    numbers = [int(i) if isinstance(i, str) else 9_999_999 for i in ids]
    spaced = json.dumps(numbers)
    return spaced if len(spaced) <= CAPACITY else json.dumps(numbers, separators=(",", ":"))


def _attribute(ids: list[str | Output]) -> object:
    """The text to write; while planning some ids may be unknown, and then so is the text."""
    unknown = next((i for i in ids if isinstance(i, Output)), None)
    return unknown if unknown is not None else _text(ids)


def _shown(ids: list[str | Output]) -> str:
    known = [i for i in ids if isinstance(i, str)]
    unknown = len(ids) - len(known)
    more = f"{unknown} known after apply" if unknown else ""
    return f"[{', '.join([*known, *([more] if more else [])])}]"
