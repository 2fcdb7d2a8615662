"""Handing a v2 machine over to the one who is to own it: the last thing that is done, for there is no way back."""

from collections.abc import Iterable

from reconciler.core.address import Address
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind, Need
from reconciler.core.minted import owner_of
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.section import Loc
from reconciler.core.value import Value
from reconciler.kinds.peaq_v2.ground import PARTS, Parties, serving

HAND_OVER = "safeTransferFrom(address,address,uint256)"


class Spec(Value):
    address: Address
    who: Parties


class State(Value):
    owner: str


class Ownership(Kind[Spec, State]):
    name = "ownership"
    protocol = "v2"
    fields = ("owner",)

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine, block, who in serving(fleet):
            if block.custody == "handover":
                yield Spec(Address(self.name, machine.name), who)

    def needs(self, spec: Spec) -> Iterable[Need]:
        # Afterwards not all of it can be changed by us.
        return (Need(Address(kind, spec.who.name)) for kind in PARTS)

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        return Present(State(await owner_of(read, spec.who.id) or spec.who.first_owner))

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        before, after = state.owner.lower(), spec.who.owner.lower()
        note = "the controller stays, and the machine cannot be taken back"
        return () if before == after else (FieldChange("owner", before, after, note=note),)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        args = (spec.who.first_owner, spec.who.owner, spec.who.id)
        call = ChainCall(spec.who.activator, "machineRegistry", HAND_OVER, args, gas=150_000)
        return (Step("hand the machine over", ChainGroup((call,)), irreversible=True),)

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"owner": spec.who.owner.lower()}

    def subject(self, spec: Spec) -> str:
        return f"did:peaq:{spec.who.id}"

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return (("machines", spec.address.name, "v2", "owner"),)

    def equal(self, spec: Spec, state: State) -> str:
        return f"handed over to {state.owner}"
