"""Every error of the contracts and modules, in the shapes in which nodes report it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from reconciler.adapters import reverts

# Selectors as computed in onchain-v1, appendix A.
CUSTOM: Mapping[str, str] = {
    "AlreadyRegistered": "3a81d6fc",
    "BondBelowFloor": "f611488a",
    "BondNotRequired": "b8412e6f",
    "ContractNotConfigured": "16e0e480",
    "ERC721NonexistentToken": "7e273289",
    "ETHTransferFailed": "b12d13eb",
    "FailedCall": "d6bda275",
    "IdentityNFTSoulbound": "8ae4eb0a",
    "IncorrectBondAmount": "8620aa19",
    "InvalidAddress": "e6c4247b",
    "InvalidMachineAddress": "050cd25b",
    "InvalidStatus": "f525e320",
    "MachineNotFound": "70436860",
    "NotMachineOwner": "96995981",
    "OwnableUnauthorizedAccount": "118cdaa7",
    "ReentrancyGuardReentrantCall": "3ee5aeb5",
    "SafeERC20FailedOperation": "5274afe7",
    "WalletAlreadyBound": "e2f460db",
    "AlreadyStaked": "0ae3514d",
    "AmountZero": "cbca5aa2",
    "EnforcedPause": "d93c0665",
    "ExpectedPause": "8dfc202b",
    "NotAuthorized": "ea8e4eb5",
    "AlreadyMinted": "ddefae28",
    "MachineNotBonded": "c2322582",
    "RecipientMustBeMachineOwner": "cd13a65b",
    "MachineDeactivated": "22c74367",
    "EntryNotFound": "4c92a369",
}
# The errors of v2, from its published interface; those that only its owner can meet have no sentence.
INTERFACE = json.loads((Path(__file__).parents[1] / "sandbox" / "v2_interface.json").read_text())
OWNERS = {
    "AlreadyRegistered",
    "InvalidInitialization",
    "OwnableInvalidOwner",
    *("ERC721InvalidApprover", "ERC721InvalidOperator", "ERC721InvalidOwner"),
}
V2 = {
    name: keccak(text=signature)[:4].hex()
    for contract in INTERFACE.values()
    for signature in contract["errors"]
    if (name := signature.partition("(")[0]) not in OWNERS
}
MODULE = [
    "AttributeNameExceedMax64",
    "AttributeAlreadyExist",
    "AttributeCreationFailed",
    "AttributeUpdateFailed",
    "AttributeNotFound",
    "AttributeAuthorizationFailed",
    "MaxBlockNumberExceeded",
    "InvalidSuppliedValue",
    "ParseError",
    "AttributeNonAsciiProperty",
    "InsufficientBalance",
]
TEXTS = [
    "Cannot find the item",
    "Name too long",
    "Value too long",
    "Function not callable by smart contracts",
    "trying to spend more than allowed",
    "FundsUnavailable",
]
FRONTIER, GETH = "VM Exception while processing transaction: revert", "execution reverted"


def dispatched(name: str) -> str:
    index = MODULE.index(name)
    fault = f'Module(ModuleError {{ index: 100, error: [{index}, 0, 0, 0], message: Some("{name}") }})'
    return f"Dispatched call failed with error: {fault}"


def text_data(text: str) -> bytes:
    return bytes.fromhex("08c379a0") + encode(["string"], [text])


ERRORS: Mapping[str, bytes] = {
    **{name: bytes.fromhex(selector) for name, selector in (CUSTOM | V2).items()},
    **{name: text_data(dispatched(name)) for name in MODULE},
    **{text: text_data(text) for text in TEXTS},
}


def frontier(data: bytes) -> dict[str, Any]:
    """As a peaq node answers: code -32603, the data as hex."""
    return {"code": -32603, "message": FRONTIER, "data": "0x" + data.hex()}


def geth(data: bytes) -> dict[str, Any]:
    """As most nodes answer: code 3."""
    return {"code": 3, "message": GETH, "data": "0x" + data.hex()}


def nested(data: bytes) -> dict[str, Any]:
    return {"code": -32000, "message": GETH, "data": {"message": "revert", "data": "Reverted 0x" + data.hex()}}


@pytest.mark.parametrize("shape", [frontier, geth, nested])
@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_named(name: str, shape: Any) -> None:
    error = shape(ERRORS[name])
    data = reverts.revert_data(error["data"])
    assert data is not None
    assert reverts.name_of(data, error["message"]) == name


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_says_what_to_do(name: str) -> None:
    assert reverts.SENTENCES[name]
    rejected = reverts.rejected(name)
    assert (rejected.reason, rejected.hint) == (name, reverts.SENTENCES[name])


def test_no_sentence_is_without_a_test() -> None:
    elsewhere = {"NotAuthorizedSubmitter"}  # of the event registry, which is not used
    assert set(reverts.SENTENCES) - set(ERRORS) <= elsewhere


@pytest.mark.parametrize("name", ["WalletAlreadyBound", "SafeERC20FailedOperation", "OwnableUnauthorizedAccount"])
def test_arguments_do_not_hide_the_name(name: str) -> None:
    data = bytes.fromhex(CUSTOM[name]) + encode(["address"], ["0x" + "77" * 20])
    assert reverts.name_of(data) == name


@pytest.mark.parametrize("name", [*MODULE, *TEXTS])
def test_a_message_alone_is_enough(name: str) -> None:
    message = f"{FRONTIER} {dispatched(name) if name in MODULE else name}"
    assert reverts.name_of(b"", message) == name


@pytest.mark.parametrize("name", ["Cannot find the item", "AttributeNotFound", "EntryNotFound"])
def test_what_is_not_there_is_known_as_such(name: str) -> None:
    assert reverts.name_of(ERRORS[name]) in reverts.NOT_THERE


@pytest.mark.parametrize("name", ["AttributeAuthorizationFailed", "AlreadyRegistered", "EnforcedPause"])
def test_nothing_else_is_taken_for_not_there(name: str) -> None:
    assert reverts.name_of(ERRORS[name]) not in reverts.NOT_THERE


def test_an_unknown_error_keeps_its_selector() -> None:
    assert reverts.name_of(bytes.fromhex("deadbeef00")) == "error 0xdeadbeef"


def test_an_unknown_module_error_keeps_its_name() -> None:
    data = text_data('Dispatched call failed with error: Module(ModuleError { message: Some("Brand2New") })')
    assert reverts.name_of(data) == "Brand2New"


def test_an_unknown_text_is_kept() -> None:
    assert reverts.name_of(text_data("something else")) == "something else"


@pytest.mark.parametrize(
    ("data", "message"), [(b"", FRONTIER), (b"", ""), (b"\x01", GETH), (bytes.fromhex("08c379a0ff"), GETH)]
)
def test_a_revert_that_says_nothing_is_called_that(data: bytes, message: str) -> None:
    assert reverts.name_of(data, message) in (reverts.EMPTY, "error 0x08c379a0")


@pytest.mark.parametrize("data", [None, "", "no hex here", "0xzz", {}, {"data": None}, 7, ["0x00"]])
def test_what_holds_no_data_holds_none(data: Any) -> None:
    assert reverts.revert_data(data) is None
