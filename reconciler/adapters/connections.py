"""HTTP clients with one connection each: a pool of many polls all that it has at every request."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache

import httpx


class Connections:
    """Lends up to `most` clients, made as they are needed; whoever finds all of them lent waits."""

    def __init__(self, most: int, make: Callable[[httpx.Limits], httpx.AsyncClient]) -> None:
        self._slots = asyncio.Semaphore(most)
        self._make = make
        self._all: list[httpx.AsyncClient] = []
        self._idle: list[httpx.AsyncClient] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpx.AsyncClient]:
        async with self._slots:
            client = self._idle.pop() if self._idle else self._new()
            try:
                yield client
            finally:
                # The last to come back is lent first: its connection is the likeliest to be open still.
                self._idle.append(client)

    def _new(self) -> httpx.AsyncClient:
        client = self._make(httpx.Limits(max_connections=1, max_keepalive_connections=1))
        self._all.append(client)
        return client

    async def aclose(self) -> None:
        for client in self._all:
            await client.aclose()


@lru_cache(maxsize=1)
def trusted() -> ssl.SSLContext:
    """The certificates that are trusted, read once: that takes as long as a dozen requests."""
    return httpx.create_ssl_context()
