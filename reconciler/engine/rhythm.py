"""When to look for the next block: once, as it comes, where a chain has a clock; soon, where blocks follow calls."""

from reconciler.core.ports import Block

FIRST, OFTEN, LONGEST = 0.05, 0.33, 1.0
"""Seconds between looks while nothing is known: soon after something was sent, then, and at most."""
PROMPT = 0.1
"""A block that is not there so many seconds after something was sent does not follow calls, but a clock."""
SURE, DRIFT = 0.1, 0.05
"""Seconds within which the moment of a block is known well enough, and by which that grows with every block."""
LATE = 0.03
"""Seconds to look again after a block that is due was not there; twice as long each time."""
UNSEEN = 3.0
"""Seconds for which nobody looks at most: a reorganisation is to be noticed."""


class Rhythm:
    """Learns from looks. All moments are seconds of the same clock."""

    def __init__(self) -> None:
        self._stirred = 0.0
        self._missed = 0.0
        self._period = 0.0
        self._came = (0.0, 0.0)
        """The newest block: after the one, and before the other."""

    @property
    def period(self) -> float:
        """Seconds between blocks; 0 where blocks follow calls, and while it is not known."""
        return self._period

    def stir(self, now: float) -> None:
        """Something was sent, or came while more is awaited: where blocks follow calls, one comes at once."""
        self._stirred = max(self._stirred, now)

    def nothing(self, asked: float) -> None:
        """There was no new block yet when this was asked."""
        self._missed = asked

    def block(self, before: Block | None, head: Block, now: float) -> None:
        """There was one, `head`, and `before` had been the newest until then."""
        blocks = head.number - before.number if before is not None else 0
        if self._period and now < self._came[0] + self._period / 2:
            # Sooner than a clock would have it.
            self._period = 0.0
        elif before is not None and blocks > 0 and self._missed - self._stirred > PROMPT:
            self._period = (head.timestamp - before.timestamp) / blocks
        # A block that was late says little of the next, so the moment may be earlier than it seemed.
        due = self._came[0] + blocks * self._period - DRIFT
        self._came = min(now, max(self._missed, due)), now

    def pause(self, now: float) -> float:
        """Seconds until the next look."""
        if not self._period:
            quiet = now - self._stirred
            return min(max(FIRST, min(6 * quiet, OFTEN), quiet / 4), LONGEST)
        return min(self._due(now), max(LONGEST, self._period / 4), UNSEEN)

    def _due(self, now: float) -> float:
        """When the newest was seen, and a little before that where it may have been there for a while."""
        after, before = self._came
        due, unsure = before + self._period, before - after
        moments = (due - unsure / 3 if unsure > SURE else due, due)
        late = max(LATE, min(now - due, self._period / 4, LONGEST))
        return next((moment - now for moment in moments if moment > now + LATE / 2), late)
