"""The ports of one run, and snapshots of the world that are taken no more often than needed."""

import asyncio
from collections.abc import Awaitable, Callable

from reconciler.core.ports import Api, Chain, Clock, CodedApi, Fees, Journal, Keyring, Reader, Secrets, Sink
from reconciler.core.value import Value, field
from reconciler.engine.events import Event

LINGER = 0.01
"""Seconds to wait for others who want the same: shared snapshots, shared batches."""
PATIENCE = 120.0
"""Seconds for other services to catch up with the chain, where nothing else is said."""


class Settings(Value):
    chain_id: int
    depth: int | None = 1
    """Blocks deep at which a transaction is settled; None where `tag` decides."""
    tag: str | None = None
    batch: bool = True
    """Whether the Batch precompile may be used."""
    window: int = 64
    """Transactions of one signer that may be in flight at once."""
    max_fee: int | None = None
    """Most wei to pay for a unit of gas, bumps included."""
    max_spend: int | None = None
    """Most wei that operators may commit in one run, at worst."""
    bump_after: float = 60.0
    """Seconds in flight after which a transaction is offered more."""
    timeout: float = 600.0
    """Seconds after which a wait gives up; what was sent stays in the journal."""
    patience: float = PATIENCE
    """Seconds for other services to catch up with the chain."""
    reading_back: float = 20.0
    """Seconds for an effect to show once it is done."""


class World(Value):
    """Everything the engine may touch."""

    chain: Chain
    keyring: Keyring
    api: Api | None
    journal: Journal
    sink: Sink
    secrets: Secrets
    clock: Clock
    snapshot: Callable[[int], Awaitable[Reader]]
    """A reader of the world at this block or a later one."""
    settings: Settings
    emit: Callable[[Event], None] = field(default=lambda event: None)
    coded: CodedApi | None = None


class Lookout:
    """Hands out snapshots: those who ask together share one, and none is older than what was asked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._next: asyncio.Task[Reader] | None = None
        self._block = 0

    async def look(self, block: int = 0) -> Reader:
        """A reader made after this call, at `block` or later."""
        self._block = max(self._block, block)
        if self._next is None:
            self._next = asyncio.ensure_future(self._open())
        return await asyncio.shield(self._next)

    async def _open(self) -> Reader:
        await asyncio.sleep(LINGER)
        # From here on a snapshot may be too old for newcomers: they get the next one.
        self._next = None
        return await self._world.snapshot(self._block)


class Gauge:
    """Gas limit of a block and price of gas, read once for all lanes and again when old."""

    FRESH = 2.0
    """Seconds."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reading: asyncio.Task[tuple[int, Fees]] | None = None
        self._taken = 0.0
        self.first = 0
        """Wei for a unit of gas when it was read first; 0 before."""

    async def read(self) -> tuple[int, Fees]:
        now = self._world.clock.now()
        failed = self._reading is not None and self._reading.done() and self._reading.exception() is not None
        if self._reading is None or failed or now - self._taken > self.FRESH:
            self._taken = now
            self._reading = asyncio.ensure_future(self._read())
        return await asyncio.shield(self._reading)

    async def _read(self) -> tuple[int, Fees]:
        head = await self._world.chain.recent()
        fees = await self._world.chain.fees()
        self.first = self.first or fees.max_fee
        return head.gas_limit, fees
