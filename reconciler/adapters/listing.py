"""Whole lists of Machine Markets, read for all who want them at the time and indexed once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from reconciler.core.alike import Alike
from reconciler.core.ports import Json
from reconciler.core.value import Value, field

Path = tuple[str, ...]
FRESH = 1.0
"""Seconds for which a list is taken to be as it was read, unless something of ours was written to it."""


class Listing(Value):
    """One reading of a list."""

    items: Sequence[Json]
    _indexes: dict[str, dict[str, Json]] = field(default_factory=dict)

    def find(self, name: str, value: str) -> Json | None:
        """The first item whose field `name` is `value`, letter case aside."""
        index = self._indexes.get(name)
        if index is None:
            index = {str(item.get(name)).lower(): item for item in reversed(self.items)}
            self._indexes[name] = index
        return index.get(value.lower())


class _Reading(Value):
    """One that goes on or is done: when it began, and the newest block that was looked at then."""

    began: float
    block: int
    task: asyncio.Task[Listing]


class Listings:
    """Reads lists. Whoever asks gets a reading that began after that, or not long before: after the last write of ours,
    and no earlier than somebody looked at the same block, since blocks too change what a list shows.

    Those who ask during a reading that is too old for them share the next. So a thousand resources that each look again
    at the same list of a thousand cost a few readings, not a thousand.
    """

    def __init__(self, read: Callable[[Path], Awaitable[Sequence[Json]]], now: Callable[[], float] = monotonic) -> None:
        self._read, self._now = read, now
        self._running: dict[Path, asyncio.Task[Listing]] = {}
        self._next: dict[Path, asyncio.Task[Listing]] = {}
        self._wanted: dict[Path, int] = {}
        """For which block the next ones are."""
        self._fresh: dict[Path, _Reading] = {}
        """The last ones, oldest first."""
        self._alike = Alike()

    def get(self, path: Path, block: int = 0) -> Awaitable[Listing]:
        """For who looks at the world as of `block`."""
        self._forget_old()
        fresh = self._fresh.get(path)
        if fresh is not None and fresh.block >= block:
            return asyncio.shield(fresh.task)
        self._wanted[path] = max(block, self._wanted.get(path, 0))
        if path not in self._next:
            self._next[path] = asyncio.ensure_future(self._after(self._running.get(path), path))
        return asyncio.shield(self._next[path])

    def written(self, path: Path) -> None:
        """Something of ours was written there: what was read of the list that it stands in, and below, is too old."""
        below = [known for known in self._fresh if known[: len(path)] == path]
        above = (path[:length] for length in range(len(path) - 1, 0, -1))
        nearest = next((known for known in above if known in self._fresh), None) if path not in below else None
        for known in (*below, *([nearest] if nearest else ())):
            del self._fresh[known]

    def _forget_old(self) -> None:
        while self._fresh:
            oldest = next(iter(self._fresh))
            if self._now() - self._fresh[oldest].began <= FRESH:
                return
            del self._fresh[oldest]

    async def _after(self, earlier: asyncio.Task[Listing] | None, path: Path) -> Listing:
        if earlier is not None:
            await asyncio.wait([earlier])
        # From here on it is only for those to whom it is not too old.
        task = self._running[path] = self._next.pop(path)
        self._fresh.pop(path, None)
        self._fresh[path] = _Reading(self._now(), self._wanted.pop(path, 0), task)
        try:
            # Whatever they say of policies, capabilities and limits, most say the same.
            return Listing([{name: self._alike.one(part) for name, part in i.items()} for i in await self._read(path)])
        except BaseException:
            # That there was no answer holds only for those who asked.
            if path in self._fresh and self._fresh[path].task is task:
                del self._fresh[path]
            raise
        finally:
            if self._running.get(path) is task:
                del self._running[path]
