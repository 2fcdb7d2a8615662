"""How many requests a service gets at a time: more as long as it answers them, half when it says that is too much."""

import asyncio
from http import HTTPStatus
from types import TracebackType

BEGIN, MOST = 16, 64
TOO_MUCH = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class Room:
    """Entered by each request; whoever finds it full waits.

    One more for every answer until the first refusal; from then on one more for as many answers as there is room. Of
    the refusals of what was under way together only the first one counts.
    """

    def __init__(self) -> None:
        self.width = BEGIN
        self._slots = asyncio.Semaphore(BEGIN)
        self._kept_back = 0
        self._answers = self._refusals = 0

    async def __aenter__(self) -> int:
        """How often the service has refused so far: `heard` wants to know."""
        await self._slots.acquire()
        return self._refusals

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    def heard(self, status: int, entered: int) -> None:
        """An answer to who came in when there had been `entered` refusals."""
        if status in TOO_MUCH:
            if entered == self._refusals:
                self._refusals += 1
                self._narrow()
            return
        self._answers += 1
        if self.width < MOST and (not self._refusals or self._answers >= self.width):
            self._answers = 0
            self.width += 1
            self._give_back()

    def _narrow(self) -> None:
        half = max(self.width // 2, 1)
        self._kept_back += self.width - half
        self._answers, self.width = 0, half

    def _give_back(self) -> None:
        """A place is free, or there is one more."""
        if self._kept_back:
            self._kept_back -= 1
        else:
            self._slots.release()
