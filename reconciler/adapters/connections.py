"""The connections to one service: as few as it takes, kept open, and HTTP/2 where the service offers it."""

import asyncio
from collections.abc import Mapping
from typing import Protocol
from urllib.request import getproxies

import httpx

from reconciler.adapters.exchange import JSON, Reply, exchange
from reconciler.adapters.room import MOST, Room
from reconciler.adapters.tls import offering, trusted


class Way(Protocol):
    async def exchange(self, method: str, url: str, content: bytes | None) -> Reply: ...

    async def aclose(self) -> None: ...


class Connections:
    """Carries requests to what is below `base`, as many at a time as there is room for.

    A service that chooses HTTP/2 gets one connection for all of them, by httpx; so does one behind a proxy of the
    environment, whatever it speaks. Any other gets connections of HTTP/1.1 as they are needed, with a request on each.
    """

    def __init__(
        self,
        base: str,
        *,
        headers: Mapping[str, str],
        seconds: float,
        longest: int,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`seconds` of silence and `longest` bytes of an answer end an exchange."""
        self._base, self._url = base.rstrip("/"), httpx.URL(base)
        self._headers, self._seconds, self._longest = headers, seconds, longest
        self._transport = transport
        self._room, self._choosing = Room(), asyncio.Lock()
        self._way: Way | None = None

    async def exchange(self, method: str, path: str, content: bytes | None = None) -> Reply:
        """Send a request once, with JSON for a body if any, and read its answer. Redirects are never followed.

        Raises httpx.HTTPError: ConnectError, ConnectTimeout and PoolTimeout only where nothing was sent, ReadTimeout
        after `seconds` of silence or LONGEST times that in all, TooMuch for an answer that is longer than `longest`.
        """
        async with self._room as entered:
            way = self._way or await self._choose()
            reply = await way.exchange(method, self._base + path, content)
        self._room.heard(reply.status, entered)
        return reply

    async def aclose(self) -> None:
        if self._way is not None:
            await self._way.aclose()

    async def _choose(self) -> Way:
        """Once, before many ask."""
        async with self._choosing:
            if self._way is None:
                self._way = await self._chosen()
            return self._way

    async def _chosen(self) -> Way:
        proxied = bool({self._url.scheme, "all"} & getproxies().keys())
        if self._transport is not None or proxied or await self._offers_http2():
            return _ByHttpx(self._headers, self._seconds, self._longest, self._transport)
        # Only where it is needed: to import aiohttp takes longer than a small plan.
        from reconciler.adapters.http1 import Http1

        return Http1(self._headers, self._seconds, self._longest)

    async def _offers_http2(self) -> bool:
        """As a connection says that carries nothing."""
        if self._url.scheme != "https":
            return False
        try:
            async with asyncio.timeout(self._seconds):
                _, writer = await asyncio.open_connection(self._url.host, self._url.port or 443, ssl=offering())
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(type(error).__name__) from None
        writer.close()
        return bool(writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2")


class _ByHttpx:
    def __init__(
        self,
        headers: Mapping[str, str],
        seconds: float,
        longest: int,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._seconds, self._longest = seconds, longest
        limits = httpx.Limits(max_connections=MOST, max_keepalive_connections=MOST)
        self._client = httpx.AsyncClient(
            headers=headers, timeout=seconds, limits=limits, verify=trusted(), transport=transport, http2=True
        )
        self.aclose = self._client.aclose

    async def exchange(self, method: str, url: str, content: bytes | None) -> Reply:
        given = {} if content is None else {"content": content, "headers": JSON}
        return await exchange(self._client, method, url, most=self._longest, seconds=self._seconds, **given)
