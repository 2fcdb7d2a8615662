"""The Machine NFT: minted once to the machine's own address, transferable ever after."""

from collections.abc import Iterable

from reconciler.core.address import Address, Output
from reconciler.core.adoption import Adopted, Found
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Signer, Step
from reconciler.core.errors import Rejected
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind, Need
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.section import Loc
from reconciler.core.value import Value

NOT_MINTED = {"MachineNotFound", "ERC721NonexistentToken"}


class Spec(Value):
    address: Address
    account: str
    machine_id: str | Output
    controller: Signer | Output


class State(Value):
    token: str
    holder: str


class MachineNft(Kind[Spec, State]):
    name = "machine_nft"
    protocol = "v1"

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine in fleet.serving("v1"):
            identity = Address("machine_identity", machine.name)
            operator = Signer("operator", machine.operator)
            yield Spec(
                Address(self.name, machine.name),
                machine.address or "",
                Output(identity, "id"),
                Output(identity, "controller", expected=operator),
            )

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("registry", "v1"))
        yield Need(Address("machine_identity", spec.address.name))

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        there = isinstance(await self._observe(machine.address, read), Present)
        return Adopted(notes=() if there else ("it has no Machine NFT yet: a plan mints it",))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        return await self._observe(spec.account, read)

    async def _observe(self, account: str, read: Reader) -> Present[State] | Absent | Unreadable:
        (machine_id,) = await read.view("identityRegistry", "machineIdOfOwner(address)(uint256)", account)
        if not machine_id:
            return Absent()
        try:
            (token,) = await read.view("machineNft", "tokenIdOf(uint256)(uint256)", machine_id)
        except Rejected as error:
            if error.reason in NOT_MINTED:
                return Absent()
            raise
        if not token:
            return Absent()
        (holder,) = await read.view("machineNft", "ownerOf(uint256)(address)", token)
        return Present(State(str(token), holder))

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        return ()

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        args = (spec.machine_id, spec.account)
        call = ChainCall(spec.controller, "machineNft", "mint(uint256,address)", args, gas=250_000)
        return (Step("mint the Machine NFT", ChainGroup((call,)), irreversible=True),)

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"recipient": spec.account}

    def subject(self, spec: Spec) -> str:
        return spec.account

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return tuple(("machines", spec.address.name, key) for key in ("address", "key"))

    def outputs(self, spec: Spec, state: State) -> dict[str, object]:
        return {"token": state.token}

    def equal(self, spec: Spec, state: State) -> str:
        if state.holder.lower() != spec.account.lower():
            return f"token {state.token} is held elsewhere, by {state.holder}; reported only, an NFT may be moved"
        return f"already minted as token {state.token}"
