"""Whole lists of Machine Markets, read for all who want them at the time and indexed once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from reconciler.core.alike import Alike
from reconciler.core.ports import Json
from reconciler.core.value import Value, field

Path = tuple[str, ...]


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


class Listings:
    """Reads lists. Whoever asks gets a reading that began after that; those who ask during one share the next.

    So a thousand resources that each look again at the same list of a thousand cost a few readings, not a thousand.
    """

    def __init__(self, read: Callable[[Path], Awaitable[Sequence[Json]]]) -> None:
        self._read = read
        self._running: dict[Path, asyncio.Task[Listing]] = {}
        self._next: dict[Path, asyncio.Task[Listing]] = {}
        self._alike = Alike()

    async def get(self, path: Path) -> Listing:
        if path not in self._next:
            self._next[path] = asyncio.ensure_future(self._after(self._running.get(path), path))
        return await asyncio.shield(self._next[path])

    async def _after(self, earlier: asyncio.Task[Listing] | None, path: Path) -> Listing:
        if earlier is not None:
            await asyncio.wait([earlier])
        # From here on it is too old for newcomers.
        task = self._running[path] = self._next.pop(path)
        try:
            # Whatever they say of policies, capabilities and limits, most say the same.
            return Listing([{name: self._alike.one(part) for name, part in i.items()} for i in await self._read(path)])
        finally:
            if self._running.get(path) is task:
                del self._running[path]
