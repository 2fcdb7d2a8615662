"""What an account has to pay for v2 machines: bonds of those that are not there yet, and renewals. Read, never changed.

It is read when planning, and what is paid is what was planned: a price that rises meanwhile is not paid unseen.
"""

from collections.abc import Iterable, Mapping

from reconciler.core.address import Address
from reconciler.core.change import FieldChange
from reconciler.core.effects import Signer, Step
from reconciler.core.errors import Rejected
from reconciler.core.fleet import Fleet, Mistake
from reconciler.core.kind import Kind
from reconciler.core.minted import owner_of
from reconciler.core.money import format_amount
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.value import Value, field
from reconciler.kinds.peaq_v2.ground import NO_PRICE, TERMINATED, TIERS, due, serving, subscription_of

VOUCHERS, REWARDS = "pendingVoucherCredit", "pendingBondingReward"
SUBSCRIPTION = bytes.fromhex("32e459f82469a36e51987804a9d51db869e28dcc5ab0ec708b4fb9ad54ba2c1d")
"""Keccak-256 of MACHINE_SUBSCRIPTION, by which the InfoDesk knows it."""


class Item(Value):
    """A machine that the account may have to pay for."""

    name: str
    id: str
    tier: int
    activates: bool
    """Whether this account is the one that activates it."""
    manages: bool
    """Whether it is the one that renews it."""
    first_owner: str
    renew_before: int | None


class Spec(Value):
    address: Address
    items: tuple[Item, ...]
    token: str
    subscription: str
    """Address of MachineSubscription, which takes the money."""


class Claim(Value):
    """What is owed for one machine before credits: `credit` is the sort that is taken off, of `owner`."""

    name: str
    tier: int
    owner: str
    credit: str


class State(Value):
    owed: Mapping[str, int] = field(default_factory=dict)
    """Wei by machine, credits taken off."""
    obstacle: str = ""
    """Why nothing can be paid now."""


class Dues(Kind[Spec, State]):
    name = "dues"
    protocol = "v2"
    of_machine = False

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        items: dict[Signer, dict[str, Item]] = {}
        for machine, block, who in serving(fleet):
            for payer in () if machine.suspended else who.payers:
                item = Item(
                    machine.name,
                    who.id,
                    TIERS.index(block.tier),
                    payer == who.activator,
                    payer == who.manager,
                    who.first_owner,
                    block.renew_before,
                )
                items.setdefault(payer, {})[machine.name] = item
        contracts = fleet.network.contracts
        for payer in sorted(items):
            at = contracts.at("machineSubscription")
            yield Spec(Address(self.name, str(payer)), tuple(items[payer].values()), contracts.peaq_token, at)

    def check(self, fleet: Fleet) -> Iterable[Mistake]:
        for protocol in fleet.protocols:
            if missing := fleet.network.contracts.missing(protocol):
                message = f"protocol {protocol} needs the addresses of {', '.join(missing)}"
                hint = "write them under network.contracts, or take the machines out that live by it"
                yield Mistake(loc=("network", "contracts"), message=message, hint=hint)

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        claims = [claim for claim in await read.together(_claim(item, read) for item in spec.items) if claim]
        if not claims:
            return Present(State())
        if obstacle := await _obstacle(spec, read):
            return Present(State(obstacle=obstacle))
        try:
            return Present(State(await _owed(claims, read)))
        except Rejected as error:
            if error.reason != NO_PRICE:
                raise
            return Present(State(obstacle="the protocol has no price for bonds now; try again later"))

    def refuse(self, spec: Spec, state: State | None) -> str | None:
        return state.obstacle or None if state else None

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        return ()

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        return ()

    def outputs(self, spec: Spec, state: State) -> dict[str, object]:
        return dict(state.owed)

    def equal(self, spec: Spec, state: State) -> str:
        return f"{format_amount(sum(state.owed.values()))} for {len(state.owed)} machine(s)"


async def _claim(item: Item, read: Reader) -> Claim | None:
    owner = await owner_of(read, item.id)
    if owner is None:
        return Claim(item.name, item.tier, item.first_owner, VOUCHERS) if item.activates else None
    if not item.manages:
        return None
    paid = await subscription_of(read, item.id)
    if not paid.start:
        return Claim(item.name, item.tier, owner, VOUCHERS)
    if not due(paid, read.chain_time(), item.renew_before):
        return None
    (status,) = await read.view("machineSubscription", "subscriptionStatus(uint256)(uint8)", int(item.id))
    return None if status == TERMINATED else Claim(item.name, paid.tier, owner, REWARDS)


async def _obstacle(spec: Spec, read: Reader) -> str:
    """Why nothing can be paid, or nothing must be trusted with money, or ""."""
    (authority,), (paused,), (token,), (peer,) = await read.together(
        (
            read.view("machineSubscription", "isEconomicAuthority()(bool)"),
            read.view("machineStateAndSync", "isTechnicalPausedGlobal()(bool)"),
            read.view("infoDesk", "peaqToken()(address)"),
            read.view("infoDesk", "peer(bytes32)(address)", SUBSCRIPTION),
        )
    )
    if not authority:
        return "this chain does not take bonds and renewals now: it is not the economic authority"
    if paused:
        return "the protocol is technically paused by its owner; nothing can be paid until it runs again"
    if peer.lower() != spec.subscription.lower():
        return f"the InfoDesk names {peer} as MachineSubscription; correct network.contracts.machineSubscription"
    if token.lower() != spec.token.lower():
        return f"the InfoDesk names {token} as the token that is paid with; correct network.contracts.peaqToken"
    return ""


async def _owed(claims: Iterable[Claim], read: Reader) -> dict[str, int]:
    """By machine. Credits go to the first machines of their owner, as they are activated or renewed in this order."""
    left: dict[tuple[str, str], int] = {}
    owed: dict[str, int] = {}
    for claim in claims:
        (price,) = await read.view("machineSubscription", "requiredPeaqAmount(uint8)(uint256)", claim.tier)
        purse = (claim.credit, claim.owner.lower())
        if purse not in left:
            (left[purse],) = await read.view("machineSubscription", f"{claim.credit}(address)(uint256)", claim.owner)
        credit = min(price, left[purse])
        left[purse] -= credit
        owed[claim.name] = price - credit
    return owed
