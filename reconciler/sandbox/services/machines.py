"""Machine records: identity challenge, draft, activation, and the proof that is checked again on every use."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.sandbox.services import machine_proof, proofs
from reconciler.sandbox.services.catalog import SKILLS
from reconciler.sandbox.services.errors import ApiError, invalid, not_found
from reconciler.sandbox.services.fields import Check, non_blank, one_of, string_map, strings, text
from reconciler.sandbox.services.identity import parse_reference
from reconciler.sandbox.services.store import Document, new_id
from reconciler.sandbox.services.web import Context, deleted, item, page_request, read_body, route

STATUSES = ("draft", "active", "degraded", "blocked", "archived")
_PURPOSE = "peaq Machine Markets: prove control of a machine identity"
_PRIVATE = ("verifiedMs",)
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
    reference, fact = await machine_proof.resolve_text(ctx, body["identityRef"])
    controllers = machine_proof.controllers_of(ctx, fact)
    identity_ref = machine_proof.canonical(body["identityRef"], reference, fact)
    issued = proofs.issue(
        ctx.store, _PURPOSE, machine_proof.bindings(fact), {"Identity": identity_ref}, ctx.switches.challengeTtlSeconds
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
        shown_flags = await machine_proof.visible(ctx, [row.body for row in rows])
        seen += [(row.seq, view(row.body)) for row, shown in zip(rows, shown_flags, strict=True) if shown]
        if len(rows) <= page.limit:
            break
        after = rows[-1].seq
    return page.response(seen[: page.limit + 1])


async def create(ctx: Context, request: Request) -> Response:
    body = await read_body(ctx, request, _CREATE, ("displayName", "ownerId", "machineType", "runtimeProfile"))
    _check_references(ctx, body)
    if ctx.switches.requireIdentityProof and not ("identityRef" in body and "identityProof" in body):
        raise ApiError(f"{machine_proof.FAMILY}_REQUIRED", "identityRef and identityProof are required")
    machine: Document = {
        "id": new_id("mach"),
        "status": "draft",
        "identityRef": None,
        "identityProof": None,
        "verifiedMs": 0,
        "capabilities": [],
        "labels": {},
        "policyIds": [],
        "skillKeys": [],
        **{name: value for name, value in body.items() if name in _EDITABLE},
    }
    identity = ""
    if "identityRef" in body:
        reference, fact = await machine_proof.resolve_text(ctx, body["identityRef"])
        machine["identityRef"] = machine_proof.canonical(body["identityRef"], reference, fact)
        identity = fact.did
        if "identityProof" in body:
            machine_proof.prove(ctx, fact, machine, body["identityProof"])
        _check_unregistered(ctx, identity)
    elif "identityProof" in body:
        raise invalid("identityRef", "required with identityProof")
    machine["createdAt"] = machine["updatedAt"] = ctx.tick()
    ctx.store.put("machine", machine, natural=identity)
    ctx.audit("machine.created", "machine", machine, machine_id=machine["id"])
    return item(view(machine), 201)


async def show(ctx: Context, request: Request) -> Response:
    machine = load(ctx, request)
    if machine["status"] != "archived" and machine["identityRef"] is not None:
        await machine_proof.check_stored_proof(ctx, machine)
    return item(view(machine))


async def update(ctx: Context, request: Request) -> Response:
    machine = load(ctx, request)
    body = await read_body(ctx, request, _UPDATE)
    _check_references(ctx, body)
    _check_change(machine, body)
    fact = None if machine["identityRef"] is None else await machine_proof.fact_of(ctx, machine)
    # The await gave others a turn: the record may have been archived meanwhile.
    machine = load(ctx, request)
    _check_change(machine, body)
    if fact is not None and "identityProof" in body:
        machine_proof.prove(ctx, fact, machine, body["identityProof"])
    elif fact is not None and machine["identityProof"] is not None:
        machine_proof.check_controls(ctx, machine, fact)
        machine_proof.check_proof_age(ctx, machine)
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


def _check_unregistered(ctx: Context, identity: str) -> None:
    for other in ctx.store.find("machine", identity):
        if other["status"] != "archived" or ctx.switches.archivedBlocksIdentity:
            raise ApiError("MACHINE_IDENTITY_EXISTS", "this identity already has a machine record")


def _check_change(machine: Document, body: Mapping[str, Any]) -> None:
    if machine["status"] == "archived":
        raise ApiError("MACHINE_NOT_ACTIVE", "the machine is archived")
    if "identityRef" in body:
        given, kept = parse_reference(body["identityRef"]), parse_reference(machine["identityRef"] or "")
        if given != kept or given is None:
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
