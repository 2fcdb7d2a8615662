"""Logs of a contract over any span of blocks, asked for in pieces that the node will answer."""

import asyncio
from collections.abc import Sequence
from typing import Any

from eth_utils.crypto import keccak

from reconciler.adapters.rpc import Rpc, RpcError
from reconciler.core.errors import Unreachable

WINDOW, AT_ONCE = 4000, 4
"""Blocks that are asked about at first, and questions under way at the same time."""


def topic(event: str) -> str:
    """Of an event by its signature."""
    return "0x" + keccak(text=event).hex()


async def logs(
    rpc: Rpc, address: str, topics: Sequence[str | None], *, first: int, last: int, hint: str
) -> list[dict[str, Any]]:
    """All of them. Unreachable with `hint` where the node does not give them all."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def window(start: int) -> list[Any]:
        async with slots:
            return await span(start, min(start + WINDOW - 1, last))

    async def span(start: int, end: int) -> list[Any]:
        """Halved as long as the node refuses it."""
        asked = {"address": address, "topics": topics, "fromBlock": hex(start), "toBlock": hex(end)}
        try:
            found = await rpc.call("eth_getLogs", asked)
        except (RpcError, Unreachable) as error:
            if start == end:
                message = f"the logs of block {start} cannot be read: {error.message}"
                raise Unreachable(message, hint=hint) from None
            middle = (start + end) // 2
            return await span(start, middle) + await span(middle + 1, end)
        if not isinstance(found, list):
            raise Unreachable("eth_getLogs was answered with something of another shape", hint=hint)
        return found

    pages = await asyncio.gather(*(window(start) for start in range(first, last + 1, WINDOW)))
    return [log for page in pages for log in page]
