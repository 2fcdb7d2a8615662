"""What a v2 machine has paid for: opened by its activation, and renewed when too little of it is left.

A renewal adds a period to the one that is there, so a second one would cost a second time: each is for one period end,
which its step names. Where the end has moved, nobody wants that step any more.
"""

from collections.abc import Iterable

from reconciler.core.address import Address, Never, Output
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind, Need
from reconciler.core.minted import owner_of
from reconciler.core.money import format_amount
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.section import Loc
from reconciler.core.stamps import written
from reconciler.core.value import Value
from reconciler.kinds.peaq_v2.ground import (
    BY_ACTIVATION,
    OPEN,
    RENEW,
    TIERS,
    Parties,
    Subscription,
    due,
    paying,
    serving,
    subscription_of,
)

NAMES = {0: "not open", 1: "active", 2: "in its grace period", 3: "in run-off, where its bond decays", 4: "terminated"}


class Spec(Value):
    address: Address
    who: Parties
    tier: int
    renew_before: int | None
    price: int | Output | Never
    """Wei, credits taken off."""
    max_bond: int | None
    spender: str
    """MachineSubscription, which takes the price."""


class State(Value):
    paid: Subscription | None
    """None while the machine is not there."""
    status: int
    period: int
    """Seconds that a renewal adds."""
    now: float


class MachineSubscription(Kind[Spec, State]):
    name = "subscription"
    protocol = "v2"
    fields = ("periodEnd",)

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine, block, who in serving(fleet):
            price = Output(Address("dues", str(who.manager)), machine.name)
            tier = TIERS.index(block.tier)
            at = fleet.network.contracts.at("machineSubscription")
            yield Spec(Address(self.name, machine.name), who, tier, block.renew_before, price, block.max_bond, at)

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("machine_activation", spec.who.name))
        yield Need(Address("controller", spec.who.name))
        yield Need(Address("dues", str(spec.who.manager)))
        if spec.who.manager.role == "operator":
            yield Need(Address("allowance", spec.who.manager.name))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        if await owner_of(read, spec.who.id) is None:
            return Present(State(None, 0, 0, read.chain_time()))
        paid = await subscription_of(read, spec.who.id)
        if not paid.start:
            return Absent()
        (status,) = await read.view("machineSubscription", "subscriptionStatus(uint256)(uint8)", int(spec.who.id))
        (period,) = await read.view("infoDesk", "subscriptionPeriodLength()(uint64)")
        return Present(State(paid, status, period, read.chain_time()))

    def refuse(self, spec: Spec, state: State | None) -> str | None:
        if state is not None and not self.diff(spec, state):
            return None
        if state is not None and spec.renew_before is not None and spec.renew_before >= state.period:
            return "v2.renewBefore is no less than a period, and would renew for ever; make it shorter"
        if spec.max_bond is not None and isinstance(spec.price, int) and spec.price > spec.max_bond:
            return f"it would cost {format_amount(spec.price)}; v2.maxBond allows {format_amount(spec.max_bond)}"
        return None

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        paid = state.paid
        if paid is None or not due(paid, state.now, spec.renew_before):
            return ()
        return (FieldChange("periodEnd", written(paid.end), written(paid.end + state.period)),)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        if state is None or state.paid is None:
            return (self._step(spec, "open the subscription", OPEN, (spec.who.id, spec.tier)),)
        title = f"renew what ends {written(state.paid.end)}"
        return (self._step(spec, title, RENEW, (spec.who.id,)),)

    def _step(self, spec: Spec, title: str, function: str, args: tuple[object, ...]) -> Step:
        deposit = 0 if isinstance(spec.price, Never) else spec.price
        call = ChainCall(
            spec.who.manager, "machineSubscription", function, args, deposit=deposit, gas=250_000, purpose="bond"
        )
        return Step(title, paying(call, spec.spender, spec.max_bond), irreversible=True)

    def creates(self, spec: Spec) -> tuple[FieldChange, ...]:
        return (FieldChange("tier", None, TIERS[spec.tier]),)

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"periodEnd": None}

    def wears(self, field: FieldChange) -> bool:
        return True

    def subject(self, spec: Spec) -> str:
        return f"did:peaq:{spec.who.id}"

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        key = "tier" if field == "tier" else "renewBefore"
        return (("machines", spec.address.name, "v2", key),)

    def equal(self, spec: Spec, state: State) -> str:
        if state.paid is None:
            return BY_ACTIVATION
        return f"{NAMES.get(state.status, f'status {state.status}')}; paid for until {written(state.paid.end)}"
