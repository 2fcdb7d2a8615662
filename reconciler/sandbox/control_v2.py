"""What a test may do to the machines of v2: the owner's functions of its contracts, as a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.sandbox.chain import Chain, calldata
from reconciler.sandbox.config import ContractsV2


@dataclass(frozen=True)
class Switch:
    """One function: which contract has it, and what its arguments are called in a request."""

    contract: Callable[[ContractsV2], str]
    signature: str
    arguments: tuple[str, ...]

    async def turn(self, chain: Chain, wanted: Mapping[str, Any]) -> None:
        """KeyError, ValueError or TypeError where the arguments do not fit."""
        types = self.signature.partition("(")[2].removesuffix(")").split(",")
        values = [READ.get(kind, int)(wanted[name]) for name, kind in zip(self.arguments, types, strict=True)]
        await chain.send(self.contract(chain.v2), calldata(self.signature, *values))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("say true or false")
    return value


def _desk(at: ContractsV2) -> str:
    return at.info_desk


def _state(at: ContractsV2) -> str:
    return at.machine_state_and_sync


def _subscription(at: ContractsV2) -> str:
    return at.machine_subscription


def _mirror(at: ContractsV2) -> str:
    return at.cross_chain_mirror


READ: Mapping[str, Callable[[Any], Any]] = {"bool": _flag, "address": str}
"""By type; all others are whole numbers, as such or as decimal text."""
SWITCHES: Mapping[str, Switch] = {
    # USD have 18 decimals. Without a price nothing can be bonded.
    "setPeaqPrice": Switch(_desk, "setPeaqPriceUsd(uint256)", ("usd",)),
    "setTierPrice": Switch(_desk, "setTierPriceUsd(uint8,uint256)", ("tier", "usd")),
    "setSubscriptionPeriod": Switch(_desk, "setSubscriptionPeriodLength(uint64)", ("seconds",)),
    "setGrace": Switch(_desk, "setGraceDuration(uint64)", ("seconds",)),
    "setRunoff": Switch(_desk, "setRunoffDuration(uint64)", ("seconds",)),
    "setVoucher": Switch(_subscription, "setVoucherCredit(address,uint256)", ("address", "wei")),
    "setBondingReward": Switch(_subscription, "setBondingReward(address,uint256)", ("address", "wei")),
    "setEconomicAuthority": Switch(_subscription, "setEconomicAuthority(bool)", ("here",)),
    "forgetSubscription": Switch(_subscription, "forget(uint256)", ("machineId",)),
    "setGeneralPaused": Switch(_state, "setGeneralPaused(uint256,bool)", ("machineId", "paused")),
    "setGeneralPausedGlobal": Switch(_state, "setGeneralPausedGlobal(bool)", ("paused",)),
    "setTechnicalPaused": Switch(_state, "setTechnicalPaused(uint256,bool)", ("machineId", "paused")),
    "setTechnicalPausedGlobal": Switch(_state, "setTechnicalPausedGlobal(bool)", ("paused",)),
    "setRelocating": Switch(_state, "setRelocating(uint256,bool)", ("machineId", "relocating")),
    "setHomeChain": Switch(_mirror, "setHomeChain(uint256,uint16)", ("machineId", "chain")),
}
