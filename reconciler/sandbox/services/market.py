"""The market an agent sees: services, search and execution, all within its delegation policy."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.services import machine_proof
from reconciler.sandbox.services.catalog import PRICES, SERVICES, Entry
from reconciler.sandbox.services.clock import iso
from reconciler.sandbox.services.errors import ApiError, invalid, not_found
from reconciler.sandbox.services.fields import (
    Check,
    amount,
    boolean,
    mapping,
    nested,
    non_blank,
    nullable,
    strings,
    text,
)  # fmt: skip
from reconciler.sandbox.services.store import Document, new_id
from reconciler.sandbox.services.tokens import HEADER, authenticate
from reconciler.sandbox.services.web import Context, fixed_page, item, read_body, route

_QUOTE_TTL_MS = 900_000
_ALIASES = {
    "storage": "storage.object",
    "compute": "compute.marketplace",
    "identity": "identity.proof-of-person",
    "location": "data.location",
    "rtk": "data.location",
    "gnss": "data.location",
    "defi": "oracle.price-feed",
    "commerce": "machine.commerce",
}
_FILTERS = ("serviceType", "executionMode", "providerKey")
_SEARCH: dict[str, Check] = {
    "machineId": non_blank,
    "agentPairingId": non_blank,
    "serviceType": non_blank,
    "operation": text,
    "requiredCapabilities": strings,
    "region": text,
    "maxResults": amount,
    "allowExternalHandoff": boolean,
    "requireNativeExecution": boolean,
    "budget": nested({**dict.fromkeys(("max", "amount", "preferred"), nullable(amount)), "currency": nullable(text)}),
    "providerCredentials": mapping,
}
_EXECUTE: dict[str, Check] = {
    "machineId": non_blank,
    "agentPairingId": non_blank,
    "operation": text,
    "input": mapping,
    "providerCredentials": mapping,
}


def routes(ctx: Context) -> list[Route]:
    return [
        route(ctx, "GET", "/market/services", index),
        route(ctx, "GET", "/market/services/{service_id}", show),
        # Agents hold no platform key: their token is all they show.
        route(ctx, "POST", "/market/search", search, platform_key=False),
        route(ctx, "GET", "/market/searches/{search_id}", show_search),
        route(ctx, "POST", "/market/services/{service_id}/execute", execute, platform_key=False),
    ]


async def index(ctx: Context, request: Request) -> Response:
    await _optional_agent(ctx, request, request.query_params.get("machineId"))
    wanted = {name: request.query_params[name] for name in _FILTERS if name in request.query_params}
    found = [s for s in SERVICES.values() if all(s[name] == value for name, value in wanted.items())]
    return fixed_page(request, "services", found)


async def show(ctx: Context, request: Request) -> Response:
    await _optional_agent(ctx, request, None)
    return item(_load(request))


async def search(ctx: Context, request: Request) -> Response:
    body = await read_body(ctx, request, _SEARCH)
    pairing = await _agent(ctx, request, body)
    task = _task(body)
    fitting = [s for s in SERVICES.values() if _fits(s, task) and _affordable(s, body.get("budget") or {})]
    allowed = [s for s in fitting if _denial(ctx, pairing, s) is None]
    if fitting and not allowed:
        raise ApiError("AGENT_POLICY_DENIED", "the policy allows none of the services found")
    now = ctx.store.clock.tick()
    shown = allowed[: int(body.get("maxResults", 10))]
    result = {
        "id": new_id("srch"),
        "machineId": pairing["machineId"],
        "agentPairingId": pairing["id"],
        "request": {name: value for name, value in body.items() if name != "providerCredentials"},
        "normalizedTask": task,
        "status": "completed" if shown else "no_match",
        "quotes": [_quote(service, now + _QUOTE_TTL_MS) for service in shown],
        "createdAt": iso(now),
    }
    ctx.store.put("search", result)
    return item(result, 201)


async def show_search(ctx: Context, request: Request) -> Response:
    found = ctx.store.get("search", request.path_params["search_id"])
    if found is None:
        raise not_found("search")
    return item(found)


async def execute(ctx: Context, request: Request) -> Response:
    service = _load(request)
    body = await read_body(ctx, request, _EXECUTE)
    pairing = await _agent(ctx, request, body)
    operation = body.get("operation") or service["operations"][0]
    if operation not in service["operations"]:
        raise ApiError("EXECUTION_UNSUPPORTED", f"{service['id']} has no operation {operation}")
    denial = _denial(ctx, pairing, service)
    if denial is not None:
        raise ApiError("AGENT_POLICY_DENIED", denial)
    if service["handoff"] is not None:
        return JSONResponse({"service": service, "execution": {"statusCode": 202, "handoff": service["handoff"]}}, 202)
    _spend(ctx, pairing, service)
    run, outcome = new_id("run"), new_id("out")
    common = {"status": "completed", "skillKey": service["skillKey"], "serviceId": service["id"]}
    execution = {
        "statusCode": 200,
        "run": {"id": run, **common, "executionMode": "native", "outcomeId": outcome},
        "outcome": {"id": outcome, **common, "executionMode": "native", "result": {"operation": operation}},
    }
    return JSONResponse({"service": service, "execution": execution})


async def _agent(ctx: Context, request: Request, body: Mapping[str, Any]) -> Document:
    """The pairing that acts, checked against what the body claims and against the machine's state."""
    if not ctx.switches.requirePairingAuth and HEADER not in request.headers:
        pairing = ctx.store.get("pairing", body.get("agentPairingId", ""))
        if pairing is None or pairing["status"] != "active":
            raise ApiError("AGENT_PAIRING_REQUIRED", "no active pairing for this call")
    else:
        pairing = authenticate(ctx, request)
    if body.get("machineId", pairing["machineId"]) != pairing["machineId"]:
        raise ApiError("AGENT_AUTH_INVALID", "the token is for another machine")
    if body.get("agentPairingId", pairing["id"]) != pairing["id"]:
        raise ApiError("AGENT_PAIRING_REQUIRED", "the token is for another pairing")
    await machine_proof.check_usable(ctx, _machine(ctx, pairing))
    return pairing


async def _optional_agent(ctx: Context, request: Request, machine_id: str | None) -> None:
    """A catalogue read is public to the platform, but a token that is sent must be good."""
    if HEADER in request.headers:
        await _agent(ctx, request, {} if machine_id is None else {"machineId": machine_id})


def _machine(ctx: Context, pairing: Document) -> Document:
    machine = ctx.store.get("machine", pairing["machineId"])
    assert machine is not None  # machines are archived, never deleted
    return machine


def _load(request: Request) -> Entry:
    service = SERVICES.get(request.path_params["service_id"])
    if service is None:
        raise not_found("service")
    return service


def _task(body: Mapping[str, Any]) -> Document:
    named = body.get("serviceType", "machine.commerce")
    service_type = _ALIASES.get(named, named)
    if service_type not in {service["serviceType"] for service in SERVICES.values()}:
        raise invalid("serviceType", f"unknown service type {named}")
    return {
        "serviceType": service_type,
        "operation": body.get("operation"),
        "region": body.get("region"),
        "requiredCapabilities": body.get("requiredCapabilities", []),
        "allowExternalHandoff": body.get("allowExternalHandoff", True),
        "requireNativeExecution": body.get("requireNativeExecution", False),
    }


def _fits(service: Entry, task: Mapping[str, Any]) -> bool:
    native = service["executionMode"] == "native"
    return (
        service["serviceType"] == task["serviceType"]
        and task["operation"] in (None, *service["operations"])
        and set(task["requiredCapabilities"]) <= set(service["capabilities"])
        and (native or (task["allowExternalHandoff"] and not task["requireNativeExecution"]))
    )


def _affordable(service: Entry, budget: Mapping[str, Any]) -> bool:
    most = budget.get("max") if budget.get("max") is not None else budget.get("amount")
    return most is None or PRICES[service["id"]] <= most


def _denial(ctx: Context, pairing: Document, service: Entry) -> str | None:
    """Why a service is out of bounds, or nothing. Deny wins over allow; an empty allow-list allows all."""
    policy = pairing["delegationPolicy"]
    if not _listed(service["skillKey"], policy["allowedSkillKeys"], policy["deniedSkillKeys"]):
        return f"the delegation policy does not allow skill {service['skillKey']}"
    if not _listed(service["id"], policy["allowedServiceIds"], policy["deniedServiceIds"]):
        return f"the delegation policy does not allow service {service['id']}"
    for ident in _machine(ctx, pairing)["policyIds"]:
        rules = ctx.store.get("policy", ident)
        if rules is None:
            continue
        if not _listed(service["skillKey"], rules["allowedSkillKeys"], rules["deniedSkillKeys"]):
            return f"machine policy {rules['name']} does not allow skill {service['skillKey']}"
        if service["executionMode"] != "native" and (rules["nativeOnly"] or not rules["handoffAllowed"]):
            return f"machine policy {rules['name']} allows native execution only"
    return None


def _listed(key: str, allowed: Sequence[str], denied: Sequence[str]) -> bool:
    return key not in denied and (not allowed or key in allowed)


def _spend(ctx: Context, pairing: Document, service: Entry) -> None:
    """Book the price of one call, within both limits. The day is the UTC day."""
    policy, price = pairing["delegationPolicy"], PRICES[service["id"]]
    each, daily = policy["perTransactionLimit"], policy["dailySpendLimit"]
    if (each is not None or daily is not None) and policy["currency"] not in (None, "USD"):
        raise ApiError("AGENT_POLICY_DENIED", f"the price is in USD, the limits in {policy['currency']}")
    if each is not None and price > each:
        raise ApiError("AGENT_SPEND_LIMIT_EXCEEDED", f"{price} USD is over the limit of {each} for one call")
    now = ctx.tick()
    ident = f"{pairing['id']}/{now[:10]}"
    account = ctx.store.get("spend", ident) or {"id": ident, "spent": 0}
    if daily is not None and account["spent"] + price > daily:
        raise ApiError("AGENT_DAILY_LIMIT_EXCEEDED", f"{account['spent']} of {daily} USD are spent today")
    ctx.store.put("spend", account | {"spent": account["spent"] + price})


def _quote(service: Entry, expires_ms: int) -> Document:
    price = PRICES[service["id"]]
    return {
        "id": new_id("quote"),
        **{
            name: service[name] for name in ("skillKey", "providerKey", "executionMode", "integrationStatus", "handoff")
        },
        "serviceId": service["id"],
        "operation": service["operations"][0],
        "score": 1,
        "reasons": ["serviceType"],
        "pricing": {"mode": "fixed", "amount": price, "currency": "USD", "rate": None, "notes": []},
        "payment": {
            "defaultRail": "offchain-record" if price else "not-required",
            "supportedRails": ["offchain-record"] if price else ["not-required"],
            "required": False,
            "notes": [],
        },
        "expiresAt": iso(expires_ms),
    }
