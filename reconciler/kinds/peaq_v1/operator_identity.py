"""The operator's own registration: one bond, once, ever. The fleet is published under it."""

from collections.abc import Iterable

from reconciler.core.address import Address, Output
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Signer, Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind, Need
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.section import Loc
from reconciler.core.value import Value


class Spec(Value):
    address: Address
    account: str
    bond: int | Output


class State(Value):
    id: str


class OperatorIdentity(Kind[Spec, State]):
    name = "operator_identity"
    protocol = "v1"
    of_machine = False

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for name in sorted({machine.operator for machine in fleet.serving("v1")}):
            bond = Output(Address("registry", "v1"), "min_bond")
            yield Spec(Address(self.name, name), fleet.operators[name].address or "", bond)

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("registry", "v1"))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        (machine_id,) = await read.view("identityRegistry", "machineIdOfOwner(address)(uint256)", spec.account)
        return Present(State(str(machine_id))) if machine_id else Absent()

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        return ()

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        signer = Signer("operator", spec.address.name)
        call = ChainCall(signer, "identityRegistry", "register()", (), spec.bond, gas=230_000, purpose="bond")
        return (Step("register the operator", ChainGroup((call,)), irreversible=True),)

    def creates(self, spec: Spec) -> tuple[FieldChange, ...]:
        return (FieldChange("account", None, spec.account), FieldChange("bond", None, spec.bond))

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"account": spec.account}

    def subject(self, spec: Spec) -> str:
        return spec.account

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return () if field == "bond" else tuple(("operators", spec.address.name, key) for key in ("address", "key"))

    def outputs(self, spec: Spec, state: State) -> dict[str, object]:
        return {"id": state.id}

    def equal(self, spec: Spec, state: State) -> str:
        return f"already registered as machine id {state.id}"
