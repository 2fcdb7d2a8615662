"""Questions and answers of the few types that reads are made of, laid out directly.

A general codec builds a tower of objects for each of the hundred thousand answers of a large fleet. Whatever is not
listed here is left to eth_abi, against which the tests hold every type.
"""

from collections.abc import Callable, Sequence
from typing import Any

WORD = 32
Reader = Callable[[bytes, int], Any]
"""Value at a place, of which all offsets count from the second argument on."""


class Unknown(Exception):
    """A type that is not for this codec."""


def encoder(types: tuple[str, ...]) -> Callable[[Sequence[Any]], bytes]:
    """For values of `types`: uint, address, bool and bytes. Raises Unknown for any other."""
    writers = [_writer(kind) for kind in types]

    def encode(values: Sequence[Any]) -> bytes:
        heads, tails, at = [], [], WORD * len(writers)
        for (dynamic, write), value in zip(writers, values, strict=True):
            body = write(value)
            if dynamic:
                heads.append(at.to_bytes(WORD, "big"))
                tails.append(body)
                at += len(body)
            else:
                heads.append(body)
        return b"".join((*heads, *tails))

    return encode


def decoder(types: tuple[str, ...]) -> Callable[[bytes], tuple[Any, ...]]:
    """For answers of `types`: those of `encoder` and tuples of them. ValueError for what is not of that shape."""
    read = _members(types)
    return lambda data: read(data, 0)


def _writer(kind: str) -> tuple[bool, Callable[[Any], bytes]]:
    if kind == "bytes":
        return True, _bytes
    if kind == "address":
        return False, _address
    if kind == "bool":
        return False, lambda value: int(bool(value)).to_bytes(WORD, "big")
    size = _size(kind)
    return False, lambda value: value.to_bytes(size, "big").rjust(WORD, b"\0")


def _bytes(value: bytes) -> bytes:
    return len(value).to_bytes(WORD, "big") + value + b"\0" * (-len(value) % WORD)


def _address(value: str) -> bytes:
    found = bytes.fromhex(value.removeprefix("0x"))
    if len(found) != 20:
        raise ValueError("an address has 20 bytes")
    return found.rjust(WORD, b"\0")


def _size(kind: str) -> int:
    """Bytes of an unsigned integer's type."""
    bits = kind.removeprefix("uint")
    if kind == bits or not bits.isdecimal() or not 0 < int(bits) <= 256 or int(bits) % 8:
        raise Unknown(kind)
    return int(bits) // 8


def _members(types: tuple[str, ...]) -> Reader:
    """Reads all members of a tuple: those that are dynamic through the offset in their place."""
    places, at = [], 0
    for kind in types:
        dynamic, size, read = _reader(kind)
        places.append((at, dynamic, read))
        at += WORD if dynamic else size

    def read_all(data: bytes, base: int) -> tuple[Any, ...]:
        return tuple(
            read(data, base + _number(data, base + place) if dynamic else base + place)
            for place, dynamic, read in places
        )

    return read_all


def _reader(kind: str) -> tuple[bool, int, Reader]:
    """Whether it stands behind an offset, the bytes it takes where not, and how it is read."""
    if kind.startswith("("):
        types = _split(kind)
        parts = [_reader(part) for part in types]
        return any(part[0] for part in parts), sum(part[1] for part in parts), _members(types)
    if kind == "bytes":
        return True, WORD, _read_bytes
    if kind == "address":
        return False, WORD, lambda data, at: "0x" + _padded(data, at, 20).hex()
    if kind == "bool":
        return False, WORD, _read_bool
    size = _size(kind)
    return False, WORD, lambda data, at: int.from_bytes(_padded(data, at, size), "big")


def _split(kind: str) -> tuple[str, ...]:
    inner = kind[1:-1]
    if "(" in inner or not kind.endswith(")"):
        raise Unknown(kind)
    return tuple(inner.split(","))


def _padded(data: bytes, at: int, size: int) -> bytes:
    word = data[at : at + WORD]
    if len(word) != WORD or any(word[: WORD - size]):
        raise ValueError("a word is cut short, or too large for its type")
    return word[WORD - size :]


def _read_bool(data: bytes, at: int) -> bool:
    (number,) = _padded(data, at, 1)
    if number > 1:
        raise ValueError("neither true nor false")
    return bool(number)


def _read_bytes(data: bytes, at: int) -> bytes:
    size = _number(data, at)
    begin = at + WORD
    end = begin + size
    if end + -size % WORD > len(data) or any(data[end : end + -size % WORD]):
        raise ValueError("text is cut short, or followed by something")
    return data[begin:end]


def _number(data: bytes, at: int) -> int:
    """An offset or length; one that points outside the data is refused before it is followed."""
    number = int.from_bytes(data[at : at + WORD], "big")
    if at + WORD > len(data) or number > len(data):
        raise ValueError("it points outside of itself")
    return number
