"""Agent pairings: challenge, create, edit, rotate the session, revoke."""

from collections.abc import Mapping
from typing import Any

from eth_utils.address import is_checksum_address
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.sandbox.services import machine_proof, machines, proofs, tokens
from reconciler.sandbox.services.clock import iso
from reconciler.sandbox.services.errors import ApiError, invalid, not_found
from reconciler.sandbox.services.fields import Check, address, non_blank, nullable, one_of, text
from reconciler.sandbox.services.store import Document, new_id
from reconciler.sandbox.services.web import Context, deleted, item, page_request, read_body, route, stored_page


def _immutable(name: str, value: Any) -> None:
    raise invalid(name, "cannot be changed; revoke the pairing and create another")


_FAMILY = "AGENT_PAIRING_PROOF"
_PURPOSE = "peaq Machine Markets: prove control of an agent wallet for a machine"
_AGENT: dict[str, Check] = {
    "agentAddress": address,
    "agentProvider": non_blank,
    "agentRole": non_blank,
    "agentDid": nullable(text),
}
_AGENT_REQUIRED = ("agentAddress", "agentProvider", "agentRole")
_CREATE: dict[str, Check] = {
    **_AGENT,
    "agentProof": proofs.PROOF,
    "description": nullable(text),
    "delegationPolicy": tokens.DELEGATION_POLICY,
}
_UPDATE: dict[str, Check] = {
    **dict.fromkeys(("agentAddress", "agentDid", "machineId"), _immutable),
    "agentProvider": non_blank,
    "agentRole": non_blank,
    "description": nullable(text),
    "status": one_of("active", "paused", "revoked"),
    "delegationPolicy": tokens.DELEGATION_POLICY,
}


def routes(ctx: Context) -> list[Route]:
    base = "/machines/{machine_id}/agent-pairings"
    return [
        route(ctx, "POST", f"{base}/challenges", challenge),
        route(ctx, "POST", base, create),
        route(ctx, "GET", base, index),
        route(ctx, "PATCH", base + "/{pairing_id}", update),
        route(ctx, "POST", base + "/{pairing_id}/sessions", rotate),
        route(ctx, "DELETE", base + "/{pairing_id}", revoke),
    ]


async def challenge(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    agent = _with_did(await read_body(ctx, request, _AGENT, _AGENT_REQUIRED))
    await machine_proof.check_usable(ctx, machine)
    named = {
        "Machine": machine["id"],
        "Machine Identity": machine["identityRef"],
        "Agent Address": agent["agentAddress"],
        "Agent DID": agent["agentDid"],
        "Provider": agent["agentProvider"],
        "Role": agent["agentRole"],
    }
    issued = proofs.issue(ctx.store, _PURPOSE, _bindings(machine["id"], agent), named, ctx.switches.challengeTtlSeconds)
    return item(
        {
            "challengeId": issued["id"],
            "machineId": machine["id"],
            "machineIdentityRef": machine["identityRef"],
            **{name: agent[name] for name in _AGENT},
            "message": issued["message"],
            "expiresAt": issued["expiresAt"],
            "verificationMethod": "eip191",
        },
        201,
    )


async def create(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    body = _with_did(await read_body(ctx, request, _CREATE, _AGENT_REQUIRED))
    if "agentProof" not in body:
        raise ApiError(f"{_FAMILY}_REQUIRED", "agentProof is required")
    fact = await machine_proof.check_usable(ctx, machine)
    if not fact.bonded:
        raise ApiError("MACHINE_NOT_ACTIVATED", "the machine is not bonded")
    if ctx.switches.uniqueAgentPerMachine and _live_pairing(ctx, machine["id"], body["agentAddress"]):
        raise ApiError("AGENT_PAIRING_UNAVAILABLE", "this agent already has a pairing on this machine")
    verification = _verify(ctx, machine["id"], body, body["agentProof"])
    written = ctx.store.clock.tick()
    pairing: Document = {
        "id": new_id("pair"),
        "machineId": machine["id"],
        "status": "active",
        **{name: body[name] for name in _AGENT},
        "description": body.get("description"),
        "verification": verification,
        "delegationPolicy": tokens.normalised_policy(body.get("delegationPolicy", {})),
        "createdAt": iso(written),
        "updatedAt": iso(written),
    }
    token = tokens.start_session(ctx, pairing, written)
    ctx.store.put("pairing", pairing, parent=machine["id"])
    ctx.audit("agent-pairing.created", "agent-pairing", pairing, machine_id=machine["id"])
    return item({**pairing, "pairingToken": token}, 201)


async def index(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    if ctx.switches.revokedListed:
        return stored_page(ctx, request, "pairing", lambda pairing: pairing, parent=machine["id"])
    page = page_request(request, f"pairing:{machine['id']}")
    rows = ctx.store.page("pairing", page.after, -1, parent=machine["id"])
    return page.response([(row.seq, row.body) for row in rows if row.body["status"] != "revoked"])


async def update(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    body = await read_body(ctx, request, _UPDATE)
    _load(ctx, request)
    await machine_proof.check_identity(ctx, machine)
    pairing = _load(ctx, request)
    if not body:
        return item(pairing)
    if pairing["status"] == "revoked":
        raise ApiError("AGENT_PAIRING_INACTIVE", "the pairing is revoked")
    if "delegationPolicy" in body:
        body["delegationPolicy"] = tokens.normalised_policy(body["delegationPolicy"])
    pairing |= body
    if pairing["status"] == "revoked":
        tokens.end_session(pairing)
    pairing["updatedAt"] = ctx.tick()
    ctx.store.put("pairing", pairing)
    ctx.audit("agent-pairing.updated", "agent-pairing", pairing, machine_id=machine["id"])
    return item(pairing)


async def rotate(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    _load(ctx, request)
    body = await read_body(ctx, request, {"agentProof": proofs.PROOF})
    if "agentProof" not in body:
        raise ApiError(f"{_FAMILY}_REQUIRED", "agentProof is required")
    await machine_proof.check_usable(ctx, machine)
    pairing = _load(ctx, request)
    if pairing["status"] != "active":
        raise ApiError("AGENT_PAIRING_INACTIVE", f"the pairing is {pairing['status']}")
    pairing["verification"] = _verify(ctx, machine["id"], pairing, body["agentProof"])
    issued = ctx.store.clock.tick()
    token = tokens.start_session(ctx, pairing, issued)
    if ctx.switches.sessionBumpsUpdatedAt:
        pairing["updatedAt"] = iso(issued)
    ctx.store.put("pairing", pairing)
    ctx.audit("agent-pairing.session-issued", "agent-pairing", pairing, machine_id=machine["id"])
    return item({**pairing, "pairingToken": token}, 201)


async def revoke(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    pairing = _load(ctx, request)
    # No look at the chain: authority must be revocable while the identity cannot be verified.
    if pairing["status"] != "revoked":
        tokens.end_session(pairing)
        pairing |= {"status": "revoked", "updatedAt": ctx.tick()}
        ctx.store.put("pairing", pairing)
        ctx.audit("agent-pairing.revoked", "agent-pairing", pairing, machine_id=machine["id"])
    return deleted()


def _load(ctx: Context, request: Request) -> Document:
    pairing = ctx.store.get("pairing", request.path_params["pairing_id"])
    if pairing is None or pairing["machineId"] != request.path_params["machine_id"]:
        raise not_found("agent pairing")
    return pairing


def _live_pairing(ctx: Context, machine_id: str, agent_address: str) -> bool:
    return any(
        other["agentAddress"] == agent_address and other["status"] != "revoked"
        for other in ctx.store.every("pairing", parent=machine_id)
    )


def _with_did(body: dict[str, Any]) -> dict[str, Any]:
    """The agent's DID: derived when absent, and never another wallet's."""
    given = body.get("agentDid")
    if given is None:
        return {**body, "agentDid": f"did:pkh:eip155:1:{body['agentAddress']}"}
    parts = given.split(":")
    named = parts[-1]
    if len(parts) != 5 or parts[:3] != ["did", "pkh", "eip155"] or not parts[3].isdigit():
        raise invalid("agentDid", "must be did:pkh:eip155:<chainId>:<agentAddress>")
    if not is_checksum_address(named) or named != body["agentAddress"]:
        raise invalid("agentDid", "must name the checksummed agentAddress")
    return body


def _bindings(machine_id: str, agent: Mapping[str, Any]) -> dict[str, str]:
    return {"machineId": machine_id, **{name: agent[name] for name in _AGENT}}


def _verify(ctx: Context, machine_id: str, agent: Mapping[str, Any], proof: Mapping[str, Any]) -> Document:
    spent, signer = proofs.redeem(ctx.store, proof, _bindings(machine_id, agent), _FAMILY)
    if signer.lower() != agent["agentAddress"].lower():
        raise ApiError(f"{_FAMILY}_INVALID", "the signer is not agentAddress")
    return {
        "method": "eip191",
        "signerAddress": signer,
        "verifiedAt": ctx.tick(),
        "challengeExpiresAt": spent["expiresAt"],
    }
