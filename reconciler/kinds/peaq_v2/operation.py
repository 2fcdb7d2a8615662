"""Whether a v2 machine works or is suspended: the pause that is its owner's and its controller's to set."""

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
from reconciler.core.section import Loc, Section
from reconciler.core.value import Value
from reconciler.kinds.peaq_v2.ground import BY_ACTIVATION, RESUME, SUSPEND, Parties, serving


class PauseSection(Section):
    paused: bool = False
    """Suspended: it is not available, and keeps all it has. Pauses of peaq's own are never touched."""


class Spec(Value):
    address: Address
    who: Parties
    paused: bool


class State(Value):
    there: bool
    paused: bool


class Operation(Kind[Spec, State]):
    name = "operation"
    protocol = "v2"
    sections = {"machine.v2": PauseSection}
    fields = ("paused",)

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine, _, who in serving(fleet):
            section = machine.section(PauseSection) or PauseSection()
            yield Spec(Address(self.name, machine.name), who, section.paused)

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("machine_activation", spec.who.name))
        yield Need(Address("controller", spec.who.name))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        if await owner_of(read, spec.who.id) is None:
            return Present(State(False, False))
        (paused,) = await read.view("machineStateAndSync", "isOperatorPaused(uint256)(bool)", int(spec.who.id))
        return Present(State(True, paused))

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        (paused,) = await read.view("machineStateAndSync", "isOperatorPaused(uint256)(bool)", int(machine.id))
        return Adopted({"v2": {"paused": True}} if paused else {})

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        if spec.paused == state.paused:
            return ()
        return (FieldChange("paused", state.paused, spec.paused, removes=spec.paused),)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        verb, function = ("suspend", SUSPEND) if spec.paused else ("resume", RESUME)
        call = ChainCall(spec.who.manager, "machineStateAndSync", function, (spec.who.id,), gas=100_000)
        return (Step(verb, ChainGroup((call,))),)

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"paused": spec.paused}

    def subject(self, spec: Spec) -> str:
        return f"did:peaq:{spec.who.id}"

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return (("machines", spec.address.name, "v2", "paused"),)

    def equal(self, spec: Spec, state: State) -> str:
        return ("suspended, as declared" if state.paused else "not suspended") if state.there else BY_ACTIVATION
