"""What runs on a chain: whose contracts are there, and what protocol v2 says of itself."""

import asyncio
from collections.abc import Mapping, Sequence

from eth_hash.auto import keccak

from reconciler.adapters.chain import RpcChain
from reconciler.core.errors import Rejected
from reconciler.core.fleet import ROLES, ContractAddresses, Protocol
from reconciler.core.ports import Reader
from reconciler.core.section import ZERO_ADDRESS
from reconciler.core.value import Value

PEERS = {
    "machineRegistry": "MACHINE_REGISTRY",
    "machineStateAndSync": "MACHINE_STATE_AND_SYNC",
    "machineSubscription": "MACHINE_SUBSCRIPTION",
    "crossChainMirror": "CROSS_CHAIN_MIRROR",
    "machineBridgeAdapter": "MACHINE_BRIDGE_ADAPTER",
    "subscriptionTokenProvisionPool": "SUBSCRIPTION_TOKEN_PROVISION_POOL",
}
"""What the InfoDesk calls its contracts. Of the last two a manifest knows no address: they must only be there."""


class Terms(Value):
    peers: Mapping[str, str]
    """Addresses by role, as the InfoDesk names them."""
    token: str
    authority: bool
    """Whether bonds are taken on this chain."""
    paused: bool
    prices: Mapping[str, int]
    """Wei by tier; those that have a price now."""
    period: int
    """Seconds that one payment lasts."""


async def terms(read: Reader, tiers: Sequence[str]) -> Terms:
    """`tiers` by their numbers. Raises Rejected or Unreachable where a contract does not answer as one of v2."""
    named = (read.view("infoDesk", "peer(bytes32)(address)", keccak(name.encode())) for name in PEERS.values())
    prices = (_price(read, number) for number in range(len(tiers)))
    said, peers, found = await asyncio.gather(
        read.together(
            (
                read.view("infoDesk", "peaqToken()(address)"),
                read.view("machineSubscription", "isEconomicAuthority()(bool)"),
                read.view("machineStateAndSync", "isTechnicalPausedGlobal()(bool)"),
                read.view("infoDesk", "subscriptionPeriodLength()(uint256)"),
            )
        ),
        read.together(named),
        read.together(prices),
    )
    addresses = {role: address for role, (address,) in zip(PEERS, peers, strict=True)}
    known = {tier: wei for tier, wei in zip(tiers, found, strict=True) if wei is not None}
    (token,), (authority,), (paused,), (period,) = said
    return Terms(addresses, token, authority, paused, known, period)


async def _price(read: Reader, tier: int) -> int | None:
    try:
        return int((await read.view("machineSubscription", "requiredPeaqAmount(uint8)(uint256)", tier))[0])
    except Rejected as error:
        if error.reason == "PriceNotAvailable":
            return None
        raise


def strangers(said: Terms, contracts: ContractAddresses) -> dict[str, str]:
    """Roles, and the address that the InfoDesk names where it is not the manifest's, or no address at all."""
    named = {role: contracts.at(role) if role in ROLES["v2"] else "" for role in PEERS}
    wrong = {r: a for r, a in said.peers.items() if (a.lower() != named[r].lower() if named[r] else a == ZERO_ADDRESS)}
    return wrong | ({} if said.token.lower() == contracts.peaq_token.lower() else {"peaqToken": said.token})


async def standing(chain: RpcChain, contracts: ContractAddresses) -> frozenset[Protocol]:
    """The protocols whose contracts are all there."""
    protocols = [protocol for protocol in ROLES if not contracts.missing(protocol)]
    found = await asyncio.gather(*(_all_there(chain, contracts, protocol) for protocol in protocols))
    return frozenset(protocol for protocol, there in zip(protocols, found, strict=True) if there)


async def _all_there(chain: RpcChain, contracts: ContractAddresses, protocol: Protocol) -> bool:
    codes = await asyncio.gather(*(chain.code(contracts.at(role)) for role in ROLES[protocol]))
    return all(code not in ("0x", "") for code in codes)
