"""Lanes: what a block must show before anything is paid on what was read of it."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from reconciler.core.effects import Signer
from reconciler.core.ports import Chain, Keyring
from reconciler.engine.lanes import Lane, Shared
from reconciler.engine.world import World

OPERATOR = Signer("operator", "default")


@dataclass
class Counts:
    """A chain that only counts what an account has sent, up to each block; also the keyring, and what lanes share."""

    shown: dict[str, int]
    asked: list[str] = field(default_factory=list)

    @property
    def world(self) -> World:
        return cast(World, self)

    @property
    def chain(self) -> Chain:
        return cast(Chain, self)

    @property
    def keyring(self) -> Keyring:
        return cast(Keyring, self)

    @property
    def settings(self) -> "Counts":
        return self

    window = 64

    def address(self, signer: Signer) -> str:
        return "0x1"

    async def next_nonce(self, address: str) -> int:
        return self.shown["pending"]

    async def nonce(self, address: str, tag: str) -> int:
        self.asked.append(tag)
        return self.shown[tag]


def test_a_block_that_does_not_show_what_was_sent_before_is_too_old() -> None:
    counts = Counts({"pending": 7, hex(20): 5, hex(21): 7})
    lane = Lane(cast(Shared, counts), OPERATOR)

    async def shows() -> list[bool]:
        return [await lane.shows(block) for block in (20, 21, 22, 20)]

    assert asyncio.run(shows()) == [False, True, True, False]
    # What a block shows, those after it show as well.
    assert counts.asked == [hex(20), hex(21), hex(20)]
