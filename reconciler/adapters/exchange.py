"""One HTTP exchange that ends: bounded in bytes and in seconds, however the other side drags it out."""

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from pydantic_core import from_json

from reconciler.adapters.tls import trusted
from reconciler.core.value import Value

SMALL = 1024 * 1024
"""Bytes of an answer that holds one secret or one signature."""
LONGEST = 2
"""Times the timeout of a single wait that a whole exchange may take."""
MOST_PAUSE = 30.0
JSON = {"content-type": "application/json"}
# JSON has control characters only as escapes; C1 ones may stand there as they are.
_STEERING = re.compile(rb"\\u00(?:0[0-8bce-f]|1[0-9a-f]|7f|[89][0-9a-f])|\xc2[\x80-\x9f]", re.IGNORECASE)
_INSTEAD = rb"\\ufffd"


class TooMuch(httpx.HTTPError):
    """The answer is longer than any honest one."""

    def __init__(self) -> None:
        super().__init__("far too much")

    def __str__(self) -> str:
        return "far too much"


_WORDS: tuple[tuple[type[httpx.HTTPError], str], ...] = (
    (httpx.TimeoutException, "it takes too long"),
    (httpx.ConnectError, "it cannot be reached"),
    (httpx.TransportError, "it broke off"),
)


def trouble(error: Exception) -> str:
    """What ended an exchange, in words of ours: its own may quote what was sent."""
    if isinstance(error, TooMuch):
        return str(error)
    said = next((words for kind, words in _WORDS if isinstance(error, kind)), "it makes no sense")
    return f"{said} ({type(error).__name__})"


class Reply(Value):
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def redirects(self) -> bool:
        return 300 <= self.status < 400

    def json(self) -> Any:
        """Its content, without what would steer a terminal. ValueError where it is no JSON."""
        # Not by the json module: where a library has raised the recursion limit, and one of ours does, deeply nested
        # lists end the process. This parser has a limit of its own, and refuses halves of characters and infinities.
        return from_json(_harmless(self.content), allow_inf_nan=False)

    def without(self, secrets: Sequence[str]) -> "Reply":
        """The same with our `secrets` blotted out that it repeats, whoever it was that put them there."""
        content = self.content
        for secret in secrets:
            content = content.replace(secret.encode(), b"***")
        return Reply(self.status, self.headers, content)


def _harmless(content: bytes) -> bytes:
    # Hardly any answer holds what such a sequence begins with, and to look for that takes a fraction of the time.
    return _STEERING.sub(_INSTEAD, content) if b"\\u00" in content or b"\xc2" in content else content


def pause_of(reply: Reply) -> float:
    """Seconds that a 429 asks us to wait; never more than MOST_PAUSE, or less than nothing."""
    try:
        wanted = float(reply.headers.get("retry-after") or 1)
    except ValueError:
        return 1.0
    return min(max(wanted, 0.0), MOST_PAUSE) if math.isfinite(wanted) else MOST_PAUSE


async def exchange(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    most: int,
    seconds: float,
    **given: Any,
) -> Reply:
    """Send a request once and read its answer, at most `most` bytes of it. Redirects are never followed.

    Raises httpx.HTTPError: ReadTimeout after LONGEST times `seconds` in all, TooMuch for a longer answer.
    """
    try:
        async with (
            asyncio.timeout(LONGEST * seconds),
            http.stream(method, url, follow_redirects=False, **given) as answer,
        ):
            content = bytearray()
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) > most:
                    raise TooMuch
            return Reply(answer.status_code, answer.headers, bytes(content))
    except TimeoutError:
        raise httpx.ReadTimeout("it takes far too long") from None


def exchange_now(method: str, url: str, *, seconds: float, **given: Any) -> Reply:
    """As `exchange`, from a thread that has no loop: one request over a connection of its own."""

    async def once() -> Reply:
        async with httpx.AsyncClient(timeout=seconds, verify=trusted()) as http:
            return await exchange(http, method, url, most=SMALL, seconds=seconds, **given)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, once()).result()
