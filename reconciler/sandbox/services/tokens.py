"""Session tokens: real HS256 JWTs, void as soon as anything they speak of has changed."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

import jwt
from starlette.requests import Request

from reconciler.sandbox.services.clock import iso, now_ms
from reconciler.sandbox.services.errors import ApiError
from reconciler.sandbox.services.fields import Check, amount, nested, non_blank, nullable, strings
from reconciler.sandbox.services.store import Document
from reconciler.sandbox.services.web import Context

HEADER = "x-agent-pairing-token"
_LISTS = ("allowedSkillKeys", "deniedSkillKeys", "allowedServiceIds", "deniedServiceIds")
_LIMITS = ("perTransactionLimit", "dailySpendLimit")
DELEGATION_POLICY: Check = nested(
    {
        **dict.fromkeys(_LISTS, nullable(strings)),
        **dict.fromkeys(_LIMITS, nullable(amount)),
        "currency": nullable(non_blank),
    }
)


def normalised_policy(given: Mapping[str, Any]) -> Document:
    """Whole: absent and null lists are empty, absent limits are null."""
    return {
        **{name: given.get(name) or [] for name in _LISTS},
        **{name: given.get(name) for name in (*_LIMITS, "currency")},
    }


def policy_hash(policy: Mapping[str, Any]) -> str:
    """Order and repetition of a list, and 5 against 5.0, mean nothing to enforcement, so nothing here."""
    canonical = {
        **{name: sorted(set(policy[name])) for name in _LISTS},
        **{name: None if policy[name] is None else float(policy[name]) for name in _LIMITS},
        "currency": policy["currency"],
    }
    return hashlib.sha256(json.dumps(canonical, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def start_session(ctx: Context, pairing: Document, issued_ms: int) -> str:
    """Replace the session of a pairing and return the token; the pairing keeps only its last four characters."""
    issued = issued_ms // 1000
    expires = issued + ctx.switches.sessionTtlSeconds
    session_id, token_id = "sess_" + secrets.token_hex(8), secrets.token_hex(16)
    claims = {
        "machineId": pairing["machineId"],
        "pairingId": pairing["id"],
        "sessionId": session_id,
        "agentAddress": pairing["agentAddress"],
        "agentDid": pairing["agentDid"],
        "delegationPolicyHash": policy_hash(pairing["delegationPolicy"]),
        "iat": issued,
        "exp": expires,
        "jti": token_id,
    }
    token = jwt.encode(claims, ctx.store.secret, algorithm="HS256")
    pairing |= {
        "hasAuthToken": True,
        "tokenLastFour": token[-4:],
        "sessionId": session_id,
        "sessionTokenId": token_id,
        "sessionIssuedAt": iso(issued_ms),
        "sessionExpiresAt": iso(expires * 1000),
    }
    return token


def end_session(pairing: Document) -> None:
    pairing |= {
        "hasAuthToken": False,
        "tokenLastFour": None,
        "sessionId": None,
        "sessionTokenId": None,
        "sessionIssuedAt": None,
        "sessionExpiresAt": None,
    }


def authenticate(ctx: Context, request: Request) -> Document:
    """The active pairing that a request's token speaks for."""
    token = request.headers.get(HEADER)
    if not token:
        raise ApiError("AGENT_AUTH_REQUIRED", f"{HEADER} is required")
    claims = _claims(ctx, token)
    pairing = ctx.store.get("pairing", str(claims.get("pairingId")))
    if pairing is None or pairing["machineId"] != claims.get("machineId"):
        raise ApiError("AGENT_AUTH_INVALID", "the token names no pairing")
    if pairing["status"] != "active":
        raise ApiError("AGENT_PAIRING_INACTIVE", f"the pairing is {pairing['status']}")
    if claims.get("sessionId") != pairing["sessionId"]:
        raise ApiError("AGENT_AUTH_INVALID", "the token was superseded by a newer session")
    if claims.get("delegationPolicyHash") != policy_hash(pairing["delegationPolicy"]):
        raise ApiError("AGENT_AUTH_INVALID", "the delegation policy changed since the token was issued")
    return pairing


def _claims(ctx: Context, token: str) -> dict[str, Any]:
    try:
        # `iat` is left alone: the write clock may run a little ahead of the wall.
        options: Any = {"verify_iat": False, "verify_exp": False, "require": ["exp", "sessionId"]}
        claims: dict[str, Any] = jwt.decode(token, ctx.store.secret, algorithms=["HS256"], options=options)
    except jwt.InvalidTokenError as problem:
        raise ApiError("AGENT_AUTH_INVALID", "the token is not valid") from problem
    if now_ms() >= int(claims["exp"]) * 1000:
        raise ApiError("AGENT_AUTH_EXPIRED", "the token has expired")
    return claims
