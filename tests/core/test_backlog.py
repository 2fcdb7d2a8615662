"""No more in flight than the next blocks can take, first come, first served."""

import asyncio

from reconciler.engine.backlog import BLOCKS, Backlog

BLOCK = 100
ROOM = BLOCKS * BLOCK


async def entered(backlog: Backlog, gas: int) -> "asyncio.Task[None]":
    task = asyncio.ensure_future(backlog.enter(gas, BLOCK))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


def test_there_is_room_for_so_many_blocks() -> None:
    async def run() -> None:
        backlog = Backlog()
        first = [await entered(backlog, BLOCK) for _ in range(BLOCKS)]
        late = await entered(backlog, 1)
        assert all(task.done() for task in first) and not late.done()
        backlog.leave(BLOCK)
        await late

    asyncio.run(run())


def test_a_large_one_is_not_overtaken_by_small_ones() -> None:
    async def run() -> None:
        backlog = Backlog()
        await entered(backlog, BLOCK)
        large, small = await entered(backlog, ROOM), await entered(backlog, 1)
        assert not large.done() and not small.done()
        backlog.leave(BLOCK)
        await large
        assert not small.done()
        backlog.leave(ROOM)
        await small

    asyncio.run(run())


def test_there_is_always_room_for_one() -> None:
    async def run() -> None:
        backlog = Backlog()
        assert (await entered(backlog, 10 * ROOM)).done()
        assert not (await entered(backlog, 1)).done()

    asyncio.run(run())


def test_who_gives_up_takes_no_room() -> None:
    async def run() -> None:
        backlog = Backlog()
        await entered(backlog, ROOM)
        waiting, admitted = await entered(backlog, ROOM), asyncio.ensure_future(backlog.enter(ROOM, BLOCK))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        # Admitted, and cancelled before it hears of that.
        backlog.leave(ROOM)
        admitted.cancel()
        await asyncio.gather(waiting, admitted, return_exceptions=True)
        assert waiting.cancelled() and admitted.cancelled()
        assert (await entered(backlog, ROOM)).done()

    asyncio.run(run())
