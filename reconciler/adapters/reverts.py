"""What a revert means: the name of the contract's error, and one sentence that says what to do next.

Names and triggers are from the v1 ABIs and onchain-v1 §2; DID errors arrive as text, so they are matched by name.
"""

import re
from typing import Any

from eth_abi.abi import decode
from eth_utils.crypto import keccak

from reconciler.core.errors import Rejected
from reconciler.core.text import quoted

SENTENCES = {
    "AlreadyRegistered": "this address already has a machine id; plan again to see it",
    "InvalidMachineAddress": "the zero address cannot be registered; correct the machine's address",
    "IncorrectBondAmount": "the bond changed since it was read; plan again",
    "BondNotRequired": "the registry takes no bond now; plan again",
    "BondBelowFloor": "the bond is under the registry's floor; plan again",
    "ContractNotConfigured": "the registry is not set up by its owner; tell them",
    "WalletAlreadyBound": "this wallet is bound to another machine; use another address",
    "ETHTransferFailed": "the bond could not be forwarded; tell the registry's owner",
    "SafeERC20FailedOperation": "the bond token refused the transfer; tell the registry's owner",
    "FailedCall": "an inner call failed; tell the registry's owner",
    "IdentityNFTSoulbound": "identity NFTs cannot be moved",
    "InvalidStatus": "the machine's status does not allow this; plan again to see it",
    "MachineNotFound": "no machine has this id; plan again",
    "NotMachineOwner": "only the machine's owner or its operator may do this; check operator and keys",
    "AlreadyStaked": "this machine already has its bond; plan again",
    "AmountZero": "a bond of nothing is refused; plan again",
    "NotAuthorized": "the registry may not stake; tell the staking contract's owner",
    "EnforcedPause": "the contract is paused by its owner; wait until it is unpaused",
    "ExpectedPause": "the contract is not paused",
    "AlreadyMinted": "this machine already has its NFT; plan again to see it",
    "MachineNotBonded": "the machine has no bond, so it cannot have an NFT; tell the registry's owner",
    "RecipientMustBeMachineOwner": "an operator can mint to the machine's own address only",
    "InvalidAddress": "the zero address is refused; correct the address",
    "MachineDeactivated": "the machine is deactivated; set v1.status: active to reactivate it",
    "ReentrancyGuardReentrantCall": "the contract refused a nested call; tell its owner",
    "OwnableUnauthorizedAccount": "only the contract's owner may do this",
    "ERC721NonexistentToken": "no such token; plan again",
    "EntryNotFound": "the attribute does not exist; plan again",
    "AttributeNameExceedMax64": "the attribute's name is longer than 64 bytes; shorten it",
    "AttributeAlreadyExist": "the attribute already exists; plan again to see it",
    "AttributeCreationFailed": "the chain could not store the attribute; try again",
    "AttributeUpdateFailed": "the chain could not store the attribute; try again",
    "AttributeNotFound": "the attribute does not exist; plan again",
    "AttributeAuthorizationFailed": "the attribute was put there by another account, and only that one can change it",
    "MaxBlockNumberExceeded": "the validity is too long; shorten it",
    "InvalidSuppliedValue": "the chain refuses the value; correct it",
    "ParseError": "the chain could not read the value; correct it",
    "AttributeNonAsciiProperty": "attribute names and values must be ASCII; correct it",
    "Cannot find the item": "the attribute does not exist; plan again",
    "Name too long": "the attribute's name is longer than 64 bytes; shorten it",
    "Value too long": "the attribute's value is longer than 2,560 bytes; shorten it",
    "InsufficientBalance": "the wallet cannot pay the deposit; fund it, or raise v1.funding.to",
    "Function not callable by smart contracts": "Batch serves plain accounts only; pass --no-batch",
    "NotAuthorizedSubmitter": "only the machine or its operator may submit events",
}
_ARGUMENTS = {
    "WalletAlreadyBound": "address",
    "SafeERC20FailedOperation": "address",
    "OwnableUnauthorizedAccount": "address",
    "ERC721NonexistentToken": "uint256",
    "EntryNotFound": "address,bytes",
}
_SELECTORS = {
    keccak(text=f"{name}({_ARGUMENTS.get(name, '')})")[:4].hex(): name for name in SENTENCES if name.isidentifier()
}
_MODULE = re.compile(r'message: Some\("(\w+)"\)')
EMPTY = "reverted without a reason"
NOT_THERE = {"Cannot find the item", "EntryNotFound", "AttributeNotFound"}
"""The ways in which the DID precompile says that an attribute does not exist."""


def name_of(data: bytes, message: str = "") -> str:
    """The contract's name for a revert, from its data or else the node's message; EMPTY where there is neither."""
    text = _text(data)
    if text is None and len(data) >= 4:
        return _SELECTORS.get(data[:4].hex(), f"error 0x{data[:4].hex()}")
    for candidate in (text or "", message):
        if module := _MODULE.search(candidate):
            return module[1]
        for known in SENTENCES:
            if known in candidate:
                return known
    return quoted(text) if text else EMPTY


def rejected(name: str, where: str = "") -> Rejected:
    return Rejected(name, reason=name, where=where, hint=SENTENCES.get(name, ""))


def sentence(name: str) -> str:
    """`name`, and what to do about it where that is known."""
    known = SENTENCES.get(name)
    return f"{name}: {known}" if known else name


def revert_data(data: Any) -> bytes | None:
    """Revert bytes inside a JSON-RPC error's `data`, in any of the shapes nodes use; None where there are none."""
    if isinstance(data, dict):
        return revert_data(data.get("data"))
    if isinstance(data, str) and "0x" in data:
        try:
            return bytes.fromhex(data[data.index("0x") + 2 :])
        except ValueError:
            return None
    return None


def _text(data: bytes) -> str | None:
    if data[:4].hex() != "08c379a0":
        return None
    try:
        return str(decode(["string"], data[4:])[0])
    except Exception:
        return None
