"""HTTP/1.1 by aiohttp, which takes a tenth of the processor time that httpx takes for a request."""

from collections.abc import Mapping

import aiohttp
import httpx
from yarl import URL

from reconciler.adapters.exchange import JSON, LONGEST, Reply, TooMuch
from reconciler.adapters.room import MOST
from reconciler.adapters.tls import trusted

IDLE = 5.0
"""Seconds after which a connection without a request is not trusted to be open any more."""


class Http1:
    """Keeps its connections. Errors are httpx's, as `Connections.exchange` says."""

    def __init__(self, headers: Mapping[str, str], seconds: float, longest: int) -> None:
        """To be made where a loop runs. `seconds` of silence and `longest` bytes of an answer end an exchange."""
        self._longest = longest
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MOST, ssl=trusted(), keepalive_timeout=IDLE),
            timeout=aiohttp.ClientTimeout(total=LONGEST * seconds, sock_connect=seconds, sock_read=seconds),
            headers={"user-agent": "fleetctl", "accept-encoding": "gzip", **headers},
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_once,),
        )

    async def exchange(self, method: str, url: str, content: bytes | None) -> Reply:
        headers = {} if content is None else JSON
        asked = self._session.request(
            method, URL(url, encoded=True), data=content, headers=headers, allow_redirects=False
        )
        try:
            async with asked as answer:
                if answer.status < 200:
                    raise httpx.RemoteProtocolError("it speaks another protocol")
                body = bytearray()
                async for part in answer.content.iter_any():
                    body += part
                    if len(body) > self._longest:
                        raise TooMuch
                return Reply(answer.status, answer.headers, bytes(body))
        except TimeoutError:
            raise httpx.ReadTimeout("it takes far too long") from None
        except aiohttp.ClientError as error:
            raise httpx.RemoteProtocolError(type(error).__name__) from None

    async def aclose(self) -> None:
        await self._session.close()


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Tells what was never sent from what may have been. Of other errors than its own aiohttp repeats nothing."""
    try:
        return await send(request)
    except aiohttp.ConnectionTimeoutError:
        raise httpx.ConnectTimeout("no connection in time") from None
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(type(error).__name__) from None
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise httpx.RemoteProtocolError(type(error).__name__) from None
