"""A machine's identity: registered by its operator for one bond, for ever. Status is the only part that can change."""

from collections.abc import Iterable
from functools import partial
from typing import Literal

from reconciler.core.address import Address, Output
from reconciler.core.adoption import Adopted, Found
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Signer, Step
from reconciler.core.fleet import Fleet, Protocol
from reconciler.core.kind import Kind, Need, Search, Strength
from reconciler.core.leaving import GONE, former_machines, owners_of
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.section import ZERO_ADDRESS, Loc, Section
from reconciler.core.value import Value

BOND_STAYS = "the bond stays locked for ever"
STATUS = {0: "none", 1: "pending", 2: "verified", 3: "rejected", 4: "deactivated"}

WINDOW = 2000
"""Ids that are asked about together."""


class StatusSection(Section):
    status: Literal["active", "deactivated"] = "active"
    """Deactivate or reactivate the identity; the bond stays locked either way."""


class Spec(Value):
    address: Address
    account: str
    operator: str
    operator_name: str
    bond: int | Output
    status: str
    leaves: str = ""
    """Why the machine leaves the fleet, or "" where it does not."""


class State(Value):
    id: str
    operator: str
    """Account that registered it; the zero address where the machine registered itself."""
    status: str


class MachineIdentity(Kind[Spec, State]):
    name = "machine_identity"
    protocol = "v1"
    sections = {"machine.v1": StatusSection}
    fields = ("status",)
    prunable = "identities"

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        bond = Output(Address("registry", "v1"), "min_bond")
        for machine in fleet.of("v1"):
            section = machine.section(StatusSection) or StatusSection()
            yield Spec(
                Address(self.name, machine.name),
                machine.address or "",
                fleet.operator_of(machine).address or "",
                machine.operator,
                bond,
                section.status,
                GONE[1] if machine.state == "retired" else "",
            )

    def needs(self, spec: Spec) -> Iterable[Need]:
        if not spec.leaves:
            yield Need(Address("registry", "v1"))
            yield Need(Address("operator_identity", spec.operator_name))

    def precedes(self, spec: Spec) -> Iterable[Need]:
        if spec.leaves:
            yield Need(Address("operator_did", spec.operator_name), Strength.SOFT)

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        (machine_id,) = await read.view("identityRegistry", "machineIdOfOwner(address)(uint256)", spec.account)
        if not machine_id:
            return Absent()
        asked = ("getVerificationInfo(uint256)(address,address,bool,uint8)", "operatorOf(uint256)(address)")
        (_, _, exists, status), (operator,) = await read.together(
            read.view("identityRegistry", question, machine_id) for question in asked
        )
        if not exists:
            return Unreadable(f"the registry knows id {machine_id} for {spec.account} and also denies it")
        if spec.leaves and STATUS.get(status) == "deactivated":
            return Absent()
        return Present(State(str(machine_id), operator, STATUS.get(status, f"status {status}")))

    def searches(self, fleet: Fleet) -> Iterable[Search[Spec]]:
        if "v1" in fleet.protocols:
            yield Search("the machines that were ours", partial(self._strays, fleet, None))
            yield Search("the machines of the chain", partial(self._strays, fleet, "v1"), deep=True)

    async def _strays(self, fleet: Fleet, scan: Protocol | None, read: Reader) -> list[Spec]:
        return [
            Spec(
                Address(self.name, former.name),
                former.account,
                fleet.operators[former.operator].address or "",
                former.operator,
                0,
                "deactivated",
                GONE[0],
            )
            for former in await former_machines(fleet, read, scan=scan)
            if former.made.kind == self.name and former.standing.machine_id is not None
        ]

    def accounts(self, spec: Spec) -> Iterable[tuple[Signer, str]]:
        yield Signer("machine", spec.address.name), spec.account

    def wanted(self, spec: Spec) -> bool:
        return not spec.leaves

    def unwanted(self, spec: Spec, state: State) -> str:
        return f"{spec.leaves}; {BOND_STAYS}"

    def refuse(self, spec: Spec, state: State | None) -> str | None:
        if state is None:
            idle = spec.status != "active" and not spec.leaves
            return "not registered, and declared deactivated; nothing to do" if idle else None
        if state.operator not in (ZERO_ADDRESS, "") and state.operator.lower() != spec.operator.lower():
            return f"registered by another operator, {state.operator}; only that operator can manage it"
        if state.status == "rejected" and not spec.leaves:
            return "the registry's owner rejected this machine; ask them, fleetctl cannot change it"
        return None

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        observed = "deactivated" if state.status == "deactivated" else "active"
        if observed == spec.status:
            return ()
        leaves = spec.status == "deactivated"
        return (FieldChange("status", observed, spec.status, note=BOND_STAYS if leaves else "", removes=leaves),)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        if state is None:
            signer = Signer("operator", spec.operator_name)
            function, args = "registerFor(address)", (spec.account,)
            call = ChainCall(signer, "identityRegistry", function, args, spec.bond, gas=250_000, purpose="bond")
            return (Step("register", ChainGroup((call,)), irreversible=True),)
        verb = "deactivate" if spec.leaves or spec.status == "deactivated" else "reactivate"
        # Only the machine itself is sure to be allowed this.
        machine = Signer("machine", spec.address.name)
        call = ChainCall(machine, "identityRegistry", f"{verb}Machine(uint256)", (int(state.id),), gas=80_000)
        return (Step(verb, ChainGroup((call,))),)

    async def members(self, operator: str, fleet: Fleet, read: Reader) -> Iterable[str]:
        # Not by logs: the whole history of a live chain is more than its nodes will search.
        (count,) = await read.view("identityRegistry", "totalMachines()(uint256)")
        ids = [i for start in range(1, count + 1, WINDOW) for i in await self._ids(start, count, operator, read)]
        return await owners_of(read, ids)

    async def _ids(self, start: int, count: int, operator: str, read: Reader) -> list[int]:
        window = range(start, min(start + WINDOW, count + 1))
        function = "operatorOf(uint256)(address)"
        found = await read.together(read.view("identityRegistry", function, i) for i in window)
        return [i for i, (account,) in zip(window, found, strict=True) if account.lower() == operator.lower()]

    async def identify(self, account: str, read: Reader) -> Found | None:
        if account.isdecimal():
            return None
        (number,) = await read.view("identityRegistry", "machineIdOfOwner(address)(uint256)", account)
        if not number:
            return None
        (operator,) = await read.view("identityRegistry", "operatorOf(uint256)(address)", number)
        return Found(str(number), account, "" if operator == ZERO_ADDRESS else operator)

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        (code,) = await read.view("identityRegistry", "machineStatus(uint256)(uint8)", int(machine.id))
        status = STATUS.get(code, "")
        entry = {"v1": {"status": "deactivated"}} if status == "deactivated" else {}
        notes = ("rejected by the registry's owner: plans show it blocked",) if status == "rejected" else ()
        return Adopted(entry, notes=notes)

    def creates(self, spec: Spec) -> tuple[FieldChange, ...]:
        return (FieldChange("account", None, spec.account), FieldChange("bond", None, spec.bond))

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"status": spec.status}

    def subject(self, spec: Spec) -> str:
        return spec.account

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        machine = ("machines", spec.address.name)
        account = ((*machine, "address"), (*machine, "key"))
        return {"account": account, "bond": (), "status": ((*machine, "v1", "status"),)}[field]

    def outputs(self, spec: Spec, state: State) -> dict[str, object]:
        own = state.operator in (ZERO_ADDRESS, "")
        controller = Signer("machine", spec.address.name) if own else Signer("operator", spec.operator_name)
        return {"id": state.id, "controller": controller, "operator_did": "" if own else f"did:peaq:{spec.operator}"}

    def equal(self, spec: Spec, state: State) -> str:
        return f"already registered as machine id {state.id}"
