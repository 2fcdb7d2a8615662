"""What MachineSubscription may take from an operator: exactly what is planned, so that nothing dearer can be taken.

Machines that pay for themselves allow it as they pay.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.core.address import Address, Output
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainGroup, Signer, Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind, Need
from reconciler.core.money import format_amount
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.v2 import allowing, serving


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
    protocol = "v2"
    fields = ("allowance",)
    of_machine = False

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        payers = {payer for machine, _, who in serving(fleet) if not machine.suspended for payer in who.payers}
        for payer in sorted(payer for payer in payers if payer.role == "operator"):
            dues = Address("dues", str(payer))
            yield Spec(
                Address(self.name, payer.name),
                payer,
                fleet.operators[payer.name].address or "",
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
        call = allowing(spec.payer, spec.spender, spec.need)
        amount = format_amount(spec.need) if isinstance(spec.need, int) else str(spec.need)
        return (Step(f"allow the subscription contract to take {amount}", ChainGroup((call,))),)

    def subject(self, spec: Spec) -> str:
        return spec.account

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"allowance": None}

    def kept(self, field: str, declared: object, observed: object) -> bool:
        # It follows from what the machines are, and from the time.
        return True

    def written(self, spec: Spec, field: str) -> Iterable[tuple[str | int, ...]]:
        return ()

    def equal(self, spec: Spec, state: State) -> str:
        return f"{format_amount(state.wei)} may be taken, which is enough"
