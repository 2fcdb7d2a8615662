"""How many requests are under way at a time, as a service answers them or refuses."""

import asyncio

from reconciler.adapters.room import BEGIN, MOST, Room

OK, ENOUGH = 200, 429


class Service:
    """Takes up to `most` at a time, and refuses what is more."""

    def __init__(self, most: int) -> None:
        self.room, self.most = Room(), most
        self.inside = self.widest = self.refused = 0

    async def ask(self) -> None:
        async with self.room as entered:
            self.inside += 1
            self.widest = max(self.widest, self.inside)
            status = ENOUGH if self.inside > self.most else OK
            self.refused += status == ENOUGH
            await asyncio.sleep(0)
            self.inside -= 1
        self.room.heard(status, entered)

    async def ask_often(self, times: int) -> "Service":
        await asyncio.gather(*(self.ask() for _ in range(times)))
        return self


async def test_as_long_as_all_is_answered_there_is_more_and_more_room() -> None:
    service = await Service(most=1000).ask_often(MOST * 10)
    assert service.widest == service.room.width == MOST


async def test_nobody_begins_with_all() -> None:
    service = await Service(most=1000).ask_often(BEGIN)
    assert service.widest <= BEGIN


async def test_a_narrow_service_is_seldom_asked_too_much() -> None:
    service = await Service(most=20).ask_often(2000)
    assert service.room.width <= 21
    # It finds the width by a refusal now and then, and never falls far below it.
    assert 0 < service.refused < 200
    assert service.room.width >= 10


async def test_one_at_a_time_is_always_left() -> None:
    service = await Service(most=0).ask_often(200)
    assert service.room.width == 1
    service.widest = 0
    await service.ask_often(20)
    assert service.widest == 1


async def test_refusals_of_what_was_under_way_together_count_once() -> None:
    room = Room()
    entered = [await room.__aenter__() for _ in range(BEGIN)]
    for count in entered:
        await room.__aexit__(None, None, None)
        room.heard(ENOUGH, count)
    assert room.width == BEGIN // 2


async def test_who_is_cancelled_leaves_the_room() -> None:
    room = Room()

    async def stay() -> None:
        async with room:
            await asyncio.sleep(60)

    staying = [asyncio.ensure_future(stay()) for _ in range(BEGIN + 5)]
    await asyncio.sleep(0)
    for task in staying:
        task.cancel()
    await asyncio.gather(*staying, return_exceptions=True)
    async with asyncio.timeout(5):
        for _ in range(BEGIN):
            await room.__aenter__()
