"""Lists that are read for many at once: never older than the question, and no more often than needed."""

import asyncio
from collections.abc import Sequence

import pytest

from reconciler.adapters.listing import Listing, Listings
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


async def test_nobody_gets_a_reading_that_began_before_they_asked() -> None:
    shelf = Shelf()
    lists = Listings(shelf.read)

    async def ask(after: float) -> bool:
        await asyncio.sleep(after)
        shelf.now += 1
        asked = shelf.now
        return bool((await lists.get(PATH)).items[0]["began"] >= asked)

    assert all(await asyncio.gather(*(ask(number * 0.001) for number in range(100))))
    assert shelf.readings < 15


async def test_those_who_ask_together_share_one_reading() -> None:
    shelf = Shelf()
    lists = Listings(shelf.read)
    await asyncio.gather(*(lists.get(PATH) for _ in range(50)))
    assert shelf.readings == 1
    await lists.get(PATH)
    assert shelf.readings == 2


async def test_a_failure_is_for_those_who_asked_and_nobody_else() -> None:
    shelf = Shelf()
    lists = Listings(shelf.read)
    shelf.broken = True
    first = [asyncio.ensure_future(lists.get(PATH)) for _ in range(3)]
    await asyncio.sleep(0.005)
    second = asyncio.ensure_future(lists.get(PATH))
    for waiting in first:
        with pytest.raises(Unreachable):
            await waiting
    shelf.broken = False
    assert (await second).items == [{"began": 0}]


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
