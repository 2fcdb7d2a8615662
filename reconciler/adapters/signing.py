"""Transactions and messages signed by a private key, byte for byte as eth_account does.

Not with eth_account itself: importing that takes a second, as long as a block.
"""

import rlp  # type: ignore[import-untyped]
from eth_keys.datatypes import PrivateKey, Signature
from eth_utils.crypto import keccak

from reconciler.core.ports import Draft, Fees, Raw, Signed
from reconciler.core.value import replace

EIP_1559 = b"\x02"
EIP_155_OFFSET = 35
MESSAGE_PREFIX = b"\x19Ethereum Signed Message:\n"


class LocalKey:
    """A private key, which it never shows."""

    def __init__(self, secret: bytes) -> None:
        """Raises an exception where `secret` is not 32 bytes that make a key."""
        self._key = PrivateKey(secret)
        self.address = str(self._key.public_key.to_checksum_address())

    def __repr__(self) -> str:
        return f"LocalKey({self.address})"

    def sign_transaction(self, draft: Draft) -> Signed:
        """As EIP-1559 says, or EIP-155 on a chain without tips."""
        to, data = bytes.fromhex(draft.call.to[2:]), bytes.fromhex(draft.call.data[2:])
        if draft.fees.tip is None:
            raw = self._legacy([draft.nonce, draft.fees.max_fee, draft.gas, to, draft.call.value, data], draft.chain_id)
        else:
            prices = [draft.fees.tip, draft.fees.max_fee]
            raw = self._typed([draft.chain_id, draft.nonce, *prices, draft.gas, to, draft.call.value, data, []])
        return Signed("0x" + keccak(raw).hex(), "0x" + raw.hex(), draft)

    def _typed(self, fields: list[object]) -> bytes:
        signature = self._sign(EIP_1559 + rlp.encode(fields))
        return EIP_1559 + bytes(rlp.encode([*fields, signature.v, signature.r, signature.s]))

    def _legacy(self, fields: list[object], chain_id: int) -> bytes:
        signature = self._sign(rlp.encode([*fields, chain_id, 0, 0]))
        return bytes(rlp.encode([*fields, signature.v + EIP_155_OFFSET + 2 * chain_id, signature.r, signature.s]))

    def sign_message(self, text: str) -> str:
        """EIP-191, as 0x-hex."""
        signature = self._sign(_enveloped(text.encode()))
        r, s = signature.r.to_bytes(32, "big"), signature.s.to_bytes(32, "big")
        return f"0x{r.hex()}{s.hex()}{signature.v + 27:02x}"

    def _sign(self, payload: bytes) -> Signature:
        return self._key.sign_msg_hash(keccak(payload))


def signer_of_message(text: str, signature: str) -> str:
    """The address whose key signed `text` as EIP-191 says. ValueError where the signature is none."""
    try:
        raw = bytes.fromhex(signature.removeprefix("0x"))
        found = Signature(raw[:64] + bytes([raw[64] % 27]))
        key = found.recover_public_key_from_msg_hash(keccak(_enveloped(text.encode())))
    except Exception as error:
        raise ValueError(f"no signature: {type(error).__name__}") from None
    return str(key.to_checksum_address())


def _enveloped(message: bytes) -> bytes:
    return MESSAGE_PREFIX + str(len(message)).encode() + message


def read_signed(raw: str) -> tuple[str, Signed]:
    """Who signed a transaction, and what it says, addresses and data in lower case. ValueError where it is none."""
    from eth_account import Account

    try:
        return str(Account.recover_transaction(raw)), Signed("0x" + keccak(hexstr=raw).hex(), raw, _draft(raw))
    except Exception as error:
        raise ValueError(f"no signed transaction: {error}") from None


def tip_of(raw: str) -> int | None:
    """Wei that signed bytes offer beside the base fee, for a unit of gas; None where that is no part of them."""
    try:
        return _draft(raw).fees.tip
    except Exception:
        return None


def lower(draft: Draft) -> Draft:
    """As `read_signed` gives it."""
    return replace(draft, call=Raw(draft.call.to.lower(), draft.call.data.lower(), draft.call.value))


def _draft(raw: str) -> Draft:
    data = bytes.fromhex(raw.removeprefix("0x"))
    if data[:1] == EIP_1559:
        chain, nonce, tip, fee, gas, to, value, call, access, *_ = rlp.decode(data[1:])
        if access:
            raise ValueError("nobody asked for an access list")
        fees, chain_id = Fees(_number(fee), _number(tip)), _number(chain)
    else:
        nonce, fee, gas, to, value, call, v, *_ = rlp.decode(data)
        fees, chain_id = Fees(_number(fee), None), (_number(v) - EIP_155_OFFSET) // 2
    return Draft(_number(nonce), Raw("0x" + to.hex(), "0x" + call.hex(), _number(value)), _number(gas), fees, chain_id)


def _number(data: bytes) -> int:
    return int.from_bytes(data)
