"""When to look for the next block: once, as it comes, where a chain has a rhythm; soon, where blocks follow calls."""

from reconciler.core.ports import Block

FIRST, OFTEN, LONGEST = 0.05, 0.25, 1.0
"""Seconds between looks while nothing is known: soon after something was sent, then, and at most."""
PROMPT = 0.1
"""A block that is not there so many seconds after something was sent does not follow calls, but a clock."""
SURE = 0.06
"""Seconds within which the moment of a block is known well enough."""
LATE = 0.03
UNSEEN = 3.0
"""Seconds for which nobody looks at most: a reorganisation is to be noticed."""


class Rhythm:
    """Learns from looks. All moments are seconds of the same clock."""

    def __init__(self) -> None:
        self._stirred = 0.0
        self._missed = 0.0
        self._period: float | None = None
        self._came = (0.0, 0.0)
        """The newest block: after the one, and before the other."""

    def stir(self, now: float) -> None:
        """Something was sent: where blocks follow calls, one comes at once."""
        self._stirred = max(self._stirred, now)

    def nothing(self, asked: float) -> None:
        """There was no new block yet when this was asked."""
        self._missed = asked

    def block(self, before: Block | None, head: Block, now: float) -> None:
        """There was one, `head`, and before it had been `before`."""
        if before is not None and head.number > before.number and self._missed - self._stirred > PROMPT:
            self._period = (head.timestamp - before.timestamp) / (head.number - before.number) or None
        early = self._period is not None and now < self._came[0] + self._period * 0.75
        if self._period is None or early:
            # Sooner than the clock should have it, so it has none.
            self._period = None if early else self._period
            self._came = (now, now)
        else:
            self._came = (min(now, max(self._missed, now - self._period)), now)
        self._missed = now

    def pause(self, now: float) -> float:
        """Seconds until the next look."""
        if self._period is None:
            quiet = now - max(self._stirred, self._came[1])
            return min(max(FIRST, min(3 * quiet, OFTEN), quiet / 4), LONGEST)
        return min(self._due(self._period, now), max(LONGEST, self._period / 4), UNSEEN)

    def _due(self, period: float, now: float) -> float:
        after, before = self._came
        middle, end = (after + before) / 2 + period, before + period
        if before - after > SURE and middle > now:
            return middle - now
        if end > now:
            return end - now
        return max(LATE, min(now - end, period / 4, LONGEST))
