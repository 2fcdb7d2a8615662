"""What MachineSubscription may take from an account: exactly what is planned, so that nothing dearer can be taken."""

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.core.address import Address, Output
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Signer, Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind, Need
from reconciler.core.money import format_amount
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.v2 import serving


@dataclass(frozen=True)
class Spec:
    address: Address
    payer: Signer
    account: str
    spender: str
    need: int | Output
    count: int | Output
    """Of how many machines."""


@dataclass(frozen=True)
class State:
    wei: int


class Allowance(Kind[Spec, State]):
    name = "allowance"
    fields = ("allowance",)
    of_machine = False

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        payers: dict[Signer, str] = {}
        for machine, _, who in serving(fleet):
            if not machine.suspended:
                payers[who.activator] = who.first_owner
                payers.setdefault(who.manager, fleet.operator_of(machine).address or "")
        for payer in sorted(payers):
            dues = Address("dues", str(payer))
            yield Spec(
                Address(self.name, str(payer)),
                payer,
                payers[payer],
                fleet.network.contracts.at("machineSubscription"),
                Output(dues, "total"),
                Output(dues, "count"),
            )

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("dues", str(spec.payer)))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        function = "allowance(address,address)(uint256)"
        (wei,) = await read.view("peaqToken", function, spec.account, spec.spender)
        return Present(State(wei))

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        # How much it is may change by the minute, so what was approved of is what it is for.
        if not isinstance(spec.need, int) or state.wei >= spec.need:
            return ()
        return (FieldChange("allowance", format_amount(state.wei), f"what {spec.count} machine(s) cost"),)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        args = (spec.spender, spec.need)
        call = ChainCall(spec.payer, "peaqToken", "approve(address,uint256)", args, gas=100_000)
        amount = format_amount(spec.need) if isinstance(spec.need, int) else str(spec.need)
        return (Step(f"allow the subscription contract to take {amount}", ChainGroup((call,))),)

    def subject(self, spec: Spec) -> str:
        return spec.account

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"allowance": None}

    def written(self, spec: Spec, field: str) -> Iterable[tuple[str | int, ...]]:
        return ()

    def equal(self, spec: Spec, state: State) -> str:
        return f"{format_amount(state.wei)} may be taken, which is enough"
