"""The machines of protocol v2 that an account ever owned or controlled. No read lists them, but the logs do."""

import asyncio

from reconciler.adapters.logs import logs, topic
from reconciler.adapters.rpc import Rpc
from reconciler.core.errors import Unreachable

BEGAN = {3338: 11_446_416, 9990: 10_490_372}
"""Block in which the registry of a chain was made; of other chains all are searched."""
HINT = (
    "name another node, or do without: `import` takes v2 machines by --did did:peaq:<number> or leaves them out with "
    "--protocol v1, and nothing but `import` and --scan searches logs for them"
)
TRANSFER = topic("Transfer(address,address,uint256)")
CONTROLLED = topic("ControllerUpdated(uint256,address,address)")
MINTED = topic("MachineMinted(uint256,address,address,string)")


async def machines_in_logs(rpc: Rpc, registry: str, chain_id: int, account: str, last: int) -> set[str]:
    """Their numbers, in decimal. Raises Unreachable where the logs cannot be read to the end."""
    whose = f"0x{account.lower().removeprefix('0x'):0>64}"
    asked: tuple[tuple[list[str | None], int], ...] = (
        ([TRANSFER, None, whose], 3),
        ([CONTROLLED, None, None, whose], 1),
        ([MINTED, None, None, whose], 1),
    )
    began = BEGAN.get(chain_id, 0)
    # A local chain may bear the number of a live one, and is younger.
    first = began if began <= last else 0
    found = await asyncio.gather(
        *(logs(rpc, registry, topics, first=first, last=last, hint=HINT) for topics, _ in asked)
    )
    try:
        return {str(int(log["topics"][at], 16)) for (_, at), page in zip(asked, found, strict=True) for log in page}
    except (KeyError, IndexError, TypeError, ValueError):
        raise Unreachable("a log of the MachineRegistry has another shape", hint=HINT) from None
