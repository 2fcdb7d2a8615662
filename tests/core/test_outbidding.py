"""Transactions that are not mined: what replaces them is taken by nodes, and never more than the account can pay."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.effects import ChainCall, ChainGroup, Signer
from reconciler.core.errors import Unreachable
from reconciler.core.ports import Block, Draft, Fees, Mined, Raw, Sent, Signed, Simulated
from reconciler.engine.events import Event, Stage
from reconciler.engine.forecast import GAS_MARGIN, Forecast
from reconciler.engine.lanes import Lane, Shared
from reconciler.engine.outbid import outbid
from reconciler.engine.purse import Purse
from reconciler.engine.watch import Watch
from reconciler.engine.world import Gauge, Settings, World

GWEI = 10**9
GAS = 100_000
VALUE = 10**15
PRESS = Signer("machine", "press")
wei = st.integers(0, 10**15)


@given(fee=wei, tip=st.none() | wei, base=wei, now=st.none() | wei)
def test_both_fees_rise_by_what_nodes_want_and_to_what_is_enough_now(
    fee: int, tip: int | None, base: int, now: int | None
) -> None:
    old = Sent("0x1", "0x2", "machine/press", 0, "0x", (), GAS, fee, tip if tip is None else min(tip, fee))
    new = outbid(old, Fees(2 * base + (now or 0), now))
    assert 10 * new.max_fee > 11 * fee and new.max_fee >= 2 * base + (now or 0)
    assert (new.tip is None) == (now is None)
    if new.tip is not None:
        assert 10 * new.tip > 11 * (fee if old.tip is None else old.tip)
        assert (now or 0) <= new.tip <= new.max_fee


@dataclass
class Rising:
    """A chain whose base fee doubles with each block up to the `last`, from which on it takes what was offered last.

    Also whatever else a lane needs.
    """

    balance_wei: int
    last: int = 8
    offers: list[Draft] = field(default_factory=list)
    begun: float = 0
    tried: int = 0
    block_gas: int = 15_000_000
    pace: float = 20
    """Times that the clock goes faster."""
    silent: int = 0
    """How often the balance is not told."""
    said: list[Event] = field(default_factory=list)

    def now(self) -> float:
        return asyncio.get_running_loop().time() * self.pace

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.pace)

    def address(self, signer: Signer) -> str:
        return "0x" + "b" * 40

    def encode(self, call: ChainCall) -> Raw:
        return Raw(call.to, "0x", VALUE)

    async def estimate(self, sender: str, call: Raw) -> Simulated:
        self.tried += 1
        return Simulated(int(GAS / GAS_MARGIN / self.tried))

    async def next_nonce(self, address: str) -> int:
        return 0

    async def balance(self, address: str) -> int:
        self.silent -= 1
        if self.silent >= 0:
            raise Unreachable("no answer from the node")
        return self.balance_wei

    async def head(self, tag: str = "latest") -> Block:
        self.begun = self.begun or self.now()
        number = int(self.now() - self.begun)
        newest = {(draft.call, draft.nonce): f"0x{at}" for at, draft in enumerate(self.offers, 1)}
        taken = tuple(newest.values()) if number >= self.last else ()
        return Block(
            number, f"b{number}", number, GWEI * 2 ** min(number, self.last), self.block_gas, taken, f"b{number - 1}"
        )

    recent = head

    async def block(self, number: int) -> Block | None:
        return None

    async def fees(self) -> Fees:
        return Fees(2 * (await self.head()).base_fee + GWEI, GWEI)

    async def receipts(self, block: Block) -> Mapping[str, Mined]:
        return {h: Mined(h, block.number, block.hash, True, GAS) for h in block.transactions}

    def sign_transaction(self, signer: Signer, draft: Draft) -> Signed:
        self.offers.append(draft)
        return Signed(f"0x{len(self.offers)}", "0x", draft)

    async def broadcast(self, raw: str) -> None:
        return None

    async def signed(self, sent: Sent) -> None:
        return None

    async def mined(self, found: object) -> Mapping[str, Mined]:
        return {}


GROUP = ChainGroup((ChainCall(PRESS, "0x1", "f()"),))


def shared(chain: Rising, **limits: Any) -> Shared:
    port: Any = chain
    settings = Settings(1, batch=False, **{"bump_after": 1, **limits})
    world = World(port, port, None, port, port, port, port, port, settings, chain.said.append)
    return Shared(world, Watch(world), Gauge(world), Purse(None), Forecast({}, world.emit, chain.now))


def offered(chain: Rising, count: int = 1, **limits: Any) -> list[Fees]:
    """What was offered, one after the other, for so many transactions until they were mined."""

    async def sent() -> None:
        lane = Lane(shared(chain, **limits), PRESS)
        await asyncio.gather(*(lane.submit(GROUP, ()) for _ in range(count)))

    asyncio.run(asyncio.wait_for(sent(), 20))
    # None has a lower limit than one before it, or dev nodes drop it: not even the last ones, which take less.
    assert {draft.gas for draft in chain.offers} == {GAS}
    return [draft.fees for draft in chain.offers]


def told(chain: Rising) -> list[str]:
    return [event.text for event in chain.said if event.stage is Stage.WAITING]


def test_each_offer_replaces_the_one_before() -> None:
    chain = Rising(10**30)
    found = offered(chain)
    assert len(found) > 3
    for old, new in pairwise(found):
        assert 10 * new.max_fee > 11 * old.max_fee
        assert 10 * cast(int, new.tip) > 11 * cast(int, old.tip)
    assert not told(chain)


def test_no_offer_takes_what_the_call_itself_needs() -> None:
    affordable = 30 * GWEI
    chain = Rising(VALUE + GAS * affordable)
    found = offered(chain)
    assert len(found) > 1
    # Up to what there is, and no further.
    assert found[-1].max_fee <= affordable < found[-1].max_fee * 9 / 8 + 1
    assert "offers no more" in told(chain)[0] and "30 gwei" in told(chain)[0]


def test_no_offer_takes_what_others_in_flight_need() -> None:
    chain = Rising(2 * (VALUE + GAS * 30 * GWEI))
    assert len(offered(chain, 2)) > 3
    worst: dict[int, int] = {}
    for draft in chain.offers:
        worst[draft.nonce] = VALUE + GAS * draft.fees.max_fee
        assert sum(worst.values()) <= chain.balance_wei


def test_no_offer_is_above_the_limit() -> None:
    chain = Rising(10**30)
    found = offered(chain, max_fee=20 * GWEI)
    assert len(found) > 1
    assert 20 * GWEI >= found[-1].max_fee > 20 * GWEI * 8 / 9 - 1
    assert "guards.maxFee" in told(chain)[0]


def test_a_balance_that_cannot_be_read_is_asked_for_again() -> None:
    chain = Rising(10**30, silent=2)
    # Only what the next blocks would not take is offered more here.
    assert len(offered(chain, bump_after=60)) > 1


def test_who_waits_for_room_gives_up_once_blocks_take_nothing() -> None:
    chain = Rising(10**30, last=10**9, block_gas=GAS // 10, pace=0.1)

    async def sent() -> None:
        common = shared(chain, timeout=0.3)
        flying = asyncio.ensure_future(Lane(common, PRESS).submit(GROUP, ()))
        await asyncio.sleep(0.1)
        with pytest.raises(Unreachable, match="no transaction of ours was mined"):
            await Lane(common, Signer("machine", "other")).submit(GROUP, ())
        assert not flying.done() and len(chain.offers) == 1
        flying.cancel()

    asyncio.run(sent())


def test_what_waited_for_room_is_offered_no_more_than_there_is() -> None:
    # There is room for one at a time, and the price rises while the other waits.
    chain = Rising(VALUE + GAS * 30 * GWEI, block_gas=GAS // 10)

    async def sent() -> None:
        common = shared(chain, bump_after=60)
        lanes = [Lane(common, Signer("machine", name)) for name in ("press", "other")]
        await asyncio.gather(*(lane.submit(GROUP, ()) for lane in lanes))

    asyncio.run(asyncio.wait_for(sent(), 20))
    first, last = chain.offers[0], chain.offers[-1]
    assert first.fees.max_fee < 10 * GWEI < last.fees.max_fee
    assert VALUE + last.gas * last.fees.max_fee == chain.balance_wei
