"""What a revert means: the name of the contract's error, and one sentence that says what to do next.

Names and triggers are from the ABIs of v1 and v2 and onchain-v1 §2; DID errors arrive as text, so they are matched by
name.
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
    "AlreadyActivated": "the machine has its subscription already; plan again to see it",
    "AlreadyTerminated": "the subscription is terminated, which is final; give the machine another credentialSubject",
    "CredentialSubjectMismatch": "the id does not belong to type and subject; report it, with the manifest",
    "ERC721IncorrectOwner": "the machine has another owner by now; plan again to see it",
    "ERC721InsufficientApproval": "only the machine's owner may hand it over; check operator and keys",
    "ERC721InvalidReceiver": "this account cannot own a machine; correct owner",
    "ERC721InvalidSender": "somebody has activated this machine meanwhile; plan again to see who",
    "InvalidAuthenticationIndex": "authentication names a method that is not there; declare both lists",
    "InvalidDIDFormat": "the DID is not the machine's own; report it, with the manifest",
    "InvalidTier": "there is no such tier; correct tier",
    "MachineRelocating": "the machine is moving to another chain; wait until it has arrived",
    "NotActivated": "the machine has no subscription yet; plan again",
    "NotActive": "the machine is suspended already; plan again to see it",
    "NotMachineStateAndSync": "the contracts of v2 are not set up by their owner; tell them",
    "NotOwnerOrController": "only the machine's owner or its controller may do this; check operator and keys",
    "NotSuspended": "the machine is not suspended; plan again to see it",
    "PriceNotAvailable": "the protocol has no price for bonds now; try again later",
    "TechnicallyPaused": "peaq has paused the protocol or this machine; wait until they resume it",
    "TierChangeWhileActive": "the tier cannot be changed now; declare the one it has",
    "trying to spend more than allowed": "the price rose since it was planned, and nothing was paid; plan again",
    "FundsUnavailable": "the wallet holds less than the bond; fund it",
    "NotAuthorizedSubmitter": "only the machine or its operator may submit events",
}
_ARGUMENTS = {
    "WalletAlreadyBound": "address",
    "SafeERC20FailedOperation": "address",
    "ERC721IncorrectOwner": "address,uint256,address",
    "ERC721InsufficientApproval": "address,uint256",
    "ERC721InvalidReceiver": "address",
    "ERC721InvalidSender": "address",
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
