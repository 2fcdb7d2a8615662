"""Health, readiness and the audit trail."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.services.chainview import ChainUnavailable
from reconciler.sandbox.services.web import Context, page_request, route


def routes(ctx: Context) -> list[Route]:
    return [
        route(ctx, "GET", "/health", health, platform_key=False),
        route(ctx, "GET", "/readiness", readiness, platform_key=False),
        route(ctx, "GET", "/audit-events", audit_events),
    ]


async def health(ctx: Context, request: Request) -> Response:
    return JSONResponse({"ok": True})


async def readiness(ctx: Context, request: Request) -> Response:
    try:
        ctx.mcr.check_available()
        problem = await ctx.chain.problem()
    except ChainUnavailable as unavailable:
        problem = str(unavailable)
    checks = [{"name": "store", "status": "pass"}, {"name": "mcr", "status": "fail" if problem else "pass"}]
    if problem:
        checks[1]["message"] = problem
    return JSONResponse({"status": "not_ready" if problem else "ready", "checks": checks})


async def audit_events(ctx: Context, request: Request) -> Response:
    """Newest first, as a log is read; there is no cursor here."""
    page = page_request(request, "audit")
    kind = request.query_params.get("resourceType")
    events = ctx.store.every("audit", parent=request.query_params.get("machineId"))
    found = [event for event in events if kind in (None, event["resourceType"])]
    return JSONResponse({"items": found[::-1][: page.limit]})
