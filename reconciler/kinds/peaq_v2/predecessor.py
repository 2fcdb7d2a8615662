"""The v1 machine whose place a v2 machine takes: read, never changed, and held against the credential subject.

What is on the chain for ever must be right before it is written.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from reconciler.core.address import Address
from reconciler.core.adoption import Adopted, Found
from reconciler.core.change import FieldChange
from reconciler.core.effects import Step
from reconciler.core.fleet import Fleet, Machine, Mistake
from reconciler.core.kind import Kind
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.succession import Forerunner
from reconciler.core.value import Value
from reconciler.kinds.peaq_v2.ground import MachineBlock, blocks

ID_OF = "machineIdOfOwner(address)(uint256)"
SUBJECT_HINT = "begin it with {}; `fleetctl migrate plan` writes it"


class Spec(Value):
    address: Address
    machine: str
    """What it is called in the manifest."""
    account: str
    said: Forerunner


class State(Value):
    id: str


class Predecessor(Kind[Spec, State]):
    name = "predecessor"
    protocol = "v2"

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine, block, _ in blocks(fleet):
            former, said = fleet.predecessor_of(machine), Forerunner.read(block.subject)
            if former is not None and said is not None and machine.state == "active":
                yield Spec(Address(self.name, machine.name), former.name, former.address or "", said)

    def check(self, fleet: Fleet) -> Iterable[Mistake]:
        count = Counter(machine.successor_of for machine in fleet.active)
        old = {machine.name: machine for machine in fleet.of("v1")}
        for index, machine in enumerate(fleet.machines):
            name, block = machine.successor_of, machine.section(MachineBlock)
            if name is None:
                continue
            loc = ("machines", index, "successorOf")
            if block is None:
                hint = "take it out, or write `protocol: v2` and its v2 block"
                yield Mistake(loc=loc, message="only a machine of protocol v2 takes the place of another", hint=hint)
            elif name not in old:
                hint = "name a machine of this file that lives by v1; take successorOf out once that entry is gone"
                yield Mistake(loc=loc, message=f"no v1 machine is called `{name}` here", hint=hint)
            elif machine.state == "active" and count[name] > 1:
                hint = "keep one, or write `state: retired` at the others"
                yield Mistake(loc=loc, message=f"another machine takes the place of `{name}` too", hint=hint)
            else:
                yield from _unsaid(fleet, index, old[name], block)

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        (machine_id,) = await read.view("identityRegistry", ID_OF, spec.account)
        return Present(State(str(machine_id))) if machine_id else Absent()

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        (subject,) = await read.view("machineRegistry", "credentialSubjectOf(uint256)(bytes)", int(machine.id))
        said = Forerunner.read(subject)
        if said is None or not _of_here(said, fleet):
            return Adopted()
        (number,) = await read.view("identityRegistry", ID_OF, said.account)
        return Adopted(follows=said.did) if str(number) == said.id else Adopted()

    def refuse(self, spec: Spec, state: State | None) -> str | None:
        if state is None:
            return f"{spec.machine} is not registered, so nothing can take its place"
        if spec.account.lower() != spec.said.account.lower():
            return f"its credentialSubject says account {spec.said.account}, and {spec.machine} is {spec.account}"
        if state.id != spec.said.id:
            return f"its credentialSubject says machine id {spec.said.id}, and {spec.machine} is {state.id}"
        return None

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        return ()

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        return ()

    def subject(self, spec: Spec) -> str:
        return spec.said.did

    def equal(self, spec: Spec, state: State) -> str:
        return f"takes the place of {spec.machine}, machine id {state.id}"


def _known(fleet: Fleet) -> tuple[int, str]:
    """The chain, and the registry there that gives the ids of v1."""
    return fleet.network.chain_id, (fleet.network.contracts.identity_registry or "").lower()


def _of_here(said: Forerunner, fleet: Fleet) -> bool:
    return (said.chain_id, said.registry.lower()) == _known(fleet)


def _unsaid(fleet: Fleet, index: int, former: Machine, block: MachineBlock) -> Iterator[Mistake]:
    """Where the credential subject does not say whose place is taken, as far as that can be told without the chain."""
    said, account = Forerunner.read(block.subject), (former.address or "").lower()
    if said is None or not _of_here(said, fleet) or (account and said.account.lower() != account):
        wanted = Forerunner(*_known(fleet), "<its id>", former.address or "<its address>").text
        message = f"the credentialSubject does not say that it takes the place of `{former.name}`"
        hint = SUBJECT_HINT.format(wanted)
        yield Mistake(loc=("machines", index, "v2", "credentialSubject"), message=message, hint=hint)
