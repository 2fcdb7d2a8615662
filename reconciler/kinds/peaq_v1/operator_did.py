"""The operator's DID: its own machine id, and the list of machine ids through which the MCR API finds the fleet."""

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.core.address import NEVER, Address, Never, Output
from reconciler.core.adoption import Adopted, Found
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Signer, Step
from reconciler.core.fleet import Fleet, Loc, Section
from reconciler.core.kind import Kind, Need, Strength
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader

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


@dataclass(frozen=True)
class Spec:
    address: Address
    account: str
    machine_id: Id
    machines: tuple[Id, ...]
    deposit: int


@dataclass(frozen=True)
class State:
    machine_id: str | None
    machines: str | None
    """The attribute's text as it stands."""


class OperatorDid(Kind[Spec, State]):
    name = "operator_did"
    sections = {"fleet.v1": PublishSection}
    fields = ("machineId", "machines")
    of_machine = False

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        section = fleet.section(PublishSection)
        if section is not None and not section.publish_fleet:
            return
        for name in sorted({machine.operator for machine in fleet.machines}):
            own = Output(Address("operator_identity", name), "id")
            ids = tuple(
                Output(Address("machine_identity", machine.name), "id")
                for machine in fleet.machines
                if machine.operator == name
            )
            account = fleet.operators[name].address or ""
            yield Spec(Address(self.name, name), account, own, ids, fleet.network.did_deposit)

    def notices(self, fleet: Fleet) -> Iterable[str]:
        section = fleet.section(PublishSection)
        if section is not None and not section.publish_fleet:
            return
        for name in sorted({machine.operator for machine in fleet.machines}):
            count = sum(machine.operator == name for machine in fleet.machines)
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
        state = State(await read.attribute(spec.account, "machineId"), await read.attribute(spec.account, "machines"))
        return Absent() if state == State(None, None) else Present(state)

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        changes = []
        if isinstance(spec.machine_id, Output) or state.machine_id != spec.machine_id:
            changes.append(FieldChange("machineId", state.machine_id, spec.machine_id))
        listed, merged = _ids(state.machines), _merged(spec, state)
        if set(merged) != set(listed or ()) or (merged and listed is None):
            changes.append(FieldChange("machines", state.machines, _shown(merged), note=_left_out(spec, state)))
        return tuple(changes)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        observed = state or State(None, None)
        wanted = {f.field for f in fields} if state else {"machineId", "machines"}
        merged = _merged(spec, observed)
        calls = []
        if "machineId" in wanted:
            calls.append(self._write(spec, "machineId", spec.machine_id, observed.machine_id))
        if "machines" in wanted and merged:
            calls.append(self._write(spec, "machines", _attribute(merged), observed.machines))
        return (Step("publish the fleet", ChainGroup(tuple(calls))),) if calls else ()

    def _write(self, spec: Spec, name: str, value: object, observed: str | None) -> ChainCall:
        signer = Signer("operator", spec.address.name)
        function, deposit = (ADD, spec.deposit) if observed is None else (UPDATE, 0)
        args = (spec.account, name.encode(), value, FOREVER)
        gas = 1_000_000 if name == "machines" else 250_000
        return ChainCall(signer, "did", function, args, deposit=deposit, gas=gas, purpose="deposit")

    async def members(self, operator: str, fleet: Fleet, read: Reader) -> Iterable[str]:
        ids = _ids(await read.attribute(operator, "machines")) or ()
        owners = await read.views(
            "identityRegistry", "getOwnerIfExists(uint256)(address,bool)", map(int, dict.fromkeys(ids))
        )
        return [owner for owner, exists in owners if exists]

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
        return set(declared) <= set(_ids(str(observed)) or ())

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return (("machines",), ("machineSets",), ("include",)) if field == "machines" else ()

    def equal(self, spec: Spec, state: State) -> str:
        left_out = _left_out(spec, state)
        return left_out or f"{len(_ids(state.machines) or ())} machine ids published"


def _ids(text: str | None) -> list[str] | None:
    """The ids of a published list, or None where there is none or it is not a list of ids."""
    try:
        listed = json.loads(text or "")
    except ValueError:
        return None
    valid = isinstance(listed, list) and all(type(i) is int or (isinstance(i, str) and i.isdecimal()) for i in listed)
    return [str(i) for i in listed] if valid else None


def _merged(spec: Spec, state: State) -> list[str | Output]:
    """Ids already published, foreign ones included, then ours in manifest order, as far as there is room."""
    published = list(dict.fromkeys(_ids(state.machines) or ()))
    ours = dict.fromkeys(i for i in spec.machines if not isinstance(i, Never))
    new = [i for i in ours if i not in set(published)]
    # As many new ids as fit: the more there are, the less they do.
    room = bisect_right(range(1, len(new) + 1), CAPACITY, key=lambda count: len(_text([*published, *new[:count]])))
    return [*published, *new[:room]]


def _left_out(spec: Spec, state: State) -> str:
    ours = {i for i in spec.machines if i is not NEVER}
    count = len(ours - set(_merged(spec, state)))
    return f"{count} machine ids left out: the {CAPACITY:,} bytes of the attribute are full" if count else ""


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
