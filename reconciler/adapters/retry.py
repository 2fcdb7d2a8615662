"""One way to try reads again: a few times, with growing and jittered pauses, and only when that is safe."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

from reconciler.core.errors import Unreachable

T = TypeVar("T")
FIRST, LONGEST = 0.2, 5.0
"""Seconds."""
_WHEN = retry_if_exception_type(Unreachable)
_PAUSES = wait_exponential(multiplier=FIRST, max=LONGEST) + wait_random(0, FIRST)


async def until_reached(
    ask: Callable[[], Awaitable[T]], *, attempts: int, sleep: Callable[[float], Awaitable[None]]
) -> T:
    """The answer of `ask`, which is called again while it raises Unreachable; the last such error after `attempts`."""
    retrying = AsyncRetrying(retry=_WHEN, stop=stop_after_attempt(attempts), wait=_PAUSES, sleep=sleep, reraise=True)
    async for attempt in retrying:
        with attempt:
            return await ask()
    raise Unreachable("no attempt was made")
