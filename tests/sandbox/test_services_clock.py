"""The write clock: time as clients see it in `updatedAt`."""

from reconciler.sandbox.services.clock import WriteClock, iso, now_ms


def test_no_two_writes_share_an_instant() -> None:
    clock = WriteClock(0)
    ticks = [clock.tick() for _ in range(2000)]
    assert ticks == sorted(set(ticks))


def test_a_clock_set_back_does_not_turn_time_around() -> None:
    ahead = now_ms() + 60_000
    assert WriteClock(ahead).tick() == ahead + 1


def test_instants_have_milliseconds_and_sort_as_text() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_700_000_000_007) == "2023-11-14T22:13:20.007Z" < iso(1_700_000_000_010)
