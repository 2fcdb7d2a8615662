"""Who may manage a v2 machine beside its owner. Only the owner can say so."""

from collections.abc import Iterable

from reconciler.core.address import Address
from reconciler.core.adoption import Adopted, Found
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind, Need
from reconciler.core.minted import owner_of
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.section import ZERO_ADDRESS, Loc
from reconciler.core.value import Value
from reconciler.kinds.peaq_v2.ground import BY_ACTIVATION, SET_CONTROLLER, Parties, serving


class Spec(Value):
    address: Address
    who: Parties


class State(Value):
    owner: str | None
    """None while the machine is not there."""
    controller: str


class Controller(Kind[Spec, State]):
    name = "controller"
    protocol = "v2"
    fields = ("controller",)

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        return (Spec(Address(self.name, machine.name), who) for machine, _, who in serving(fleet))

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("machine_activation", spec.who.name))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        owner = await owner_of(read, spec.who.id)
        if owner is None:
            return Present(State(None, spec.who.controller))
        (controller,) = await read.view("machineRegistry", "controllerOf(uint256)(address)", int(spec.who.id))
        return Present(State(owner, controller))

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        (controller,) = await read.view("machineRegistry", "controllerOf(uint256)(address)", int(machine.id))
        if controller.lower() == machine.operator.lower():
            return Adopted()
        if controller == ZERO_ADDRESS:
            return Adopted(notes=("nobody controls it: a plan makes its operator the controller",))
        return Adopted({"v2": {"controller": controller}})

    def refuse(self, spec: Spec, state: State | None) -> str | None:
        if state is None or state.owner is None or not self.diff(spec, state):
            return None
        if state.owner.lower() != spec.who.first_owner.lower():
            return f"its controller is {state.controller}, and only its owner {state.owner} can change that"
        return None

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        before, after = state.controller.lower(), spec.who.controller.lower()
        return () if before == after else (FieldChange("controller", before, after),)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        args = (spec.who.id, spec.who.controller)
        call = ChainCall(spec.who.activator, "machineRegistry", SET_CONTROLLER, args, gas=100_000)
        return (Step("set the controller", ChainGroup((call,))),)

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"controller": spec.who.controller.lower()}

    def subject(self, spec: Spec) -> str:
        return f"did:peaq:{spec.who.id}"

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return (("machines", spec.address.name, "v2", "controller"), ("machines", spec.address.name, "operator"))

    def equal(self, spec: Spec, state: State) -> str:
        return BY_ACTIVATION if state.owner is None else "as declared"
