"""Machine records: identity challenge, draft, activation, and the proof that is checked again on every use."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.sandbox.services import proofs
from reconciler.sandbox.services.catalog import SKILLS
from reconciler.sandbox.services.chainview import ChainUnavailable, MachineFacts
from reconciler.sandbox.services.clock import iso, now_ms
from reconciler.sandbox.services.errors import ApiError, invalid, not_found
from reconciler.sandbox.services.fields import Check, non_blank, one_of, string_map, strings, text
from reconciler.sandbox.services.identity import Reference, did_of, parse_reference
from reconciler.sandbox.services.store import Document, new_id
from reconciler.sandbox.services.web import Context, deleted, item, page_request, read_body, route

STATUSES = ("draft", "active", "degraded", "blocked", "archived")
_FAMILY = "MACHINE_IDENTITY_PROOF"
_PURPOSE = "peaq Machine Markets: prove control of a machine identity"
_PRIVATE = ("address", "verifiedMs")
_EDITABLE: dict[str, Check] = {
    "displayName": non_blank,
    "ownerId": non_blank,
    "machineType": non_blank,
    "runtimeProfile": non_blank,
    "capabilities": strings,
    "labels": string_map,
    "policyIds": strings,
    "skillKeys": strings,
}
_CREATE: dict[str, Check] = {**_EDITABLE, "identityRef": text, "identityProof": proofs.PROOF}
_UPDATE: dict[str, Check] = {**_CREATE, "status": one_of(*STATUSES)}


def routes(ctx: Context) -> list[Route]:
    return [
        route(ctx, "POST", "/machine-identity/challenges", challenge),
        route(ctx, "GET", "/machines", index),
        route(ctx, "POST", "/machines", create),
        route(ctx, "GET", "/machines/{machine_id}", show),
        route(ctx, "PATCH", "/machines/{machine_id}", update),
        route(ctx, "DELETE", "/machines/{machine_id}", archive),
    ]


async def challenge(ctx: Context, request: Request) -> Response:
    body = await read_body(ctx, request, {"identityRef": text}, ("identityRef",))
    reference, fact = await _resolve_text(ctx, body["identityRef"])
    controllers = ctx.mcr.controllers(fact)
    identity_ref = _canonical(body["identityRef"], reference, fact)
    issued = proofs.issue(
        ctx.store, _PURPOSE, _bindings(fact), {"Identity": identity_ref}, ctx.switches.challengeTtlSeconds
    )
    return item(
        {
            "challengeId": issued["id"],
            "identityRef": identity_ref,
            "message": issued["message"],
            "expiresAt": issued["expiresAt"],
            "verificationMethod": "eip191",
            "controllerAddresses": controllers,
        },
        201,
    )


async def index(ctx: Context, request: Request) -> Response:
    page = page_request(request, "machines")
    seen: list[tuple[int, Document]] = []
    after = page.after
    while len(seen) <= page.limit:
        rows = ctx.store.page("machine", after, page.limit + 1)
        visible = await _visible(ctx, [row.body for row in rows])
        seen += [(row.seq, view(row.body)) for row, shown in zip(rows, visible, strict=True) if shown]
        if len(rows) <= page.limit:
            break
        after = rows[-1].seq
    return page.response(seen[: page.limit + 1])


async def create(ctx: Context, request: Request) -> Response:
    body = await read_body(ctx, request, _CREATE, ("displayName", "ownerId", "machineType", "runtimeProfile"))
    _check_references(ctx, body)
    if ctx.switches.requireIdentityProof and not ("identityRef" in body and "identityProof" in body):
        raise ApiError(f"{_FAMILY}_REQUIRED", "identityRef and identityProof are required")
    machine: Document = {
        "id": new_id("mach"),
        "status": "draft",
        "identityRef": None,
        "identityProof": None,
        "address": "",
        "verifiedMs": 0,
        "capabilities": [],
        "labels": {},
        "policyIds": [],
        "skillKeys": [],
        **{name: value for name, value in body.items() if name in _EDITABLE},
    }
    if "identityRef" in body:
        reference, fact = await _resolve_text(ctx, body["identityRef"])
        machine["identityRef"] = _canonical(body["identityRef"], reference, fact)
        machine["address"] = fact.wallet
        if "identityProof" in body:
            _prove(ctx, fact, machine, body["identityProof"])
        _check_unregistered(ctx, fact.wallet)
    elif "identityProof" in body:
        raise invalid("identityRef", "required with identityProof")
    machine["createdAt"] = machine["updatedAt"] = ctx.tick()
    ctx.store.put("machine", machine, natural=machine["address"])
    ctx.audit("machine.created", "machine", machine, machine_id=machine["id"])
    return item(view(machine), 201)


async def show(ctx: Context, request: Request) -> Response:
    machine = load(ctx, request)
    if machine["status"] != "archived" and machine["identityRef"] is not None:
        await _check_stored_proof(ctx, machine)
    return item(view(machine))


async def update(ctx: Context, request: Request) -> Response:
    machine = load(ctx, request)
    body = await read_body(ctx, request, _UPDATE)
    _check_references(ctx, body)
    _check_change(machine, body)
    fact = None if machine["identityRef"] is None else await _fact_of(ctx, machine)
    # The await gave others a turn: the record may have been archived meanwhile.
    machine = load(ctx, request)
    _check_change(machine, body)
    if fact is not None and "identityProof" in body:
        _prove(ctx, fact, machine, body["identityProof"])
    elif fact is not None and machine["identityProof"] is not None:
        _check_controls(ctx, machine, fact)
        _check_proof_age(ctx, machine)
    elif body.get("status") == "active" or "identityProof" in body:
        raise ApiError("MACHINE_NOT_ACTIVATED", "the machine has no verified identity")
    if body:
        machine |= {name: value for name, value in body.items() if name in _EDITABLE or name == "status"}
        machine["updatedAt"] = ctx.tick()
        ctx.store.put("machine", machine)
        ctx.audit("machine.updated", "machine", machine, machine_id=machine["id"])
    return item(view(machine))


async def archive(ctx: Context, request: Request) -> Response:
    machine = load(ctx, request)
    if machine["status"] != "archived":
        machine |= {"status": "archived", "updatedAt": ctx.tick()}
        ctx.store.put("machine", machine)
        ctx.audit("machine.archived", "machine", machine, machine_id=machine["id"])
    return deleted()


def load(ctx: Context, request: Request) -> Document:
    machine = ctx.store.get("machine", request.path_params["machine_id"])
    if machine is None:
        raise not_found("machine")
    return machine


def view(machine: Document) -> Document:
    return {name: value for name, value in machine.items() if name not in _PRIVATE}


async def check_usable(ctx: Context, machine: Document) -> MachineFacts:
    """Active, its identity resolves, its proof still holds: what every machine-bound write asks for."""
    if machine["status"] != "active":
        raise ApiError("MACHINE_NOT_ACTIVE", f"the machine is {machine['status']}")
    fact = await check_identity(ctx, machine)
    _check_proof_age(ctx, machine)
    return fact


async def check_identity(ctx: Context, machine: Document) -> MachineFacts:
    if machine["identityProof"] is None:
        raise ApiError(f"{_FAMILY}_REQUIRED", "the machine has no verified identity")
    return await _check_stored_proof(ctx, machine)


async def resolve(ctx: Context, references: Sequence[Reference]) -> list[MachineFacts | None]:
    try:
        return await ctx.mcr.resolve(references)
    except ChainUnavailable as problem:
        raise ApiError("PEAQOS_IDENTITY_UNAVAILABLE", "MCR cannot be asked now") from problem


async def _resolve_text(ctx: Context, text_ref: str) -> tuple[Reference, MachineFacts]:
    reference = parse_reference(text_ref)
    if reference is None:
        raise invalid("identityRef", "must be did:peaq:0x<address> or peaqos:machine:<id>")
    (fact,) = await resolve(ctx, [reference])
    if fact is None:
        unavailable = ctx.switches.unresolvedIsUnavailable
        code = "PEAQOS_IDENTITY_UNAVAILABLE" if unavailable else "MACHINE_NOT_ACTIVATED"
        raise ApiError(code, "MCR knows no activated machine by this identity")
    return reference, fact


async def _fact_of(ctx: Context, machine: Document) -> MachineFacts:
    if machine["identityRef"] is None:
        raise ApiError("MACHINE_NOT_ACTIVATED", "the machine has no identity")
    _, fact = await _resolve_text(ctx, machine["identityRef"])
    return fact


def _prove(ctx: Context, fact: MachineFacts, machine: Document, proof: Mapping[str, Any]) -> None:
    controllers = ctx.mcr.controllers(fact)
    spent, signer = proofs.redeem(ctx.store, proof, _bindings(fact), _FAMILY)
    if not _controls(signer, controllers):
        raise ApiError(f"{_FAMILY}_INVALID", "the signer does not control this identity")
    machine["verifiedMs"] = verified = now_ms()
    machine["identityProof"] = {
        "method": "eip191",
        "identityRef": machine["identityRef"],
        "signerAddress": signer,
        "challengeId": spent["id"],
        "verifiedAt": iso(verified),
        "challengeExpiresAt": spent["expiresAt"],
        "controllerAddresses": controllers,
        "resolutionSource": "peaqos-mcr",
    }


async def _check_stored_proof(ctx: Context, machine: Document) -> MachineFacts:
    fact = await _fact_of(ctx, machine)
    _check_controls(ctx, machine, fact)
    return fact


def _check_controls(ctx: Context, machine: Document, fact: MachineFacts) -> None:
    proof = machine["identityProof"]
    if proof is not None and not _controls(proof["signerAddress"], ctx.mcr.controllers(fact)):
        raise ApiError(f"{_FAMILY}_INVALID", "the signer of the stored proof no longer controls this identity")


def _check_proof_age(ctx: Context, machine: Document) -> None:
    lifetime = ctx.switches.storedProofTtlSeconds
    proof = machine["identityProof"]
    if lifetime and proof is not None and now_ms() > machine["verifiedMs"] + lifetime * 1000:
        raise ApiError(f"{_FAMILY}_EXPIRED", "the stored proof has expired")


async def _visible(ctx: Context, machines: Sequence[Document]) -> list[bool]:
    """Which records a list shows: a record that cannot be verified is hidden, not reported."""
    archived_shown = ctx.switches.archivedListed
    checked = [m for m in machines if m["identityProof"] is not None and m["status"] != "archived"]
    try:
        facts = await ctx.mcr.resolve([Reference(address=m["address"]) for m in checked])
    except ChainUnavailable as problem:
        if not ctx.switches.listOmitsOnOutage:
            raise ApiError("PEAQOS_IDENTITY_UNAVAILABLE", "MCR cannot be asked now") from problem
        facts = [None] * len(checked)
    good = {
        m["id"]
        for m, fact in zip(checked, facts, strict=True)
        if fact is not None and _controls(m["identityProof"]["signerAddress"], ctx.mcr.controllers(fact))
    }
    return [m["id"] in good or (archived_shown and m["status"] == "archived") for m in machines]


def _controls(signer: str, controllers: Sequence[str]) -> bool:
    return signer.lower() in {address.lower() for address in controllers}


def _bindings(fact: MachineFacts) -> dict[str, str]:
    """Bound to the wallet: the same machine by DID, other letter case or alias is the same identity."""
    return {"identityRef": did_of(fact.wallet)}


def _canonical(given: str, reference: Reference, fact: MachineFacts) -> str:
    return given if reference.address is not None else did_of(fact.wallet)


def _check_unregistered(ctx: Context, wallet: str) -> None:
    for other in ctx.store.find("machine", wallet):
        if other["status"] != "archived" or ctx.switches.archivedBlocksIdentity:
            raise ApiError("MACHINE_IDENTITY_EXISTS", "this identity already has a machine record")


def _check_change(machine: Document, body: Mapping[str, Any]) -> None:
    if machine["status"] == "archived":
        raise ApiError("MACHINE_NOT_ACTIVE", "the machine is archived")
    if "identityRef" in body:
        reference = parse_reference(body["identityRef"])
        same_address = reference is not None and reference.address == machine["address"]
        if body["identityRef"] != machine["identityRef"] and not same_address:
            raise ApiError("MACHINE_IDENTITY_IMMUTABLE", "identityRef cannot be changed")
    _check_transition(machine["status"], body.get("status", machine["status"]))


def _check_transition(current: str, wanted: str) -> None:
    """Only draft to active is documented; DELETE archives, and the rest is the platform's."""
    if wanted not in (current, "active") or (wanted == "active" and current not in ("draft", "active")):
        raise invalid("status", f"cannot go from {current} to {wanted}")


def _check_references(ctx: Context, body: Mapping[str, Any]) -> None:
    if ctx.switches.rejectUnknownPolicyIds:
        for ident in body.get("policyIds", ()):
            if ctx.store.get("policy", ident) is None:
                raise invalid("policyIds", f"unknown policy {ident}")
    if ctx.switches.rejectUnknownSkillKeys:
        for key in body.get("skillKeys", ()):
            if key not in SKILLS:
                raise invalid("skillKeys", f"unknown skill {key}")
