"""How often the watch looks, and how late it sees a block: simulated, so that no machine's load is in it."""

import math

import pytest

from reconciler.core.ports import Block
from reconciler.engine.rhythm import FIRST, UNSEEN, Rhythm

START = 1000.0
BLOCKS = 12


def block(number: int, at: float) -> Block:
    return Block(number, hex(number), int(at), 1, 1, (), hex(number - 1))


def watched(period: float, phase: float, jitter: float = 0.0) -> list[tuple[int, float]]:
    """For each block of a chain with a clock: looks taken for it, and seconds from its coming until it was seen."""
    rhythm, now, looks, found = Rhythm(), START, 0, list[tuple[int, float]]()
    comes = [START + phase + period * n + jitter * (n % 3 == 1) for n in range(BLOCKS)]
    before = block(0, START + phase - period)
    rhythm.stir(now)
    while len(found) < BLOCKS:
        pause = rhythm.pause(now)
        assert 0 < pause <= UNSEEN
        now, looks = now + pause, looks + 1
        if now < comes[len(found)]:
            rhythm.nothing(now)
            continue
        newest = math.floor(sum(moment <= now for moment in comes))
        head = block(newest, comes[newest - 1])
        rhythm.block(before, head, now)
        found += [(looks, now - comes[n]) for n in range(len(found), newest)]
        before, looks = head, 0
        rhythm.stir(now + 0.1)
    return found


@pytest.mark.parametrize("phase", [0.12, 0.3, 0.5, 0.77, 0.99])
@pytest.mark.parametrize("jitter", [0.0, 0.1])
def test_a_chain_with_a_clock_is_looked_at_when_a_block_is_due(phase: float, jitter: float) -> None:
    found = watched(1.0, phase, jitter)
    assert found[0][0] <= 5
    assert sum(looks for looks, _ in found[1:]) <= 2.5 * (BLOCKS - 1), found
    assert max(late for _, late in found) <= 0.4, found
    assert max(late for _, late in found[BLOCKS // 2 :]) <= 0.25, found


def test_a_slow_chain_is_never_left_alone_for_long() -> None:
    found = watched(12.0, 4.2)
    assert max(looks for looks, _ in found[1:]) <= 8, found


def test_where_blocks_follow_calls_they_are_looked_for_at_once() -> None:
    rhythm, now, before = Rhythm(), START, block(0, START - 60)
    for number in range(1, 5):
        rhythm.stir(now)
        assert rhythm.pause(now) == FIRST
        now += FIRST
        head = block(number, now)
        rhythm.block(before, head, now)
        before, now = head, now + 7
