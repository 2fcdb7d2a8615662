"""Calldata and results, from signatures written as text: `name(types)` or `name(types)(result types)`."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.grammar import parse
from eth_utils.crypto import keccak

from reconciler.adapters import words


@lru_cache(maxsize=512)
def split(function: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Name, argument types and result types of a signature."""
    name, rest = function.split("(", 1)
    depth, end = 1, 0
    while depth:
        depth += {"(": 1, ")": -1}.get(rest[end], 0)
        end += 1
    return name, _types(f"({rest[:end]}"), _types(rest[end:] or "()")


@lru_cache(maxsize=512)
def selector(function: str) -> bytes:
    name, arguments, _ = split(function)
    return bytes(keccak(text=f"{name}({','.join(arguments)})")[:4])


def calldata(function: str, args: tuple[object, ...]) -> bytes:
    """Selector and encoded arguments. Text given for `bytes` is encoded as UTF-8, decimal text for integers is read."""
    types = split(function)[1]
    values = [_coerce(kind, value) for kind, value in zip(types, args, strict=True)]
    return selector(function) + encode(types, values)


def results(function: str, data: bytes) -> tuple[Any, ...]:
    """Decoded result values; ValueError where the data is not of that shape."""
    types = split(function)[2]
    try:
        return tuple(_decoder(types)(data))
    except Exception as error:
        raise ValueError(f"{split(function)[0]} answered data of another shape") from error


def arguments(function: str, data: str) -> tuple[Any, ...]:
    """Those of 0x-hex calldata, and just what encodes to it: nothing hides behind them. ValueError where it is not."""
    types, given = split(function)[1], bytes.fromhex(data.removeprefix("0x"))
    try:
        values = decode(types, given[4:])
    except Exception:
        raise ValueError(f"arguments that are not those of {function}") from None
    if given != selector(function) + encode(types, values):
        raise ValueError(f"more than the arguments of {function}")
    return tuple(values)


def question(function: str, args: tuple[object, ...]) -> bytes:
    """Calldata of a read."""
    return selector(function) + _encoder(split(function)[1])(args)


@lru_cache(maxsize=512)
def _encoder(types: tuple[str, ...]) -> Callable[[Sequence[Any]], bytes]:
    try:
        return words.encoder(types)
    except words.Unknown:
        return partial(encode, types)


@lru_cache(maxsize=512)
def _decoder(types: tuple[str, ...]) -> Callable[[bytes], Sequence[Any]]:
    try:
        return words.decoder(types)
    except words.Unknown:
        return partial(decode, types)


def _types(text: str) -> tuple[str, ...]:
    return tuple(part.to_type_str() for part in parse(text).components) if text != "()" else ()


def _coerce(kind: str, value: object) -> object:
    if kind == "bytes" and isinstance(value, str):
        return value.encode()
    if kind.startswith("uint") and isinstance(value, str):
        return int(value)
    return value
