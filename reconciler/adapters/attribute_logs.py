"""Names of DID attributes, which no read lists: they stand in the logs of the DID precompile, and only there."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from eth_abi.abi import decode
from eth_utils.crypto import keccak

from reconciler.adapters.chain import RpcChain
from reconciler.adapters.rpc import Rpc, RpcError
from reconciler.core.errors import Unreachable

ADDED = "0x" + keccak(text="AddAttribute(address,address,bytes,bytes,uint32)").hex()
# The chain indexes no argument, whatever the SDK's ABI says: account and name are in the data.
TYPES = ("address", "address", "bytes", "bytes", "uint32")
WINDOW, AT_ONCE = 4000, 4
"""Blocks that are asked about at first, and questions under way at the same time."""
HINT = "name the attributes to look for with --attribute instead, or another node with --rpc"


async def attribute_names(
    rpc: Rpc, did: str, accounts: Iterable[str], *, first: int, last: int
) -> Mapping[str, frozenset[str]]:
    """Names of all attributes added from block `first` to `last`, by account in lower case. Unreachable, or nothing."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def window(start: int) -> list[Any]:
        async with slots:
            return await _logs(rpc, did, start, min(start + WINDOW - 1, last))

    pages = await asyncio.gather(*(window(start) for start in range(first, last + 1, WINDOW)))
    wanted = {account.lower() for account in accounts}
    names: dict[str, set[str]] = defaultdict(set)
    for account, name in (_added(log) for page in pages for log in page):
        if account in wanted:
            names[account].add(name)
    return {account: frozenset(found) for account, found in names.items()}


async def _logs(rpc: Rpc, did: str, first: int, last: int) -> list[Any]:
    """All logs of a span, which is halved as long as the node refuses it."""
    asked = {"address": did, "topics": [ADDED], "fromBlock": hex(first), "toBlock": hex(last)}
    try:
        found = await rpc.call("eth_getLogs", asked)
    except (RpcError, Unreachable) as error:
        if first == last:
            raise Unreachable(f"the logs of block {first} cannot be read: {error.message}", hint=HINT) from None
        middle = (first + last) // 2
        return await _logs(rpc, did, first, middle) + await _logs(rpc, did, middle + 1, last)
    if not isinstance(found, list):
        raise Unreachable("eth_getLogs was answered with something of another shape", hint=HINT)
    return found


def _added(log: Any) -> tuple[str, str]:
    try:
        _, account, name, _, _ = decode(TYPES, bytes.fromhex(log["data"].removeprefix("0x")))
        return str(account).lower(), bytes(name).decode("utf-8", "backslashreplace")
    except Exception:
        raise Unreachable("a log of the DID precompile has another shape", hint=HINT) from None


async def block_before(chain: RpcChain, moment: int, last: int) -> int:
    """A block that is surely older than `moment` (seconds since the epoch), as new as possible."""
    low, high = 0, last
    while low < high:
        middle = (low + high + 1) // 2
        block = await chain.block(middle)
        if block is None:
            raise Unreachable(f"the node does not show block {middle}", hint=HINT)
        low, high = (middle, high) if block.timestamp < moment else (low, middle - 1)
    return low
