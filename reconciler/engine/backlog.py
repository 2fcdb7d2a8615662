"""How much is handed to the chain at once: what its next blocks can take, whoever signed it."""

import asyncio
from collections import deque

BLOCKS = 5
"""Gas of so many may be in flight. What waits longer has to be offered more: full blocks make gas dearer."""


class Backlog:
    """Gas of all transactions in flight. Who finds no room waits, in the order of coming."""

    def __init__(self) -> None:
        self._gas = 0
        self._waiting: deque[tuple[int, int, asyncio.Future[None]]] = deque()

    async def enter(self, gas: int, block_gas: int) -> None:
        """Wait for room where blocks take `block_gas`. There is always room for one, however large."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((gas, BLOCKS * block_gas, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave(gas)
            raise

    def leave(self, gas: int) -> None:
        """To be called once for every `enter`."""
        self._gas -= gas
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            gas, most, turn = self._waiting[0]
            if not turn.cancelled():
                if self._gas and self._gas + gas > most:
                    return
                self._gas += gas
                turn.set_result(None)
            self._waiting.popleft()
