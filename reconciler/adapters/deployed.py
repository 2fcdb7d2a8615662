"""What stands at contracts' addresses: code, and what a proxy points to."""

import asyncio
from collections.abc import Mapping

from eth_hash.auto import keccak

from reconciler.adapters.checksum import checksum
from reconciler.adapters.rpc import Rpc, RpcError
from reconciler.core.errors import Unreachable
from reconciler.core.value import Value

IMPLEMENTATION = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"
"""The storage slot in which ERC-1967 has the address of a proxy's implementation."""


class Deployed(Value):
    address: str
    code: str
    """Keccak-256 of the code, as 0x-hex; precompiles may have none."""
    implementation: str | None


async def deployed(rpc: Rpc, addresses: Mapping[str, str]) -> dict[str, Deployed]:
    """Of these contracts, by role, all asked at once. Raises Unreachable."""
    found = await asyncio.gather(*(_deployed(rpc, address) for address in addresses.values()))
    return dict(zip(addresses, found, strict=True))


async def _deployed(rpc: Rpc, address: str) -> Deployed:
    try:
        code, slot = await asyncio.gather(
            rpc.call("eth_getCode", address, "latest"),
            rpc.call("eth_getStorageAt", address, IMPLEMENTATION, "latest"),
        )
        points_to = int(slot, 16)
        implementation = checksum(f"0x{points_to % 2**160:040x}") if points_to else None
        return Deployed(checksum(address), "0x" + keccak(bytes.fromhex(code[2:])).hex(), implementation)
    except (RpcError, TypeError, ValueError) as error:
        message = f"no usable answer from the node at {rpc.place} about {address}: {type(error).__name__}"
        raise Unreachable(message, hint="check network.rpcUrl") from None
