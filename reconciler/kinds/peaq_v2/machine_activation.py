"""A v2 machine: one activation mints it, writes its DID document, pays its bond and opens its subscription.

Who it is follows from type and subject, and is known before it is there. What must never be repaired is refused.
"""

from collections import Counter
from collections.abc import Iterable
from functools import partial

from reconciler.core.address import NEVER, Address, Never, Output
from reconciler.core.adoption import Adopted, Found
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Signer, Step
from reconciler.core.fleet import Fleet, Mistake, Protocol
from reconciler.core.kind import Kind, Need, Search
from reconciler.core.leaving import GONE, Former, former_machines
from reconciler.core.minted import owner_of
from reconciler.core.money import format_amount
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.section import ZERO_ADDRESS, Loc
from reconciler.core.value import Value
from reconciler.kinds.peaq_v2.ground import (
    ACTIVATE,
    SUSPEND,
    TERMINATED,
    TIERS,
    MachineBlock,
    Parties,
    blocks,
    document,
    paying,
    subscription_of,
    written_subject,
)

HOMES = {0: "none", 1: "peaq", 5: "Solana"}
OWNS = "it is another's, as after a hand-over; if its own key owns it, write `custody: machine` and its address instead"
BASE_GAS, WORD_GAS = 350_000, 22_000


class Spec(Value):
    address: Address
    who: Parties
    machine_type: str
    subject: bytes
    manufacturer: str
    tier: int
    document: tuple[object, ...]
    """As the contract takes it: id, controller, verification methods, authentication, service endpoints."""
    bond: int | Output | Never
    """Wei, credits taken off."""
    max_bond: int | None
    spender: str
    """MachineSubscription, which takes the bond."""
    leaves: str = ""
    """Why the machine leaves the fleet, or "" where it does not."""
    predecessor: str = ""
    """DID of the machine whose place it takes, if it takes one's."""


class State(Value):
    owner: str
    manufacturer: str
    tier: int | None
    """None where it has never had a subscription."""
    terminated: bool
    relocating: bool
    home: int
    homed_here: bool
    paused: tuple[str, ...]
    """The pauses that are not ours: general, technical."""


class MachineActivation(Kind[Spec, State]):
    name = "machine_activation"
    protocol = "v2"
    sections = {"machine.v2": MachineBlock}
    prunable = "identities"

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine, block, who in blocks(fleet):
            operator, former = fleet.operator_of(machine).address or "", fleet.predecessor_of(machine)
            yield Spec(
                Address(self.name, machine.name),
                who,
                block.machine_type,
                block.subject,
                block.manufacturer or operator,
                TIERS.index(block.tier),
                document(machine, block, who),
                Output(Address("dues", str(who.activator)), machine.name),
                block.max_bond,
                fleet.network.contracts.at("machineSubscription"),
                GONE[1] if machine.state == "retired" else "",
                fleet.identity_of(former).did if former else "",
            )

    def check(self, fleet: Fleet) -> Iterable[Mistake]:
        ids = Counter(who.id for _, _, who in blocks(fleet))
        for index, machine in enumerate(fleet.machines if ids else ()):
            block = machine.section(MachineBlock)
            if block is not None and ids[block.machine_id] > 1:
                message = "another machine has this machineType and credentialSubject, and would be the same one"
                hint = "give each machine a credentialSubject of its own"
                yield Mistake(loc=("machines", index, "v2", "credentialSubject"), message=message, hint=hint)

    def needs(self, spec: Spec) -> Iterable[Need]:
        if not spec.leaves:
            if spec.predecessor:
                yield Need(Address("predecessor", spec.address.name))
            yield Need(Address("dues", str(spec.who.activator)))
            if spec.who.activator.role == "operator":
                yield Need(Address("allowance", spec.who.activator.name))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        owner = await owner_of(read, spec.who.id)
        if owner is None:
            return Absent()
        number = int(spec.who.id)
        if spec.leaves and (await read.view("machineStateAndSync", "isOperatorPaused(uint256)(bool)", number))[0]:
            return Absent()
        paid = await subscription_of(read, spec.who.id)
        answers = await read.together(
            read.view(contract, f"{function}(uint256)({result})", number)
            for contract, function, result in (
                ("machineRegistry", "manufacturerOf", "address"),
                ("machineSubscription", "subscriptionStatus", "uint8"),
                ("machineStateAndSync", "isRelocating", "bool"),
                ("crossChainMirror", "homeChainOf", "uint16"),
                ("crossChainMirror", "isHomedLocally", "bool"),
                ("machineStateAndSync", "isGeneralPaused", "bool"),
                ("machineStateAndSync", "isTechnicalPaused", "bool"),
            )
        )
        manufacturer, status, relocating, home, here, general, technical = (answer for (answer,) in answers)
        paused = tuple(name for name, is_so in (("general", general), ("technical", technical)) if is_so)
        tier = paid.tier if paid.start else None
        return Present(State(owner, manufacturer, tier, status == TERMINATED, relocating, home, here, paused))

    def searches(self, fleet: Fleet) -> Iterable[Search[Spec]]:
        if "v2" in fleet.protocols:
            yield Search("the v2 machines that were ours", partial(self._strays, fleet, None))
            yield Search("the v2 machines of the chain's logs", partial(self._strays, fleet, "v2"), deep=True)

    async def _strays(self, fleet: Fleet, scan: Protocol | None, read: Reader) -> list[Spec]:
        return [
            Spec(Address(self.name, former.name), _known(fleet, former), "", b"", "", 0, (), 0, None, "", GONE[0])
            for former in await former_machines(fleet, read, scan=scan)
            if former.made.kind == self.name and former.standing.machine_id is not None
        ]

    def pruned(self, spec: Spec, fleet: Fleet) -> bool:
        # Handed over, it is working for somebody else; and its own key, if that owns it, is not known any more.
        return super().pruned(spec, fleet) and not _elses(spec)

    def remedy(self, spec: Spec) -> str:
        if not _elses(spec):
            return super().remedy(spec)
        return f"{spec.who.owner} owns it, so it is left alone; to suspend it, add it to the manifest as retired"

    async def identify(self, account: str, read: Reader) -> Found | None:
        there = account.isdecimal() and await owner_of(read, account) is not None
        return Found(account, "", "") if there else None

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        number, operator = int(machine.id), machine.operator.lower()
        (sort,) = await read.view("machineRegistry", "machineTypeOf(uint256)(string)", number)
        (subject,) = await read.view("machineRegistry", "credentialSubjectOf(uint256)(bytes)", number)
        (maker,) = await read.view("machineRegistry", "manufacturerOf(uint256)(address)", number)
        owner, paid = await owner_of(read, machine.id) or "", await subscription_of(read, machine.id)
        block = {"machineType": sort, "credentialSubject": written_subject(subject)}
        if maker.lower() not in (operator, ZERO_ADDRESS):
            block["manufacturer"] = maker
        if paid.start and paid.tier:
            block["tier"] = TIERS[paid.tier]
        foreign = owner.lower() != operator
        if foreign:
            block |= {"custody": "handover", "owner": owner}
        said = block["credentialSubject"]
        return Adopted({"v2": block}, notes=(OWNS,) * foreign, name=said if isinstance(said, str) else sort)

    def wanted(self, spec: Spec) -> bool:
        return not spec.leaves

    def unwanted(self, spec: Spec, state: State) -> str:
        return f"{spec.leaves}; a machine can be suspended, not destroyed, and its bond stays locked"

    def refuse(self, spec: Spec, state: State | None) -> str | None:
        if state is None:
            return None if spec.leaves else _too_dear(spec)
        return _stranger(spec, state) or (None if spec.leaves else _broken(spec, state))

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        return ()

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        if state is not None:
            call = ChainCall(spec.who.manager, "machineStateAndSync", SUSPEND, (spec.who.id,), gas=100_000)
            return (Step("suspend", ChainGroup((call,))),)
        args = (spec.document, spec.machine_type, spec.subject, spec.manufacturer, spec.tier)
        signer, deposit = spec.who.activator, 0 if isinstance(spec.bond, Never) else spec.bond
        gas = BASE_GAS + WORD_GAS * _words(args)
        call = ChainCall(signer, "machineStateAndSync", ACTIVATE, args, deposit=deposit, gas=gas, purpose="bond")
        return (Step("activate", paying(call, spec.spender, spec.max_bond), irreversible=True),)

    def creates(self, spec: Spec) -> tuple[FieldChange, ...]:
        fields = {"did": f"did:peaq:{spec.who.id}", **self.declared(spec)}
        return tuple(FieldChange(name, None, value) for name, value in fields.items())

    def declared(self, spec: Spec) -> dict[str, object]:
        text = spec.subject.decode("utf-8", "replace") if spec.subject.isascii() else "0x" + spec.subject.hex()
        return {
            "machineType": spec.machine_type,
            "credentialSubject": text,
            "manufacturer": spec.manufacturer.lower(),
            "tier": TIERS[spec.tier],
            **({"successorOf": spec.predecessor} if spec.predecessor else {}),
        }

    def subject(self, spec: Spec) -> str:
        return f"did:peaq:{spec.who.id}"

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        machine = ("machines", spec.address.name)
        if field == "successorOf":
            return ((*machine, field),)
        made_of = ((*machine, "v2", "credentialSubject"), (*machine, "v2", "machineType"))
        return made_of if field == "did" else ((*machine, "v2", field),)

    def outputs(self, spec: Spec, state: State) -> dict[str, object]:
        return {"id": spec.who.id}

    def equal(self, spec: Spec, state: State) -> str:
        return f"activated as did:peaq:{spec.who.id}"


def _known(fleet: Fleet, former: Former) -> Parties:
    """What is known of who has to do with a machine that left."""
    account, operator = fleet.operators[former.operator].address or "", Signer("operator", former.operator)
    owner = former.standing.owner or account
    return Parties(former.name, former.account, operator, account, owner, account, operator)


def _elses(spec: Spec) -> bool:
    """Whether a stray belongs to somebody else, and is only controlled by us."""
    return spec.who.owner != spec.who.first_owner


def _too_dear(spec: Spec) -> str | None:
    if spec.bond is NEVER or not isinstance(spec.bond, int) or spec.max_bond is None or spec.bond <= spec.max_bond:
        return None
    limit = format_amount(spec.max_bond)
    return f"its activation would cost {format_amount(spec.bond)}; v2.maxBond allows {limit}"


def _stranger(spec: Spec, state: State) -> str | None:
    """Why it is not ours to manage from here."""
    if state.owner.lower() not in spec.who.owners:
        return f"owned by {state.owner}, not by {spec.who.owner}; somebody else activated it, or it was handed over"
    if not state.homed_here:
        home = HOMES.get(state.home, f"chain {state.home}")
        return f"its home is another chain ({home}); it can only be managed there"
    if state.relocating:
        return "it is moving to another chain; nothing can be written until it has arrived"
    return None


def _broken(spec: Spec, state: State) -> str | None:
    """What of it is not as declared, or not as it should be, and cannot be changed by us."""
    if state.terminated:
        return "its subscription is terminated, which is final; give it another credentialSubject to begin anew"
    if state.paused:
        return f"peaq has put a {' and a '.join(state.paused)} pause on it; only they can take it away"
    if state.manufacturer.lower() != spec.manufacturer.lower():
        return f"its manufacturer is {state.manufacturer}, for ever; declare that, or another credentialSubject"
    if state.tier not in (None, spec.tier):
        have = TIERS[state.tier] if state.tier < len(TIERS) else f"number {state.tier}"
        return f"its tier is {have}, and cannot be changed to {TIERS[spec.tier]}; declare `tier: {have}`"
    return None


def _words(value: object) -> int:
    """Storage words that `value` takes, roughly."""
    if isinstance(value, tuple):
        return sum(_words(item) for item in value)
    return 1 + len(value) // 32 if isinstance(value, str | bytes) else 1
