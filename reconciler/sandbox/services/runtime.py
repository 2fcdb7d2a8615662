"""What runs on a machine: its runtime endpoints and the runtime agents that report them."""

import secrets
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.sandbox.services import machine_proof, machines
from reconciler.sandbox.services.clock import iso
from reconciler.sandbox.services.errors import ApiError, invalid, not_found
from reconciler.sandbox.services.fields import Check, nested, non_blank, nullable, one_of, strings, text
from reconciler.sandbox.services.store import Document, new_id
from reconciler.sandbox.services.web import Context, deleted, item, read_body, route, stored_page

_LEASE_SECONDS = 120


def _base_url(name: str, value: Any) -> str:
    """Scheme, host and port. Path, query and fragment are dropped."""
    try:
        parts = urlsplit(text(name, value))
        port = parts.port
    except ValueError as problem:
        raise invalid(name, "is not a URL") from problem
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise invalid(name, "must be an http or https URL without credentials")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def _path(name: str, value: Any) -> str:
    if not non_blank(name, value).startswith("/"):
        raise invalid(name, "must start with /")
    return str(value)


_ENDPOINT: dict[str, Check] = {
    "endpointBaseUrl": _base_url,
    "label": text,
    "authType": one_of("none", "api-key", "bearer"),
    "authToken": text,
    "modelAlias": nullable(text),
    "networkScope": one_of("loopback", "lan", "vpn", "public"),
    "probePath": _path,
    "status": one_of("active", "degraded", "unreachable"),
    "leaseExpiresAt": nullable(text),
}


def _endpoints(name: str, value: Any) -> list[Document]:
    """What an agent reports. Official clients send these keys in snake case, and an absent option as null."""
    check = nested({**_ENDPOINT, "providerKey": non_blank}, ("providerKey", "endpointBaseUrl"))
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise invalid(name, "must be an array of objects")
    return [
        check(f"{name}[{index}]", {_camel(key): item for key, item in one.items() if item is not None})
        for index, one in enumerate(value)
    ]


def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _seconds(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 86400:
        raise invalid(name, "must be an integer from 1 to 86400")
    return value


_HEARTBEAT: dict[str, Check] = {
    "machineId": non_blank,
    "agentId": non_blank,
    "agentToken": non_blank,
    "endpoints": _endpoints,
    "leaseTtlSeconds": nullable(_seconds),
}


def routes(ctx: Context) -> list[Route]:
    endpoints = "/machines/{machine_id}/runtime-endpoints"
    agents = "/machines/{machine_id}/agents"
    return [
        route(ctx, "GET", endpoints, index),
        route(ctx, "GET", endpoints + "/{provider_key}", show),
        route(ctx, "PUT", endpoints + "/{provider_key}", put),
        route(ctx, "DELETE", endpoints + "/{provider_key}", remove),
        route(ctx, "GET", agents, list_agents),
        route(ctx, "POST", f"{agents}/enrollment", enroll),
        route(ctx, "DELETE", agents + "/{agent_id}", revoke_agent),
        route(ctx, "POST", "/machine-agents/heartbeat", heartbeat, platform_key=False),
    ]


async def index(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    return stored_page(ctx, request, "endpoint", _view, parent=machine["id"])


async def show(ctx: Context, request: Request) -> Response:
    machines.load(ctx, request)
    return item(_view(_load(ctx, request)))


async def put(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    body = await read_body(ctx, request, _ENDPOINT, ("endpointBaseUrl",))
    if body.get("authType", "none") != "none" and not body.get("authToken"):
        raise invalid("authToken", "required with this authType")
    await machine_proof.check_usable(ctx, machine)
    endpoint, status = _write(ctx, machine["id"], _provider(request), body, {"source": "manual", "agentId": None})
    ctx.audit("runtime-endpoint.put", "runtime-endpoint", endpoint, machine_id=machine["id"])
    return item(_view(endpoint), status)


async def remove(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    endpoint = _load(ctx, request)
    await machine_proof.check_usable(ctx, machine)
    ctx.store.remove("endpoint", endpoint["id"])
    ctx.audit("runtime-endpoint.deleted", "runtime-endpoint", endpoint, machine_id=machine["id"])
    return deleted()


async def list_agents(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    return stored_page(ctx, request, "agent", _without_token, parent=machine["id"])


async def enroll(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    body = await read_body(ctx, request, {"label": text, "allowedProviderKeys": strings})
    await machine_proof.check_usable(ctx, machine)
    written = ctx.tick()
    agent = {
        "id": new_id("agent"),
        "machineId": machine["id"],
        "label": body.get("label", "Runtime agent"),
        "allowedProviderKeys": body.get("allowedProviderKeys", ["qvac"]),
        "status": "provisioned",
        "lastSeenAt": None,
        "token": secrets.token_urlsafe(24),
        "createdAt": written,
        "updatedAt": written,
    }
    ctx.store.put("agent", agent, parent=machine["id"], natural=agent["token"])
    ctx.audit("machine-agent.enrolled", "machine-agent", agent, machine_id=machine["id"])
    return item({**_without_token(agent), "provisioningToken": agent["token"]}, 201)


async def revoke_agent(ctx: Context, request: Request) -> Response:
    machine = machines.load(ctx, request)
    agent = ctx.store.get("agent", request.path_params["agent_id"])
    if agent is None or agent["machineId"] != machine["id"]:
        raise not_found("machine agent")
    ctx.store.put("agent", agent | {"status": "revoked", "updatedAt": ctx.tick()})
    return deleted()


async def heartbeat(ctx: Context, request: Request) -> Response:
    body = await read_body(ctx, request, _HEARTBEAT, ("machineId", "agentId", "agentToken", "endpoints"))
    agent = next(iter(ctx.store.find("agent", body["agentToken"])), None)
    named = None if agent is None else (agent["machineId"], agent["id"])
    if agent is None or agent["status"] == "revoked" or named != (body["machineId"], body["agentId"]):
        raise ApiError("AGENT_AUTH_INVALID", "agentToken is not valid")
    lease = body.get("leaseTtlSeconds") or _LEASE_SECONDS
    now = ctx.store.clock.tick()
    expires = iso(now + lease * 1000)
    reported = []
    for endpoint in body["endpoints"]:
        provider = endpoint.pop("providerKey").lower()
        if provider not in agent["allowedProviderKeys"]:
            raise invalid("endpoints", f"this agent may not report {provider}")
        origin = {"source": "agent", "agentId": agent["id"]}
        written, _ = _write(ctx, agent["machineId"], provider, endpoint | {"leaseExpiresAt": expires}, origin)
        reported.append(
            {name: written[name] for name in ("providerKey", "endpointBaseUrl", "status", "leaseExpiresAt")}
        )
    ctx.store.put("agent", agent | {"status": "active", "lastSeenAt": iso(now), "updatedAt": iso(now)})
    return item(
        {
            "machineId": agent["machineId"],
            "agentId": agent["id"],
            "leaseTtlSeconds": lease,
            "observedAt": iso(now),
            "endpoints": reported,
        }
    )


def _write(ctx: Context, machine_id: str, provider: str, body: Document, origin: Document) -> tuple[Document, int]:
    """PUT replaces the whole endpoint; only its id and birth stay."""
    found = ctx.store.find("endpoint", f"{machine_id}/{provider}")
    written = ctx.tick()
    endpoint = {
        "id": found[0]["id"] if found else new_id("rte"),
        "machineId": machine_id,
        "providerKey": provider,
        "label": provider,
        "authType": "none",
        "authToken": None,
        "modelAlias": None,
        "networkScope": "loopback",
        "probePath": "/v1/models" if provider == "qvac" else "/health",
        "status": "active",
        "leaseExpiresAt": None,
        "lastCheckedAt": None,
        "lastHealthyAt": None,
        **body,
        **origin,
        "createdAt": found[0]["createdAt"] if found else written,
        "updatedAt": written,
    }
    ctx.store.put("endpoint", endpoint, parent=machine_id, natural=f"{machine_id}/{provider}")
    return endpoint, 200 if found else 201


def _provider(request: Request) -> str:
    return str(request.path_params["provider_key"]).lower()


def _load(ctx: Context, request: Request) -> Document:
    found = ctx.store.find("endpoint", f"{request.path_params['machine_id']}/{_provider(request)}")
    if not found:
        raise not_found("runtime endpoint")
    return found[0]


def _view(endpoint: Document) -> Document:
    shown = {name: value for name, value in endpoint.items() if name != "authToken"}
    return {**shown, "hasAuthToken": bool(endpoint["authToken"])}


def _without_token(agent: Document) -> Document:
    return {name: value for name, value in agent.items() if name != "token"}
