"""Names of DID attributes, which no read lists: they stand in the logs of the DID precompile, and only there."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from eth_abi.abi import decode

from reconciler.adapters.chain import RpcChain
from reconciler.adapters.logs import logs, topic
from reconciler.adapters.rpc import Rpc
from reconciler.core.errors import Unreachable

ADDED = topic("AddAttribute(address,address,bytes,bytes,uint32)")
# The chain indexes no argument, whatever the SDK's ABI says: account and name are in the data.
TYPES = ("address", "address", "bytes", "bytes", "uint32")
HINT = "name the attributes to look for with --attribute instead, or another node with --rpc"


async def attribute_names(
    rpc: Rpc, did: str, accounts: Iterable[str], *, first: int, last: int
) -> Mapping[str, frozenset[str]]:
    """Names of all attributes added from block `first` to `last`, by account in lower case. Unreachable, or nothing."""
    found = await logs(rpc, did, [ADDED], first=first, last=last, hint=HINT)
    wanted = {account.lower() for account in accounts}
    names: dict[str, set[str]] = defaultdict(set)
    for account, name in map(_added, found):
        if account in wanted:
            names[account].add(name)
    return {account: frozenset(said) for account, said in names.items()}


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
