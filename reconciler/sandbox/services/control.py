"""The sandbox's own door: fault switches, fault rules, and machine states only the platform can set."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.services.errors import ApiError, invalid, not_found
from reconciler.sandbox.services.fields import parse_object
from reconciler.sandbox.services.machines import STATUSES
from reconciler.sandbox.services.web import Context

PATH = "/sandbox/faults/services"
CALLS = "/sandbox/calls/services"


def routes(ctx: Context) -> list[Route]:
    async def show(request: Request) -> Response:
        return JSONResponse(ctx.faults.describe())

    async def change(request: Request) -> Response:
        try:
            _change(ctx, parse_object(await request.body() or b"{}"))
        except ApiError as problem:
            return problem.response()
        return JSONResponse(ctx.faults.describe())

    async def reset(request: Request) -> Response:
        ctx.faults.reset()
        return JSONResponse(ctx.faults.describe())

    async def calls(request: Request) -> Response:
        return JSONResponse({"calls": dict(ctx.faults.calls), "cpuSeconds": time.process_time()})

    return [
        Route(CALLS, calls),
        Route(PATH, show, methods=["GET"]),
        Route(PATH, change, methods=["POST"]),
        Route(PATH, reset, methods=["DELETE"]),
    ]


def _change(ctx: Context, body: dict[str, Any]) -> None:
    parts: dict[str, Any] = {"switches": {}, "rules": [], "machineStatus": {}}
    for name, value in body.items():
        if name not in parts:
            raise invalid(name, "unknown field")
        if type(value) is not type(parts[name]):
            raise invalid(name, "has the wrong type")
        parts[name] = value
    statuses: dict[str, Any] = parts["machineStatus"]
    for ident, status in statuses.items():
        if ctx.store.get("machine", ident) is None:
            raise not_found(f"machine {ident}")
        if status not in STATUSES:
            raise invalid(f"machineStatus.{ident}", f"must be one of {', '.join(STATUSES)}")
    ctx.faults.apply(parts["switches"], parts["rules"])
    for ident, status in statuses.items():
        machine = ctx.store.get("machine", ident) or {}
        ctx.store.put("machine", machine | {"status": status, "updatedAt": ctx.tick()})
