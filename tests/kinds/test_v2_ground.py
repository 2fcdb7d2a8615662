"""Who a v2 machine is, computed without a chain, and what its block must not say."""

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.kinds.peaq_v2.ground import MachineBlock, token_id

SOUND: dict[str, Any] = {"machineType": "sensor", "credentialSubject": "serial-1"}
KEY = {"id": "#one", "type": "Ed25519VerificationKey2020", "publicKeyMultibase": "z1"}
ACCOUNT = "0x" + "ab" * 20
WRONG = {
    "no subject": {"credentialSubject": ""},
    "half a byte": {"credentialSubject": {"hex": "0xabc"}},
    "an owner that gets nothing": {"owner": ACCOUNT},
    "a hand-over to nobody": {"custody": "handover"},
    "two keys of one name": {"verificationMethods": [KEY, KEY]},
    "a key that is not there": {"verificationMethods": [KEY], "authentication": ["#two"]},
    "authentication without keys": {"authentication": ["#one"]},
    "a tier that is none": {"tier": "gold"},
}


@given(st.text(max_size=100), st.binary(max_size=100))
def test_an_id_is_the_hash_of_what_the_abi_makes_of_it(machine_type: str, subject: bytes) -> None:
    expected = keccak(encode(["string", "bytes"], [machine_type, subject]))
    assert token_id(machine_type, subject) == int.from_bytes(expected, "big")


def test_a_subject_is_text_or_bytes() -> None:
    text = MachineBlock.model_validate({**SOUND, "credentialSubject": "ü"})
    data = MachineBlock.model_validate({**SOUND, "credentialSubject": {"hex": "0xC3bc"}})
    assert text.subject == data.subject == b"\xc3\xbc"
    assert text.identity("a").did == data.identity("b").did == f"did:peaq:{token_id('sensor', text.subject)}"


@pytest.mark.parametrize("said", WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused(said: dict[str, Any]) -> None:
    MachineBlock.model_validate(SOUND)
    with pytest.raises(ValidationError):
        MachineBlock.model_validate({**SOUND, **said})
