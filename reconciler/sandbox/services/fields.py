"""Strict reading of request bodies: a table of fields, each with the check its value must pass."""

import json
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from eth_utils.address import is_checksum_address, is_checksum_formatted_address, is_hex_address, to_checksum_address

from reconciler.sandbox.services.errors import ApiError, invalid

Check = Callable[[str, Any], Any]


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(name, "must be a string")
    return value


def non_blank(name: str, value: Any) -> str:
    if not text(name, value).strip():
        raise invalid(name, "must not be blank")
    return str(value)


def boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid(name, "must be a boolean")
    return value


def amount(name: str, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise invalid(name, "must be a number of at least 0")
    return value


def strings(name: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise invalid(name, "must be an array of strings")
    return [non_blank(f"{name}[{index}]", item) for index, item in enumerate(value)]


def string_map(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise invalid(name, "must be an object of strings")
    for key, item in value.items():
        non_blank(f"{name} key", key)
        text(f"{name}.{key}", item)
    return value


def address(name: str, value: Any) -> str:
    """A checksummed address. Mixed case must be right: a wrong checksum is a typing error."""
    if not is_hex_address(text(name, value)) or not value.startswith("0x"):
        raise invalid(name, "must be a 0x-prefixed address of 20 bytes")
    if is_checksum_formatted_address(value) and not is_checksum_address(value):
        raise invalid(name, "has a wrong checksum")
    return str(to_checksum_address(value))


def one_of(*allowed: str) -> Check:
    def check(name: str, value: Any) -> str:
        if value not in allowed:
            raise invalid(name, f"must be one of {', '.join(allowed)}")
        return str(value)

    return check


def nullable(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


def mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(name, "must be an object")
    return value


def nested(spec: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    def check(name: str, value: Any) -> dict[str, Any]:
        return read(mapping(name, value), spec, required, prefix=f"{name}.")

    return check


def read(
    body: Mapping[str, Any],
    spec: Mapping[str, Check],
    required: Collection[str] = (),
    *,
    prefix: str = "",
    unknown_ok: bool = False,
) -> dict[str, Any]:
    """The known fields that are present, checked."""
    for name in body:
        if name not in spec and not unknown_ok:
            raise invalid(f"{prefix}{name}", "unknown field")
    for name in required:
        if name not in body:
            raise invalid(f"{prefix}{name}", "required")
    return {name: check(f"{prefix}{name}", body[name]) for name, check in spec.items() if name in body}


def parse_object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw, parse_constant=_refuse_constant)
    except ValueError as problem:
        raise ApiError("VALIDATION_ERROR", "body is not valid JSON") from problem
    if not isinstance(body, dict):
        raise ApiError("VALIDATION_ERROR", "body must be a JSON object")
    return body


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
