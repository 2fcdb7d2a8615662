"""How a node words its errors: as peaq's (Frontier) does, or as geth does."""

from typing import Any, Literal

Shape = Literal["frontier", "geth"]
SHAPES: tuple[Shape, ...] = ("frontier", "geth")

REVERTED = 3
INTERNAL = -32603
SERVER = -32000
NOT_FOUND = -32601
INVALID = -32602

# Part of the dev node's text -> what real nodes say.
POOL = {
    "nonce too low": "nonce too low",
    "already imported": "already known",
    "insufficient funds": "insufficient funds for gas * price + value",
    "underpriced": "replacement transaction underpriced",
    "intrinsic gas too low": "intrinsic gas too low",
    "gas limit": "exceeds block gas limit",
    "max fee per gas less than block base fee": "max fee per gas less than block base fee",
}


OUT_OF_GAS = ("OutOfGas", "OOG", "out of gas")


def error(code: int, message: str, data: Any = None) -> dict[str, Any]:
    """An error object."""
    found: dict[str, Any] = {"code": code, "message": message}
    return found if data is None else {**found, "data": data}


def pool_error(message: str, shape: Shape) -> dict[str, Any]:
    """A refusal to take a transaction, or to run one to its end."""
    return error(INTERNAL if shape == "frontier" else SERVER, message)


def reshape(found: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """The dev node's error in the words of a real node."""
    message = str(found.get("message", ""))
    if found.get("code") == REVERTED:
        return _reverted(found, shape)
    if "BlockOutOfRange" in message:
        return error(SERVER, "header not found")
    for part, words in POOL.items():
        if part in message.lower():
            return pool_error(words, shape)
    if any(part in message for part in OUT_OF_GAS):
        return pool_error("out of gas", shape)
    if message.startswith("EVM error"):
        return pool_error(f"evm error:{message.removeprefix('EVM error')}", shape)
    return found


def _reverted(found: dict[str, Any], shape: Shape) -> dict[str, Any]:
    data = str(found.get("data") or "0x")
    if shape == "geth":
        return error(REVERTED, str(found["message"]), data)
    words = "VM Exception while processing transaction: revert"
    reason = _reason(bytes.fromhex(data[2:]))
    return error(INTERNAL, f"{words} {reason}" if reason else words, data)


def _reason(data: bytes) -> str:
    """What Frontier reads as the reason: the text behind the second word, whatever the selector is."""
    if len(data) <= 68:
        return ""
    end = 68 + int.from_bytes(data[36:68], "big")
    try:
        return data[68:end].decode() if len(data) >= end else ""
    except UnicodeDecodeError:
        return ""
