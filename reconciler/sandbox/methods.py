"""Which JSON-RPC methods are public, and where each says which block it means."""

from typing import Any

PUBLIC = frozenset({
    "eth_blockNumber", "eth_call", "eth_chainId", "eth_estimateGas", "eth_feeHistory", "eth_gasPrice",
    "eth_getBalance", "eth_getBlockByHash", "eth_getBlockByNumber", "eth_getBlockReceipts",
    "eth_getBlockTransactionCountByHash", "eth_getBlockTransactionCountByNumber", "eth_getCode",
    "eth_getLogs", "eth_getStorageAt", "eth_getTransactionByBlockHashAndIndex",
    "eth_getTransactionByBlockNumberAndIndex", "eth_getTransactionByHash", "eth_getTransactionCount",
    "eth_getTransactionReceipt", "eth_maxPriorityFeePerGas", "eth_protocolVersion",
    "eth_sendRawTransaction", "eth_syncing", "eth_newFilter", "eth_newBlockFilter",
    "eth_newPendingTransactionFilter", "eth_getFilterChanges", "eth_getFilterLogs", "eth_uninstallFilter",
    "net_listening", "net_peerCount", "net_version", "web3_clientVersion", "web3_sha3",
})  # fmt: skip
SIMULATED = frozenset({"eth_call", "eth_estimateGas"})
BLOCK_AT = {
    "eth_call": 1, "eth_estimateGas": 1, "eth_getBalance": 1, "eth_getCode": 1, "eth_getTransactionCount": 1,
    "eth_getStorageAt": 2, "eth_getBlockByNumber": 0, "eth_getBlockTransactionCountByNumber": 0,
    "eth_getTransactionByBlockNumberAndIndex": 0, "eth_getBlockReceipts": 0, "eth_feeHistory": 1,
}  # fmt: skip


def params_of(call: dict[str, Any]) -> list[Any]:
    """A copy of the parameters."""
    params = call.get("params")
    return list(params) if isinstance(params, list) else []


def pinned(call: dict[str, Any]) -> bool:
    """It names its block by number or hash, not by a tag."""
    at = BLOCK_AT.get(str(call.get("method")))
    params = params_of(call)
    if at is None or at >= len(params):
        return False
    return isinstance(params[at], dict) or str(params[at]).startswith("0x")


def at_block(call: dict[str, Any], number: int) -> dict[str, Any]:
    """The same call, asking at this block wherever it asked at the head."""
    at = BLOCK_AT.get(str(call["method"]))
    params = params_of(call)
    if at is None or at > len(params):
        return call
    if at < len(params) and params[at] not in ("latest", "pending", None):
        return call
    return {**call, "params": [*params[:at], hex(number), *params[at + 1 :]]}
