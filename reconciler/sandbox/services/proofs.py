"""Challenges and EIP-191 proofs: one use, short-lived, bound to what they were asked for."""

import secrets
from collections.abc import Mapping
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct

from reconciler.sandbox.services.clock import iso, now_ms
from reconciler.sandbox.services.errors import ApiError
from reconciler.sandbox.services.fields import Check, nested, non_blank
from reconciler.sandbox.services.store import Document, Store

PROOF: Check = nested({"challengeId": non_blank, "signature": non_blank}, ("challengeId", "signature"))


def issue(
    store: Store, purpose: str, bindings: Mapping[str, str], named: Mapping[str, str], ttl_seconds: int
) -> Document:
    """A stored challenge whose message names its purpose and what it is for, a line each."""
    issued = store.clock.tick()
    challenge_id = "chal_" + secrets.token_hex(12)
    nonce = secrets.token_hex(16)
    expires = iso(issued + ttl_seconds * 1000)
    lines = [
        purpose,
        "",
        f"Challenge: {challenge_id}",
        f"Nonce: {nonce}",
        *(f"{label}: {value}" for label, value in named.items()),
        f"Issued At: {iso(issued)}",
        f"Expires At: {expires}",
    ]
    challenge = {
        "id": challenge_id,
        "bindings": dict(bindings),
        "message": "\n".join(lines),
        "expiresAt": expires,
        "expiresMs": issued + ttl_seconds * 1000,
        "usedMs": 0,
    }
    store.put("challenge", challenge)
    return challenge


def redeem(store: Store, proof: Mapping[str, Any], bindings: Mapping[str, str], family: str) -> tuple[Document, str]:
    """The challenge and who signed it. It is spent by the attempt, not by success: no second guess.

    `family` is the prefix of the error codes: MACHINE_IDENTITY_PROOF or AGENT_PAIRING_PROOF.
    """
    challenge = store.get("challenge", proof["challengeId"])
    if challenge is None or challenge["usedMs"]:
        raise ApiError(f"{family}_INVALID", "the challenge is unknown or already used")
    if now_ms() > challenge["expiresMs"]:
        raise ApiError(f"{family}_EXPIRED", "the challenge has expired")
    if challenge["bindings"] != dict(bindings):
        raise ApiError(f"{family}_INVALID", "the challenge was issued for something else")
    store.put("challenge", challenge | {"usedMs": now_ms()})
    return challenge, _signer(challenge["message"], proof["signature"], family)


def _signer(message: str, signature: str, family: str) -> str:
    digits = signature.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits)
        if not signature.startswith("0x") or len(raw) != 65:
            raise ValueError("not 65 bytes")
        return str(Account.recover_message(encode_defunct(text=message), signature=raw))
    except Exception as problem:  # the key library raises many kinds; each means the same here
        raise ApiError(f"{family}_INVALID", "the signature is not a 65-byte EIP-191 signature") from problem
