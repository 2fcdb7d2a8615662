"""What every Machine Markets handler shares: the context, routing, bodies, envelopes and paging."""

import base64
import binascii
import hmac
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.sandbox.config import SandboxConfig
from reconciler.sandbox.services.chainview import ChainView
from reconciler.sandbox.services.clock import iso
from reconciler.sandbox.services.errors import ApiError, invalid
from reconciler.sandbox.services.faults import Faults, Switches
from reconciler.sandbox.services.fields import Check, parse_object, read
from reconciler.sandbox.services.identity import Mcr
from reconciler.sandbox.services.store import Document, Store, new_id

DEFAULT_LIMIT = 100
MAX_LIMIT = 500


@dataclass(frozen=True)
class Context:
    config: SandboxConfig
    store: Store
    faults: Faults
    chain: ChainView
    mcr: Mcr

    @property
    def switches(self) -> Switches:
        return self.faults.switches

    def tick(self) -> str:
        return iso(self.store.clock.tick())

    def audit(self, event: str, resource: str, doc: Document, *, machine_id: str = "") -> None:
        """Remember who was touched. Never what a secret was."""
        record = {
            "id": new_id("evt"),
            "actor": "platform",
            "type": event,
            "resourceType": resource,
            "resourceId": doc["id"],
            "payload": {"machineId": machine_id} if machine_id else {},
            "createdAt": self.tick(),
        }
        self.store.put("audit", record, parent=machine_id)


Handler = Callable[[Context, Request], Awaitable[Response]]


def route(ctx: Context, method: str, path: str, handler: Handler, *, platform_key: bool = True) -> Route:
    async def endpoint(request: Request) -> Response:
        if platform_key:
            check_platform_key(ctx.config, request)
        return await handler(ctx, request)

    return Route(path, endpoint, methods=[method])


def check_platform_key(config: SandboxConfig, request: Request) -> None:
    if not config.api_key:
        return
    given = request.headers.get("x-api-key")
    if not given:
        raise ApiError("AUTH_REQUIRED", "x-api-key is required")
    if not hmac.compare_digest(given.encode(), config.api_key.encode()):
        raise ApiError("AUTH_INVALID", "x-api-key is not valid")


async def read_body(
    ctx: Context, request: Request, spec: Mapping[str, Check], required: Collection[str] = ()
) -> dict[str, Any]:
    raw = await request.body()
    if raw and not request.headers.get("content-type", "").startswith("application/json"):
        raise ApiError("VALIDATION_ERROR", "content-type must be application/json", status=415)
    body = parse_object(raw) if raw else {}
    return read(body, spec, required, unknown_ok=not ctx.switches.rejectUnknownFields)


def refuse_empty_json(switches: Switches, request: Request) -> None:
    """Fastify refuses a bodyless request that declares JSON; older official clients send exactly that."""
    headers = request.headers
    declared = headers.get("content-type", "").startswith("application/json")
    if not switches.strictFastify or not declared or request.method in ("GET", "HEAD"):
        return
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        raise ApiError("VALIDATION_ERROR", "Body cannot be empty when content-type is set to 'application/json'")


class Envelope(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


def item(doc: Mapping[str, Any], status: int = 200) -> Response:
    return Envelope({"item": doc}, status_code=status)


def deleted() -> Response:
    return Response(status_code=204)


@dataclass(frozen=True)
class PageRequest:
    scope: str
    limit: int
    after: int

    def response(self, numbered: Sequence[tuple[int, Mapping[str, Any]]]) -> Response:
        """One page of what was found, given one more than the page holds when there is more."""
        shown = numbered[: self.limit]
        body: dict[str, Any] = {"items": [doc for _, doc in shown]}
        if len(numbered) > self.limit:
            body["nextCursor"] = _cursor(self.scope, shown[-1][0])
        return Envelope(body)


def page_request(request: Request, scope: str) -> PageRequest:
    raw = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (raw.isascii() and raw.isdigit()) or not 1 <= int(raw) <= MAX_LIMIT:
        raise invalid("limit", f"must be an integer from 1 to {MAX_LIMIT}")
    cursor = request.query_params.get("cursor")
    return PageRequest(scope, int(raw), 0 if cursor is None else _position(scope, cursor))


def stored_page(
    ctx: Context, request: Request, kind: str, view: Callable[[Document], Document], *, parent: str | None = None
) -> Response:
    page = page_request(request, f"{kind}:{parent or ''}")
    rows = ctx.store.page(kind, page.after, page.limit + 1, parent=parent)
    return page.response([(row.seq, view(row.body)) for row in rows])


def fixed_page(request: Request, scope: str, docs: Sequence[Mapping[str, Any]]) -> Response:
    page = page_request(request, scope)
    return page.response(list(enumerate(docs, start=1))[page.after : page.after + page.limit + 1])


def _cursor(scope: str, position: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([scope, position]).encode()).decode().rstrip("=")


def _position(scope: str, cursor: str) -> int:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        owner, position = json.loads(base64.urlsafe_b64decode(padded.encode()))
    except (binascii.Error, ValueError, TypeError) as problem:
        raise invalid("cursor", "is not a cursor of this list") from problem
    if owner != scope or not isinstance(position, int):
        raise invalid("cursor", "is not a cursor of this list")
    return position
