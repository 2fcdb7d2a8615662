"""The proof of a machine's identity: given once, and held against MCR's controllers on every use."""

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.services import proofs
from reconciler.sandbox.services.chainview import ChainUnavailable, Facts
from reconciler.sandbox.services.clock import iso, now_ms
from reconciler.sandbox.services.errors import ApiError, invalid
from reconciler.sandbox.services.identity import Reference, parse_reference
from reconciler.sandbox.services.store import Document
from reconciler.sandbox.services.web import Context

FAMILY = "MACHINE_IDENTITY_PROOF"
"""Prefix of the codes that refuse a proof."""


async def check_usable(ctx: Context, machine: Document) -> Facts:
    """Active, its identity resolves, its proof still holds: what every machine-bound write asks for."""
    if machine["status"] != "active":
        raise ApiError("MACHINE_NOT_ACTIVE", f"the machine is {machine['status']}")
    fact = await check_identity(ctx, machine)
    check_proof_age(ctx, machine)
    return fact


async def check_identity(ctx: Context, machine: Document) -> Facts:
    if machine["identityProof"] is None:
        raise ApiError(f"{FAMILY}_REQUIRED", "the machine has no verified identity")
    return await check_stored_proof(ctx, machine)


async def resolve(ctx: Context, references: Sequence[Reference]) -> list[Facts | None]:
    try:
        return await ctx.mcr.resolve(references)
    except ChainUnavailable as problem:
        raise ApiError("PEAQOS_IDENTITY_UNAVAILABLE", "MCR cannot be asked now") from problem


async def resolve_text(ctx: Context, text_ref: str) -> tuple[Reference, Facts]:
    reference = parse_reference(text_ref)
    if reference is None:
        raise invalid("identityRef", "must be did:peaq:<id>, did:peaq:0x<address> or peaqos:machine:<id>")
    (fact,) = await resolve(ctx, [reference])
    if fact is None:
        unavailable = ctx.switches.unresolvedIsUnavailable
        code = "PEAQOS_IDENTITY_UNAVAILABLE" if unavailable else "MACHINE_NOT_ACTIVATED"
        raise ApiError(code, "MCR knows no activated machine by this identity")
    return reference, fact


async def fact_of(ctx: Context, machine: Document) -> Facts:
    if machine["identityRef"] is None:
        raise ApiError("MACHINE_NOT_ACTIVATED", "the machine has no identity")
    _, fact = await resolve_text(ctx, machine["identityRef"])
    return fact


def controllers_of(ctx: Context, fact: Facts) -> list[str]:
    """Who may prove this identity: at least one."""
    found = ctx.mcr.controllers(fact)
    if not found:
        raise ApiError(f"{FAMILY}_INVALID", "the machine has no controller")
    return found


def prove(ctx: Context, fact: Facts, machine: Document, proof: Mapping[str, Any]) -> None:
    controllers = controllers_of(ctx, fact)
    spent, signer = proofs.redeem(ctx.store, proof, bindings(fact), FAMILY)
    if not _controls(signer, controllers):
        raise ApiError(f"{FAMILY}_INVALID", "the signer does not control this identity")
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


async def check_stored_proof(ctx: Context, machine: Document) -> Facts:
    fact = await fact_of(ctx, machine)
    check_controls(ctx, machine, fact)
    return fact


def check_controls(ctx: Context, machine: Document, fact: Facts) -> None:
    proof = machine["identityProof"]
    if proof is not None and not _controls(proof["signerAddress"], ctx.mcr.controllers(fact)):
        raise ApiError(f"{FAMILY}_INVALID", "the signer of the stored proof no longer controls this identity")


def check_proof_age(ctx: Context, machine: Document) -> None:
    lifetime = ctx.switches.storedProofTtlSeconds
    proof = machine["identityProof"]
    if lifetime and proof is not None and now_ms() > machine["verifiedMs"] + lifetime * 1000:
        raise ApiError(f"{FAMILY}_EXPIRED", "the stored proof has expired")


async def visible(ctx: Context, machines: Sequence[Document]) -> list[bool]:
    """Which records a list shows: a record that cannot be verified is hidden, not reported."""
    archived_shown = ctx.switches.archivedListed
    checked = [m for m in machines if m["identityProof"] is not None and m["status"] != "archived"]
    try:
        facts = await ctx.mcr.resolve([parse_reference(m["identityRef"]) or Reference() for m in checked])
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


def bindings(fact: Facts) -> dict[str, str]:
    """Bound to the machine: the same by DID, in other letter case or by alias is the same identity."""
    return {"identityRef": fact.did}


def canonical(given: str, reference: Reference, fact: Facts) -> str:
    return given if reference.address is not None else fact.did
