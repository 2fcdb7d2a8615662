"""Our signatures are those of eth_account, byte for byte."""

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as some

from reconciler.adapters.signing import LocalKey, tip_of
from reconciler.core.ports import Draft, Fees, Raw

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
keys = some.integers(1, SECP256K1_ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
amounts = some.integers(0, 2**128)
drafts = some.builds(
    Draft,
    nonce=some.integers(0, 2**64 - 2),
    call=some.builds(
        Raw,
        to=some.binary(min_size=20, max_size=20).map(lambda to: "0x" + to.hex()),
        data=some.binary(max_size=300).map(lambda data: "0x" + data.hex()),
        value=amounts,
    ),
    gas=some.integers(21_000, 2**40),
    fees=some.builds(Fees, max_fee=amounts, tip=some.none() | amounts),
    chain_id=some.sampled_from([1, 3338, 9990, 31338, 2**40]),
)


@given(keys, drafts)
def test_transactions(secret: bytes, draft: Draft) -> None:
    fees: dict[str, Any] = {"gasPrice": draft.fees.max_fee}
    if draft.fees.tip is not None:
        fees = {"type": 2, "maxFeePerGas": draft.fees.max_fee, "maxPriorityFeePerGas": draft.fees.tip}
    expected = Account.from_key(secret).sign_transaction(
        {
            "chainId": draft.chain_id,
            "nonce": draft.nonce,
            "to": to_checksum_address(draft.call.to),
            "value": draft.call.value,
            "data": draft.call.data,
            "gas": draft.gas,
            **fees,
        }
    )
    signed = LocalKey(secret).sign_transaction(draft)
    assert signed.raw == "0x" + bytes(expected.raw_transaction).hex()
    assert signed.hash == "0x" + bytes(expected.hash).hex()
    assert tip_of(signed.raw) == draft.fees.tip


@given(some.binary(max_size=60))
def test_what_is_no_transaction_offers_no_tip(junk: bytes) -> None:
    assert tip_of("0x" + junk.hex()) is None


@given(keys, some.text(max_size=200).filter(lambda text: text.isprintable()))
def test_messages(secret: bytes, text: str) -> None:
    expected = Account.from_key(secret).sign_message(encode_defunct(text=text))
    assert LocalKey(secret).sign_message(text) == "0x" + bytes(expected.signature).hex()


@given(keys)
def test_addresses(secret: bytes) -> None:
    assert LocalKey(secret).address == Account.from_key(secret).address


@pytest.mark.parametrize("secret", [b"", b"\x01" * 31, b"\x01" * 33, bytes(32), b"\xff" * 32])
def test_what_is_no_key(secret: bytes) -> None:
    with pytest.raises(Exception, match=r".+"):
        LocalKey(secret)


def test_a_key_is_never_shown() -> None:
    secret = b"\x17" * 32
    key = LocalKey(secret)
    assert secret.hex() not in f"{key!r} {key} {[key]}"
