"""Calldata and answer of Multicall3's aggregate3, which carry every read there is.

A general codec walks each of their thousands of words through a tower of objects: here they are laid out directly.
The tests hold both against eth_abi.
"""

from collections.abc import Sequence

from reconciler.adapters import abi

SELECTOR = abi.selector("aggregate3((address,bool,bytes)[])")
WORD = 32
_TRUE = (1).to_bytes(WORD, "big")
_THREE_WORDS = (3 * WORD).to_bytes(WORD, "big")


def calldata(calls: Sequence[tuple[str, bytes]]) -> bytes:
    """For calls of (address, calldata), each allowed to fail."""
    bodies = [_call(to, data) for to, data in calls]
    return SELECTOR + _word(WORD) + _word(len(calls)) + b"".join([*_offsets(bodies), *bodies])


def _call(to: str, data: bytes) -> bytes:
    address = bytes.fromhex(to.removeprefix("0x")).rjust(WORD, b"\0")
    return address + _TRUE + _THREE_WORDS + _word(len(data)) + data + b"\0" * (-len(data) % WORD)


def answers(data: bytes) -> list[tuple[bool, bytes]]:
    """Success and returned bytes of each call. ValueError where the data is not of that shape."""
    start = _number(data, 0) + WORD
    return [_answer(data, start + _number(data, start + at * WORD)) for at in range(_number(data, start - WORD))]


def _answer(data: bytes, at: int) -> tuple[bool, bytes]:
    begin = at + _number(data, at + WORD)
    size = _number(data, begin)
    found = data[begin + WORD : begin + WORD + size]
    if len(found) != size:
        raise ValueError("an answer is cut short")
    return _number(data, at) == 1, found


def _number(data: bytes, at: int) -> int:
    """The word there; what points outside the data is refused before it is followed."""
    word = int.from_bytes(data[at : at + WORD], "big")
    if at + WORD > len(data) or word > len(data):
        raise ValueError("it points outside of itself")
    return word


def _offsets(bodies: Sequence[bytes]) -> list[bytes]:
    found, at = [], WORD * len(bodies)
    for body in bodies:
        found.append(_word(at))
        at += len(body)
    return found


def _word(number: int) -> bytes:
    return number.to_bytes(WORD, "big")
