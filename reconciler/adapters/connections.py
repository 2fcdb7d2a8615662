"""The connections to one service: as few as it takes, kept open, and HTTP/2 where the service offers it."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from urllib.request import getproxies

import httpx

from reconciler.adapters.exchange import Reply, exchange
from reconciler.adapters.tls import offering, trusted
from reconciler.adapters.wire import Multiplexed, Wire

JSON = {"content-type": "application/json"}


class Connections:
    """Carries up to `most` requests at a time to what is below `base`.

    A service that chooses HTTP/2 gets one connection for all of them, by httpx; so does one behind a proxy of the
    environment, whatever it speaks. Any other gets connections of HTTP/1.1 as they are needed, with a request on each:
    they cost a fraction of the processor time that httpx takes.
    """

    def __init__(
        self,
        base: str,
        most: int,
        *,
        headers: Mapping[str, str],
        seconds: float,
        longest: int,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`seconds` of silence and `longest` bytes of an answer end an exchange."""
        self._base, self._url = base, httpx.URL(base)
        self._most, self._headers, self._seconds, self._longest = most, headers, seconds, longest
        self._head = _head(self._url, headers)
        self._slots, self._choosing = asyncio.Semaphore(most), asyncio.Lock()
        self._all: list[Wire] = []
        self._idle: list[Wire] = []
        self._client: httpx.AsyncClient | None = None
        self._chosen = self._url.scheme != "https"
        if transport is not None or {self._url.scheme, "all"} & getproxies().keys():
            self._by_httpx(transport)

    async def exchange(self, method: str, path: str, content: bytes | None = None) -> Reply:
        """Send a request once, with JSON for a body if any, and read its answer. Redirects are never followed.

        Raises httpx.HTTPError: ConnectError, ConnectTimeout and PoolTimeout only where nothing was sent.
        """
        async with self._slots:
            if not self._chosen:
                await self._choose()
            if self._client is None:
                return await self._by_wire(method, path, content)
            given = {} if content is None else {"content": content, "headers": JSON}
            url = self._base + path
            return await exchange(self._client, method, url, most=self._longest, seconds=self._seconds, **given)

    async def aclose(self) -> None:
        for wire in self._all:
            wire.close()
        if self._client is not None:
            await self._client.aclose()

    async def _choose(self) -> None:
        """Connect once, before many do, and see what the service speaks."""
        async with self._choosing:
            if self._chosen:
                return
            wire = self._wire()
            try:
                await wire.open()
                self._idle.append(wire)
            except Multiplexed:
                self._by_httpx()
            self._chosen = True

    def _by_httpx(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        limits = httpx.Limits(max_connections=self._most, max_keepalive_connections=self._most)
        self._client = httpx.AsyncClient(
            headers=self._headers, timeout=self._seconds, limits=limits, verify=trusted(), transport=transport,
            http2=self._url.scheme == "https",
        )  # fmt: skip
        self._chosen = True

    async def _by_wire(self, method: str, path: str, content: bytes | None) -> Reply:
        # The last to come back is lent first: it is the likeliest to be open still.
        wire = self._idle.pop() if self._idle else self._wire()
        try:
            return await wire.exchange(self._request(method, path, content))
        finally:
            self._idle.append(wire)

    def _wire(self) -> Wire:
        tls = offering() if self._url.scheme == "https" else None
        self._all.append(Wire(self._url, seconds=self._seconds, most=self._longest, tls=tls))
        return self._all[-1]

    def _request(self, method: str, path: str, content: bytes | None) -> bytes:
        target = self._url.raw_path.rstrip(b"/").decode("ascii") + path
        lines = [f"{method} {target} HTTP/1.1", *self._head]
        if content is not None:
            lines += [f"{name}: {value}" for name, value in JSON.items()]
        if method != "GET":
            lines.append(f"content-length: {len(content or b'')}")
        return "\r\n".join((*lines, "", "")).encode("ascii") + (content or b"")


def _head(url: httpx.URL, headers: Mapping[str, str]) -> list[str]:
    """The lines that all requests have."""
    fixed = {"host": url.netloc.decode("ascii"), "user-agent": "fleetctl", "accept": "*/*", "accept-encoding": "gzip"}
    if url.username or url.password:
        fixed["authorization"] = "Basic " + b64encode(f"{url.username}:{url.password}".encode()).decode()
    return [f"{name}: {value}" for name, value in {**fixed, **headers}.items()]
