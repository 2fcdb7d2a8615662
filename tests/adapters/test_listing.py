"""Lists that are read for many at once: hardly older than the question, and no more often than needed."""

import asyncio
from collections.abc import Sequence

import pytest

from reconciler.adapters.listing import FRESH, Listing, Listings
from reconciler.core.errors import Unreachable
from reconciler.core.ports import Json

PATH = ("machines",)


class Shelf:
    """A list that takes its time; each reading says when it began."""

    def __init__(self) -> None:
        self.now = 0
        self.readings = 0
        self.broken = False

    async def read(self, path: tuple[str, ...]) -> Sequence[Json]:
        self.readings += 1
        began = self.now
        await asyncio.sleep(0.02)
        if self.broken:
            raise Unreachable("no answer")
        return [{"began": began}]


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


async def test_nobody_gets_a_reading_that_is_too_old_for_them() -> None:
    shelf, watch = Shelf(), Watch()
    lists = Listings(shelf.read, watch)

    async def ask(after: float) -> bool:
        await asyncio.sleep(after)
        shelf.now += 1
        watch.seconds += FRESH / 10
        asked = shelf.now
        return bool((await lists.get(PATH)).items[0]["began"] >= asked - 10)

    assert all(await asyncio.gather(*(ask(number * 0.001) for number in range(100))))
    assert 5 < shelf.readings < 15


async def test_nobody_gets_a_reading_from_before_our_own_write() -> None:
    shelf = Shelf()
    lists = Listings(shelf.read)

    async def write_and_ask(after: float) -> bool:
        await asyncio.sleep(after)
        shelf.now += 1
        asked = shelf.now
        lists.written((*PATH, "mach_1"))
        return bool((await lists.get(PATH)).items[0]["began"] >= asked)

    assert all(await asyncio.gather(*(write_and_ask(number * 0.001) for number in range(100))))
    assert shelf.readings < 15


async def test_nobody_gets_a_reading_from_before_their_block() -> None:
    shelf = Shelf()
    lists = Listings(shelf.read)
    for block, readings in ((7, 1), (7, 1), (8, 2), (7, 2), (8, 2)):
        await lists.get(PATH, block)
        assert shelf.readings == readings
    early, late = asyncio.ensure_future(lists.get(PATH, 9)), asyncio.ensure_future(lists.get(PATH, 10))
    await asyncio.gather(early, late)
    await lists.get(PATH, 10)
    assert shelf.readings == 3


@pytest.mark.parametrize(
    ("written", "again"),
    [
        ((), {"machines", "pairings of 1", "pairings of 2"}),
        (("machines",), {"machines", "pairings of 1", "pairings of 2"}),
        (("machines", "1"), {"machines", "pairings of 1"}),
        (("machines", "1", "agent-pairings"), {"pairings of 1"}),
        (("machines", "1", "agent-pairings", "7", "sessions"), {"pairings of 1"}),
        (("policies", "9"), set()),
    ],
)
async def test_a_write_makes_old_what_it_may_have_changed(written: tuple[str, ...], again: set[str]) -> None:
    paths = {"machines": PATH} | {f"pairings of {i}": ("machines", str(i), "agent-pairings") for i in (1, 2)}
    shelf = Shelf()
    lists = Listings(shelf.read)
    for path in paths.values():
        await lists.get(path)
    shelf.now = 1
    lists.written(written)
    assert {name for name, path in paths.items() if (await lists.get(path)).items[0]["began"]} == again


async def test_those_who_ask_together_share_one_reading() -> None:
    shelf, watch = Shelf(), Watch()
    lists = Listings(shelf.read, watch)
    await asyncio.gather(*(lists.get(PATH) for _ in range(50)))
    assert shelf.readings == 1
    watch.seconds += FRESH * 2
    await lists.get(PATH)
    assert shelf.readings == 2


async def test_a_failure_is_for_those_who_asked_and_nobody_else() -> None:
    shelf = Shelf()
    lists = Listings(shelf.read)
    shelf.broken = True
    first = [asyncio.ensure_future(lists.get(PATH)) for _ in range(3)]
    await asyncio.sleep(0.005)
    lists.written(PATH)
    second = asyncio.ensure_future(lists.get(PATH))
    for waiting in first:
        with pytest.raises(Unreachable):
            await waiting
    shelf.broken = False
    assert (await second).items == [{"began": 0}]
    assert shelf.readings == 2


async def test_a_failure_is_not_handed_on() -> None:
    shelf = Shelf()
    lists = Listings(shelf.read)
    shelf.broken = True
    with pytest.raises(Unreachable):
        await lists.get(PATH)
    shelf.broken = False
    assert (await lists.get(PATH)).items == [{"began": 0}]


async def test_who_gives_up_takes_nobody_along() -> None:
    lists = Listings(Shelf().read)
    impatient, patient = (asyncio.ensure_future(lists.get(PATH)) for _ in range(2))
    await asyncio.sleep(0.005)
    impatient.cancel()
    assert (await patient).items == [{"began": 0}]


def test_an_item_is_found_by_a_field_letter_case_aside() -> None:
    listing = Listing([{"id": "1", "name": "Ab"}, {"id": "2", "name": "aB"}, {"id": "3"}])
    assert listing.find("name", "AB") == {"id": "1", "name": "Ab"}
    assert listing.find("name", "c") is None
