"""What a signed transaction says, and who signed it."""

from dataclasses import dataclass
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

LEGACY_FIELDS = 9
# Fields before the signature, by transaction type.
TYPED_FIELDS = {1: 8, 2: 9}


class Malformed(Exception):
    """Not a transaction this chain knows."""


@dataclass(frozen=True)
class Signed:
    """One signed transaction. Fees in wei per gas; `to` is empty for a contract creation."""

    hash: str
    sender: str
    chain_id: int | None
    nonce: int
    max_fee: int
    tip: int
    gas: int
    to: str


def parse(raw: Any) -> Signed:
    """Read 0x-hex of a legacy, type 1 or type 2 transaction."""
    try:
        data = bytes.fromhex(raw.removeprefix("0x"))
        return _legacy(data) if data[0] >= 0xC0 else _typed(data)
    except (AttributeError, ValueError, IndexError, KeyError, rlp.RLPException, BadSignature, ValidationError) as e:
        raise Malformed(f"this is not a legacy, type 1 or type 2 transaction: {e}") from e


def _legacy(data: bytes) -> Signed:
    fields = _fields(data, LEGACY_FIELDS)
    nonce, price, gas, to = fields[0], _number(fields[1]), fields[2], fields[3]
    v = _number(fields[6])
    chain_id = (v - 35) // 2 if v >= 35 else None
    body = fields[:6] if chain_id is None else [*fields[:6], fields_of(chain_id), b"", b""]
    parity = (v - 27) if chain_id is None else (v - 35) % 2
    sender = _sender(keccak(rlp.encode(body)), parity, fields)
    return Signed(_hash(data), sender, chain_id, _number(nonce), price, price, _number(gas), _address(to))


def _typed(data: bytes) -> Signed:
    kind = data[0]
    unsigned = TYPED_FIELDS[kind]
    fields = _fields(data[1:], unsigned + 3)
    sender = _sender(keccak(data[:1] + rlp.encode(fields[:unsigned])), _number(fields[unsigned]), fields)
    tip = _number(fields[2])
    max_fee = _number(fields[3]) if kind == 2 else tip
    gas, to = fields[unsigned - 5], fields[unsigned - 4]
    return Signed(_hash(data), sender, _number(fields[0]), _number(fields[1]), max_fee, tip, _number(gas), _address(to))


def fields_of(number: int) -> bytes:
    """A number as RLP wants it."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _fields(data: bytes, count: int) -> list[Any]:
    fields = rlp.decode(data)
    if not isinstance(fields, list) or len(fields) != count:
        raise ValueError("wrong number of fields")
    return fields


def _sender(digest: bytes, parity: int, fields: list[Any]) -> str:
    r, s = _number(fields[-2]), _number(fields[-1])
    return Signature(vrs=(parity, r, s)).recover_public_key_from_msg_hash(digest).to_address()


def _number(field: bytes) -> int:
    return int.from_bytes(field, "big")


def _address(field: bytes) -> str:
    return "0x" + field.hex() if field else ""


def _hash(data: bytes) -> str:
    return "0x" + keccak(data).hex()
