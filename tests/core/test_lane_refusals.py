"""What a lane says of a call that would fail: nothing is signed, and whoever waits learns what to do."""

import asyncio
from typing import Any, cast

import pytest

from reconciler.core.effects import ChainCall, ChainGroup, Signer
from reconciler.core.errors import Rejected
from reconciler.core.ports import Block, Chain, Clock, Fees, Keyring, Raw, Simulated
from reconciler.engine.forecast import Forecast
from reconciler.engine.lanes import Lane, Shared
from reconciler.engine.purse import Purse
from reconciler.engine.watch import Watch
from reconciler.engine.world import Gauge, Settings, World

BOB = Signer("operator", "bob")


class Refusing:
    """A chain where every call would fail; also the keyring and the clock. Whatever else is asked is a mistake."""

    def now(self) -> float:
        return 0.0

    def address(self, signer: Signer) -> str:
        return "0x" + "b" * 40

    def encode(self, call: ChainCall) -> Raw:
        return Raw(call.to, "0x", 0)

    async def recent(self, number: int = 0) -> Block:
        return Block(1, "0x1", 1, 1, 15_000_000)

    async def fees(self) -> Fees:
        return Fees(1, None)

    async def next_nonce(self, address: str) -> int:
        return 0

    async def estimate(self, sender: str, call: Raw) -> Simulated:
        return Simulated(revert="NotSuspended", remedy="plan again to see it")


@pytest.mark.parametrize("calls", [1, 2])
def test_a_refusal_says_what_to_do(calls: int) -> None:
    nobody: Any = None
    chain = Refusing()
    settings = Settings(1, batch=False)
    world = World(
        *(cast(Chain, chain), cast(Keyring, chain), nobody, nobody, nobody, nobody, cast(Clock, chain), nobody),
        settings,
    )
    group = ChainGroup((ChainCall(BOB, "registry", "f()"),) * calls)

    async def sent() -> None:
        shared = Shared(world, Watch(world), Gauge(world), Purse(None), Forecast({}, world.emit, lambda: 0.0))
        await Lane(shared, BOB).submit(group, ())

    with pytest.raises(Rejected) as refused:
        asyncio.run(sent())
    assert (refused.value.reason, refused.value.hint) == ("NotSuspended", "plan again to see it")
