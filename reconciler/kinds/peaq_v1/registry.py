"""The registry's own terms: read, never changed. Everything that registers needs it, so a pause blocks just that."""

from collections.abc import Iterable

from reconciler.core.address import Address
from reconciler.core.change import FieldChange
from reconciler.core.effects import Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.value import Value


class Spec(Value):
    address: Address


class State(Value):
    min_bond: int
    """Wei that each registration must send, exactly."""
    staking_paused: bool
    nft_paused: bool


class Registry(Kind[Spec, State]):
    name = "registry"
    protocol = "v1"
    of_machine = False

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        if fleet.of("v1"):
            yield Spec(Address(self.name, "v1"))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        (bond,), (staking,), (nft,) = await read.together(
            (
                read.view("identityRegistry", "minBond()(uint256)"),
                read.view("identityStaking", "paused()(bool)"),
                read.view("machineNft", "paused()(bool)"),
            )
        )
        return Present(State(bond, staking, nft))

    def refuse(self, spec: Spec, state: State | None) -> str | None:
        if state is not None and (state.staking_paused or state.nft_paused):
            which = "IdentityStaking" if state.staking_paused else "MachineNFT"
            return f"{which} is paused by its owner; nothing can be registered or minted until it is unpaused"
        return None

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        return ()

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        return ()

    def outputs(self, spec: Spec, state: State) -> dict[str, object]:
        return {"min_bond": state.min_bond}
