"""What MachineSubscription may take from an operator: exactly what is planned, so that nothing dearer can be taken.

Machines that pay for themselves allow it as they pay.
"""

from collections.abc import Iterable

from reconciler.core.address import Address, Burden
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainGroup, Signer, Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind
from reconciler.core.money import format_amount
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.value import Value
from reconciler.kinds.peaq_v2.ground import allowing, serving


class Spec(Value):
    address: Address
    payer: Signer
    account: str
    spender: str
    need: int | Burden


class State(Value):
    wei: int


class Allowance(Kind[Spec, State]):
    name = "allowance"
    protocol = "v2"
    fields = ("allowance",)
    of_machine = False

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        payers = {payer for machine, _, who in serving(fleet) if not machine.suspended for payer in who.payers}
        for payer in sorted(payer for payer in payers if payer.role == "operator"):
            account, spender = fleet.operators[payer.name].address, fleet.network.contracts.at("machineSubscription")
            need = Burden(str(payer), bonds=True)
            yield Spec(Address(self.name, payer.name), payer, account or "", spender, need)

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        function = "allowance(address,address)(uint256)"
        (wei,) = await read.view("peaqToken", function, spec.account, spec.spender)
        return Present(State(wei))

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        if state.wei >= _wei(spec):
            return ()
        return (FieldChange("allowance", format_amount(state.wei), format_amount(_wei(spec))),)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        call = allowing(spec.payer, spec.spender, _wei(spec))
        title = f"allow the subscription contract to take {format_amount(_wei(spec))}"
        return (Step(title, ChainGroup((call,))),)

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


def _wei(spec: Spec) -> int:
    """The bonds of this plan, once they are known."""
    return spec.need if isinstance(spec.need, int) else 0
