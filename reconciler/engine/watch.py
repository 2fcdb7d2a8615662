"""Waiting for transactions: one poll for all that are in flight."""

import asyncio

from reconciler.core.errors import Ambiguous, Rejected, Unreachable
from reconciler.core.ports import Mined, Sent
from reconciler.engine.events import Event, Stage
from reconciler.engine.world import World

FIRST, LONGEST = 0.02, 1.0
"""Seconds between polls: short at first, since a dev node answers at once."""
OVERTAKEN = "overtaken"
CHECK_AFTER = 20
"""Polls after which every waiting transaction is looked up by itself and, if need be, handed over again."""


class Watch:
    """Resolves each transaction at its inclusion, reading blocks as they come rather than asking for each receipt."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[str, tuple[Sent, float, asyncio.Future[Mined]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._seen: int | None = None

    async def ready(self) -> None:
        """Note where the chain stands. Must precede a broadcast, so that no block is missed."""
        if self._seen is None:
            self._seen = (await self._world.chain.head()).number

    async def included(self, sent: Sent) -> Mined:
        """The receipt. Ambiguous when it does not come in time: the transaction may still be mined."""
        future: asyncio.Future[Mined] = asyncio.get_running_loop().create_future()
        end = self._world.clock.now() + self._world.settings.timeout
        self._waiting[sent.hash] = (sent, end, future)
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._poll())
        return await future

    async def _poll(self) -> None:
        pause, polls = FIRST, 0
        while self._waiting:
            await self._world.clock.sleep(pause)
            polls += 1
            found = await self._look(everything=polls % CHECK_AFTER == 0)
            pause = FIRST if found else min(pause * 1.5, LONGEST)
            self._expire()
            if polls % CHECK_AFTER == 0:
                await self._resend()
        self._seen = None

    async def _look(self, *, everything: bool) -> bool:
        """Resolve what the new blocks hold; True where there was any."""
        try:
            hashes = list(self._waiting) if everything else await self._new_hashes()
            found = await self._world.chain.mined(hashes) if hashes else {}
        except Unreachable:
            return False
        for tx_hash, mined in found.items():
            await self._world.journal.mined(mined)
            self._world.emit(Event(Stage.MINED, text=tx_hash, data={"block": mined.block}))
            if (entry := self._waiting.pop(tx_hash, None)) and not entry[2].done():
                entry[2].set_result(mined)
        return bool(found)

    async def _new_hashes(self) -> list[str]:
        head = await self._world.chain.head()
        first = head.number if self._seen is None else self._seen + 1
        blocks = await asyncio.gather(*(self._world.chain.block(n) for n in range(first, head.number)))
        hashes = {h for block in (*blocks, head) if block is not None for h in block.transactions}
        # A transaction of the last block seen may have been registered only now, so that block is read again.
        self._seen = max(first, head.number) - 1
        return [h for h in self._waiting if h in hashes]

    def _expire(self) -> None:
        now = self._world.clock.now()
        for tx_hash, (_, end, future) in list(self._waiting.items()):
            if future.done():
                self._waiting.pop(tx_hash)
            elif now >= end:
                self._waiting.pop(tx_hash)
                hint = "apply again: it is in the journal and will be looked up"
                future.set_exception(Ambiguous(f"transaction {tx_hash} is not mined yet", hint=hint))

    async def _resend(self) -> None:
        for sent, _, future in list(self._waiting.values()):
            if await self._overtaken(sent):
                self._waiting.pop(sent.hash, None)
                await self._world.journal.settled(sent.hash, "void")
                future.set_exception(Rejected(f"another transaction took nonce {sent.nonce}", reason=OVERTAKEN))
            else:
                await broadcast(self._world, sent)

    async def _overtaken(self, sent: Sent) -> bool:
        try:
            return await overtaken(self._world, sent)
        except Unreachable:
            return False


async def overtaken(world: World, sent: Sent) -> bool:
    """True where the sender's nonce went past this transaction and it is not what was mined."""
    if await world.chain.nonce(sent.sender, "latest") <= sent.nonce:
        return False
    return not await world.chain.mined([sent.hash])


async def broadcast(world: World, sent: Sent) -> None:
    """Hand over bytes that are in the journal; harmless to repeat. Lost answers are left to the watch."""
    try:
        await world.chain.broadcast(sent.raw)
    except Unreachable as error:
        world.emit(Event(Stage.WAITING, text=str(error)))
    except Rejected as error:
        # Too low a nonce after a send means that it, or another with its nonce, is mined: the receipt will tell.
        if error.reason != "nonce_too_low":
            raise


async def settle(world: World, mined: list[tuple[Sent, Mined]]) -> list[Sent]:
    """Wait until every transaction is as deep as settings ask, in the block it was seen in; close its intents.

    Returns those whose block is no longer part of the chain.
    """
    if not mined:
        return []
    await _deep_enough(world, max(m.block for _, m in mined))
    now = await world.chain.mined([sent.hash for sent, _ in mined])
    lost = []
    for sent, _ in mined:
        found = now.get(sent.hash)
        if found is None:
            lost.append(sent)
        else:
            await world.journal.settled(sent.hash, "done" if found.ok else "failed")
    return lost


async def _deep_enough(world: World, block: int) -> None:
    settings, clock = world.settings, world.clock
    end = clock.now() + settings.timeout
    still, seen = 0, -1
    while True:
        head = await world.chain.head(settings.tag or "latest")
        if head.number >= block + ((settings.depth or 1) - 1 if settings.tag is None else 0):
            return
        latest = await world.chain.head()
        still = still + 1 if latest.number == seen else 0
        seen = latest.number
        if still == STILL_POLLS and latest.number <= block:
            text = "the chain mines only when there are transactions; not waiting for more depth"
            world.emit(Event(Stage.WAITING, text=text))
            return
        if clock.now() >= end:
            raise Ambiguous(f"block {block} is not settled yet", hint="apply again later to settle it")
        await clock.sleep(SETTLE_POLL)


SETTLE_POLL = 1.0
STILL_POLLS = 30
"""Seconds without a new block after which a chain is taken to mine on demand only."""
