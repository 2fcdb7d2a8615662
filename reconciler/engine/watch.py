"""Transactions in flight: noticed at inclusion by reading blocks, sent again after a reorg, settled at depth."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from reconciler.core.errors import Ambiguous, FleetError, Rejected, Unreachable
from reconciler.core.ports import Block, Mined, Sent
from reconciler.engine.events import Event, Stage
from reconciler.engine.rhythm import Rhythm
from reconciler.engine.world import World

FIRST, LONGEST = 0.02, 0.5
"""Seconds between looks while depth is waited for."""
OVERTAKEN = "overtaken"
CHECK_AFTER = 8.0
"""Seconds without news after which each waiting transaction is looked up by itself and, if need be, sent again."""
COMPLAIN_AFTER = 10.0
"""Seconds between two times of saying that the node does not answer."""
STILL_SECONDS = 20.0
"""Without a new block for so long, a chain is taken to mine only when there are transactions."""
GUARD_SECONDS = 3.0
SHRUNK_SECONDS = 3.0
"""Below a block that held a transaction of ours for so long, a chain is taken to have lost it, and not to be late."""
LOOKS, LOOK_AGAIN = 3, 1.0
"""Times, and seconds between them, before a nonce counts as taken by somebody else."""
TOGETHER = 0.03
"""Seconds to wait for others who looked at the world, too: the same answer is for all of them."""
MOST_RISE = (9 / 8) ** 2
"""Times by which the base fee may be more two blocks later (EIP-1559)."""
RESETTLE = 5
"""Times that transactions are chased through reorgs before we give up for now."""

Bump = Callable[[Sent], Awaitable[Sent | None]]


@dataclass
class Flight:
    """One nonce's worth of bytes: the transaction and its fee bumps, of which one at most is ever mined."""

    sents: list[Sent]
    landed: asyncio.Future[Mined]
    bump: Bump | None
    deadline: float
    bump_at: float
    mined: Mined | None = field(default=None)
    hurried: str = ""
    """Hash of the bytes that offered too little."""

    @property
    def newest(self) -> Sent:
        return self.sents[-1]

    def outcome(self, sent: Sent) -> str:
        """How one of the bytes ended, once the flight has landed."""
        if self.mined is None or self.mined.hash != sent.hash:
            return "void"
        return "done" if self.mined.ok else "failed"


class Watch:
    """Follows every transaction of a run. Waits are bounded by the settings' timeout."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._flying: dict[str, Flight] = {}
        """By hash; a bumped flight stands under several."""
        self._landed: list[Flight] = []
        self._task: asyncio.Task[None] | None = None
        self._last: Block | None = None
        self._rhythm = Rhythm()
        self._check: asyncio.Task[None] | None = None
        self._complained = -math.inf
        self.reorged = False
        self.turns = 0
        """Times that something of ours left its block, or came back into one."""
        self.count = 0

    def pace(self) -> float:
        """Seconds between blocks; 0 where blocks follow calls, and while it is not known."""
        return self._rhythm.period

    async def ready(self) -> None:
        """Note where the chain stands. Must precede a broadcast, so that no block is missed."""
        if self._last is None:
            self._last = await self._world.chain.recent()

    async def included(self, sents: list[Sent], bump: Bump | None = None) -> Mined:
        """The receipt of one of `sents`, which share a nonce.

        Ambiguous when it does not come in time: it may still be mined. Rejected with reason OVERTAKEN when another
        transaction took the nonce.
        """
        now, settings = self._world.clock.now(), self._world.settings
        future: asyncio.Future[Mined] = asyncio.get_running_loop().create_future()
        flight = Flight(sents, future, bump, now + settings.timeout, now + settings.bump_after)
        self._fly(flight)
        return await asyncio.shield(future)

    def _fly(self, flight: Flight) -> None:
        for sent in flight.sents:
            self._flying[sent.hash] = flight
        self._rhythm.stir(self._world.clock.now())
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._poll())

    async def _poll(self) -> None:
        clock, landed = self._world.clock, len(self._landed)
        checked = clock.now()
        while self._flying:
            await clock.sleep(self._rhythm.pause(clock.now()))
            try:
                await self._look()
                if len(self._landed) > landed:
                    checked = clock.now()
                elif clock.now() - checked >= CHECK_AFTER:
                    checked = clock.now()
                    await self._check_all()
                landed = len(self._landed)
                await self._bump_stuck()
            except Unreachable as error:
                self._unheard(error)
            except Exception as error:
                # Nobody else would wake those who wait.
                self._give_up(error)
                raise
            self._expire()

    def _unheard(self, error: Unreachable) -> None:
        """Nobody answers: whoever watches hears so now and then, and what flies is waited for."""
        now = self._world.clock.now()
        self._rhythm.nothing(now)
        if now - self._complained >= COMPLAIN_AFTER:
            self._complained = now
            self._world.emit(Event(Stage.WAITING, text=str(error)))

    async def _look(self) -> None:
        """Read the blocks that are new since the last look."""
        clock, asked = self._world.clock, self._world.clock.now()
        head, last = await self._world.chain.head(), self._last
        if last is not None and head.hash == last.hash:
            self._rhythm.nothing(asked)
            return
        self._rhythm.block(last, head, clock.now())
        blocks = await self._since(last, head)
        late = False
        for block in blocks:
            if any(h in self._flying for h in block.transactions):
                await self._land(await self._world.chain.receipts(block))
                late |= any(h in self._flying for h in block.transactions)
        if last is None or not late:
            # Else the node shows the block before its receipts: the same blocks are read again.
            self._last = head
        self._hurry(head)

    def _hurry(self, head: Block) -> None:
        """What offers less than the next blocks may ask is offered more now: a node holds it back, or drops it."""
        for flight in self._flights():
            if flight.newest.max_fee < head.base_fee * MOST_RISE and flight.hurried != flight.newest.hash:
                # Where no more may be offered, it is not tried at every block.
                flight.hurried, flight.bump_at = flight.newest.hash, 0

    async def _since(self, last: Block | None, head: Block) -> list[Block]:
        """What is new up to `head`, lowest first. Where that does not stand upon `last`, all is looked up again."""
        if last is None or head.parent == last.hash:
            return [head]
        between = (self._world.chain.block(number) for number in range(last.number + 1, head.number))
        blocks = [*await asyncio.gather(*between), head]
        first = blocks[0]
        if first is not None and first.parent != last.hash:
            blocks = [await self._world.chain.block(min(last.number, head.number)), *blocks]
            await self._reorganised()
        return [block for block in blocks if block is not None]

    async def _land(self, found: Mapping[str, Mined]) -> None:
        ours = {tx_hash: mined for tx_hash, mined in found.items() if tx_hash in self._flying}
        # Together: one commit of the journal, and those who wait go on at the same moment.
        await asyncio.gather(*(self._world.journal.mined(mined) for mined in ours.values()))
        if ours:
            self._rhythm.stir(self._world.clock.now())
        for tx_hash, mined in ours.items():
            flight = self._flying.get(tx_hash)
            if flight is None:
                continue
            for sent in flight.sents:
                self._flying.pop(sent.hash, None)
            flight.mined = mined
            self._landed.append(flight)
            self._world.emit(Event(Stage.MINED, text=tx_hash, data={"block": mined.block}))
            if flight.landed.done():
                self.turns += 1
            else:
                self.count += 1
                flight.landed.set_result(mined)

    async def _check_all(self) -> None:
        """Look every waiting transaction up by itself: blocks may have been missed, or the pool may have lost it."""
        await self._land(await self._world.chain.mined(list(self._flying)))
        await asyncio.gather(*map(self._look_up, self._flights()))

    async def _look_up(self, flight: Flight) -> None:
        if await overtaken(self._world, flight.sents):
            await self._drop(flight)
        else:
            await self._remind(flight)

    def _flights(self) -> list[Flight]:
        """Each once, in the order in which they were first sent."""
        return list({id(flight): flight for flight in self._flying.values()}.values())

    async def _remind(self, flight: Flight) -> None:
        """Hand over what offers most. A refusal now says nothing of what became of it before."""
        try:
            await broadcast(self._world, flight.newest)
        except Rejected as error:
            self._world.emit(Event(Stage.WAITING, text=f"transaction {flight.newest.hash}: {error}"))

    def _give_up(self, error: Exception) -> None:
        """All that flies is left to the next run: it is in the journal."""
        flights, self._flying = list(self._flying.values()), {}
        for flight in flights:
            if not flight.landed.done():
                message = f"transaction {flight.newest.hash} cannot be followed: {error or type(error).__name__}"
                flight.landed.set_exception(Ambiguous(message, hint="apply again: it will be looked up"))

    async def _drop(self, flight: Flight) -> None:
        for sent in flight.sents:
            self._flying.pop(sent.hash, None)
            await self._world.journal.settled(sent.hash, "void")
        if not flight.landed.done():
            message = f"another transaction took nonce {flight.newest.nonce} of {flight.newest.sender}"
            flight.landed.set_exception(Rejected(message, reason=OVERTAKEN))

    async def _bump_stuck(self) -> None:
        now = self._world.clock.now()
        stuck = [flight for flight in self._flights() if now >= flight.bump_at]
        await asyncio.gather(*(self._bumped(flight, flight.bump) for flight in stuck if flight.bump is not None))

    async def _bumped(self, flight: Flight, bump: Bump) -> None:
        flight.bump_at = self._world.clock.now() + self._world.settings.bump_after
        try:
            bumped = await bump(flight.newest)
        except Unreachable:
            # At the next block, then.
            flight.hurried = ""
            raise
        if bumped is not None:
            flight.sents.append(bumped)
            self._flying[bumped.hash] = flight
            await self._remind(flight)

    async def _reorganised(self) -> None:
        """Transactions whose block is gone go back into flight with the same bytes."""
        self._world.emit(Event(Stage.WAITING, text="the chain was reorganised; looking at every transaction again"))
        self.turns += 1
        # Nobody goes on with what was the newest block until now.
        await self._world.chain.head()
        landed, self._landed = self._landed, []
        found = await self._world.chain.mined([f.mined.hash for f in landed if f.mined])
        for flight in landed:
            now = found.get(flight.mined.hash) if flight.mined else None
            if now is not None:
                self.reorged |= now != flight.mined
                flight.mined = now
                self._landed.append(flight)
                continue
            self.reorged = True
            flight.deadline = self._world.clock.now() + self._world.settings.timeout
            self._fly(flight)
            await broadcast(self._world, flight.newest)

    def _expire(self) -> None:
        now = self._world.clock.now()
        for tx_hash, flight in list(self._flying.items()):
            if now >= flight.deadline:
                self._flying.pop(tx_hash)
                if not flight.landed.done():
                    hint = "apply again: it is in the journal and will be looked up"
                    flight.landed.set_exception(Ambiguous(f"transaction {tx_hash} is not mined yet", hint=hint))

    async def steady(self) -> int:
        """Wait until all that was mined for us is in blocks that are there now; the turns until then.

        Where they are more than before a look at the world, that look may not have seen what we did already.
        """
        if self._check is None:
            self._check = asyncio.ensure_future(self._steady())
        await asyncio.shield(self._check)
        return self.turns

    async def guard(self) -> None:
        """Look now and then whether what was mined is there still: who waits for a service waits for that, too."""
        while True:
            await self._world.clock.sleep(GUARD_SECONDS)
            # While something flies, every new block is held against the one before.
            if not self._flying:
                with suppress(FleetError):
                    await self.steady()

    async def _steady(self) -> None:
        await asyncio.sleep(TOGETHER)
        # From here on it may be too early for newcomers: they start the next one.
        self._check = None
        await self._reorganised_if_moved()
        while any(flight.landed.done() for flight in self._flying.values()):
            await self._world.clock.sleep(FIRST)

    async def settle(self) -> None:
        """Wait until everything is as deep as settings ask, in a block that is still there; close the intents.

        Ambiguous when that takes longer than the timeout or the chain keeps reorganising.
        """
        for _ in range(RESETTLE):
            if self._flying and self._task is not None:
                await asyncio.shield(self._task)
            if not self._landed:
                return
            await self._deep_enough(max(f.mined.block for f in self._landed if f.mined))
            await self._reorganised_if_moved(await self._world.chain.recent())
            if not self._flying:
                await self._close()
                return
        raise Ambiguous("the chain keeps reorganising", hint="apply again later to settle what was sent")

    async def _reorganised_if_moved(self, head: Block | None = None) -> None:
        """What is in a block stays as it was for as long as the block has its hash, and so do those below it."""
        if not self._landed:
            return
        newest = max((f.mined for f in self._landed if f.mined), key=lambda mined: mined.block)
        known = head is not None and head.number == newest.block
        block = head if known else await self._world.chain.block(newest.block)
        if block is None or block.hash != newest.block_hash:
            await self._reorganised()

    async def _close(self) -> None:
        landed, self._landed = self._landed, []
        settled = self._world.journal.settled
        await asyncio.gather(*(settled(sent.hash, flight.outcome(sent)) for flight in landed for sent in flight.sents))

    async def _deep_enough(self, block: int) -> None:
        settings, clock = self._world.settings, self._world.clock
        deep = block + ((settings.depth or 1) - 1 if settings.tag is None else 0)
        end, moved = clock.now() + settings.timeout, clock.now()
        seen, pause, shrunk = -1, FIRST, clock.now() + SHRUNK_SECONDS
        while True:
            latest = await self._world.chain.recent(deep)
            if latest.number < block and clock.now() >= shrunk:
                # It was that high once. Whether our blocks are gone is for the caller to find out.
                return
            head = latest if settings.tag is None else await self._world.chain.head(settings.tag)
            if head.number >= deep:
                return
            if latest.number != seen:
                seen, moved = latest.number, clock.now()
            if clock.now() - moved >= STILL_SECONDS:
                text = "this chain mines only when there are transactions, so more depth is not waited for"
                self._world.emit(Event(Stage.WAITING, text=text))
                return
            if clock.now() >= end:
                raise Ambiguous(f"block {block} is not settled yet", hint="apply again later to settle it")
            await clock.sleep(pause)
            pause = min(pause * 1.5, LONGEST)


async def broadcast(world: World, sent: Sent) -> None:
    """Hand over bytes that are in the journal; harmless to repeat. Lost answers are left to the watch."""
    try:
        await world.chain.broadcast(sent.raw)
    except Unreachable as error:
        world.emit(Event(Stage.WAITING, text=str(error)))
    except Rejected as error:
        # Too low a nonce after a send means that it, or another with its nonce, is mined: the receipt will tell.
        if error.reason not in ("nonce_too_low", "pool_full", "underpriced"):
            raise


async def overtaken(world: World, sents: list[Sent]) -> bool:
    """True where the sender's nonce went past these transactions and none of them is what was mined.

    Asked several times: a node may count a transaction a little before it shows the receipt.
    """
    for look in range(LOOKS):
        if look:
            await world.clock.sleep(LOOK_AGAIN)
        # In one request, so that one node behind a balancer answers both.
        nonce, found = await asyncio.gather(
            world.chain.nonce(sents[0].sender, world.settings.tag or "latest"),
            world.chain.mined([sent.hash for sent in sents]),
        )
        if nonce <= sents[0].nonce or found:
            return False
    return True
