"""Transactions in flight: what offers too little for the next blocks is offered more, and landing is news."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from reconciler.core.errors import Unreachable
from reconciler.core.ports import Api, Block, Chain, Journal, Keyring, Mined, Secrets, Sent, Sink
from reconciler.engine.events import Event, Stage
from reconciler.engine.watch import Watch
from reconciler.engine.world import Settings, World

GWEI = 10**9


class Hurry:
    """A clock that goes twenty times faster."""

    def now(self) -> float:
        return asyncio.get_running_loop().time() * 20

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 20)


class Notes:
    """A journal that remembers nothing."""

    async def mined(self, mined: Mined) -> None:
        return None


@dataclass
class Full:
    """A chain of full blocks, one each second: each takes the first transaction of its pool that pays enough."""

    clock: Hurry
    base_fee: int
    rise: float = 9 / 8
    pool: list[Sent] = field(default_factory=list)
    known: dict[str, Sent] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    lookups: int = 0
    outage: tuple[float, float] = (0, 0)
    """Seconds after the first block between which nobody answers."""
    said: list[Event] = field(default_factory=list)

    async def head(self, tag: str = "latest") -> Block:
        begins, ends = self.outage
        if begins <= len(self.blocks) < ends:
            raise Unreachable("no answer from the node")
        return self.blocks[-1]

    async def recent(self, number: int = 0) -> Block:
        return self.blocks[-1]

    async def block(self, number: int) -> Block | None:
        return self.blocks[number]

    async def receipts(self, block: Block) -> Mapping[str, Mined]:
        return {h: Mined(h, block.number, block.hash, True, 21_000) for h in block.transactions}

    async def mined(self, hashes: Sequence[str]) -> Mapping[str, Mined]:
        self.lookups += 1
        return {}

    async def nonce(self, address: str, tag: str) -> int:
        return 0

    async def broadcast(self, raw: str) -> None:
        self.pool.append(self.known[raw])

    async def go_on(self) -> None:
        while True:
            paying = [sent for sent in self.pool if sent.max_fee >= self.base_fee][:1]
            self.pool = [sent for sent in self.pool if sent not in paying]
            number = len(self.blocks)
            hashes = tuple(sent.hash for sent in paying)
            parent = f"b{number - 1}"
            self.blocks.append(Block(number, f"b{number}", number, self.base_fee, 15_000_000, hashes, parent))
            self.base_fee = int(self.base_fee * self.rise)
            await self.clock.sleep(1)

    def sent(self, name: str, max_fee: int) -> Sent:
        self.known[name] = Sent(name, "0x1", "machine", 1, name, (), 21_000, max_fee)
        return self.known[name]


async def followed(chain: Full, count: int, offer: int) -> list[Mined]:
    """So many transactions at this fee, sent two a second and each bumped to a hundred times its fee."""
    world = World(
        cast(Chain, chain), cast(Keyring, None), cast(Api, None), cast(Journal, Notes()), cast(Sink, None),
        cast(Secrets, None), chain.clock, cast("object", None), Settings(chain_id=1), chain.said.append,  # type: ignore[arg-type]
    )  # fmt: skip
    watch = Watch(world)
    going = asyncio.ensure_future(chain.go_on())
    await asyncio.sleep(0)
    await watch.ready()

    async def bump(old: Sent) -> Sent:
        return chain.sent(old.hash + "+", old.max_fee * 100)

    async def one(number: int) -> Mined:
        await chain.clock.sleep(number / 2)
        sent = chain.sent(f"t{number}", offer)
        await chain.broadcast(sent.raw)
        return await watch.included([sent], bump)

    try:
        return list(await asyncio.gather(*map(one, range(count))))
    finally:
        going.cancel()


def test_what_the_next_blocks_would_not_take_is_offered_more_at_once() -> None:
    async def run() -> None:
        chain = Full(Hurry(), GWEI)
        mined = await followed(chain, 12, 2 * GWEI)
        # Long before anything counts as stuck; and the first ones went as they were.
        assert chain.blocks[-1].number < 30
        bumped = [m.hash.endswith("+") for m in mined]
        assert not bumped[0] and bumped[-1]

    asyncio.run(run())


def test_while_some_land_nothing_is_looked_up_by_itself() -> None:
    async def run() -> None:
        chain = Full(Hurry(), GWEI, rise=1)
        # More are sent than land, for more than the seconds after which silence would be looked into.
        await followed(chain, 40, 2 * GWEI)
        assert chain.lookups == 0

    asyncio.run(run())


def test_a_node_that_does_not_answer_is_told_now_and_then() -> None:
    async def run() -> None:
        chain = Full(Hurry(), GWEI, rise=1, outage=(3, 28))
        await followed(chain, 2, 2 * GWEI)
        told = [event.text for event in chain.said if event.stage is Stage.WAITING]
        assert set(told) == {"no answer from the node"}
        assert 2 <= len(told) < 10

    asyncio.run(run())
