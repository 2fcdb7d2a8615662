"""Puts the services together as one application."""

from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.sandbox.config import SandboxConfig
from reconciler.sandbox.services import (
    control,
    machines,
    market,
    observability,
    pairings,
    policies,
    runtime,
    skills,
)
from reconciler.sandbox.services.chainview import ChainView, RpcChain
from reconciler.sandbox.services.errors import ApiError
from reconciler.sandbox.services.faults import FaultLayer, Faults
from reconciler.sandbox.services.gas_station import GasStation
from reconciler.sandbox.services.identity import Mcr
from reconciler.sandbox.services.mcr import McrApi
from reconciler.sandbox.services.store import Store
from reconciler.sandbox.services.web import Context, refuse_empty_json

PREFIX = "/api/v1"


def build_services(config: SandboxConfig, chain: ChainView | None = None) -> Starlette:
    """Machine Markets under /markets, MCR under /mcr, the Gas Station under /gas-station, faults beside them."""
    view = RpcChain(config) if chain is None else chain
    faults = Faults()
    ctx = Context(config, Store(config.directory / "services.db"), faults, view, Mcr(view, faults))
    return Starlette(
        routes=[
            Mount("/markets", _markets(ctx)),
            Mount("/mcr", McrApi(ctx).app()),
            Mount("/gas-station", GasStation(ctx).app()),
            *control.routes(ctx),
        ],
        middleware=[Middleware(FaultLayer, faults=faults)],
        exception_handlers=_ERRORS,
    )


def _markets(ctx: Context) -> Starlette:
    modules = (observability, machines, pairings, policies, skills, runtime, market)
    api: list[BaseRoute] = [route for module in modules for route in module.routes(ctx)]
    root: list[BaseRoute] = [Mount(PREFIX, routes=api), Route("/health", _health)]
    return Starlette(routes=root, middleware=[Middleware(_EmptyJson, ctx=ctx)], exception_handlers=_ERRORS)


class _EmptyJson:
    """Refuses, when switched on, what the real server's body parser refuses before any handler."""

    def __init__(self, app: ASGIApp, ctx: Context) -> None:
        self._app = app
        self._ctx = ctx

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                refuse_empty_json(self._ctx.switches, Request(scope))
            except ApiError as problem:
                return await problem.response()(scope, receive, send)
        return await self._app(scope, receive, send)


async def _health(request: Request) -> Response:
    return JSONResponse({"ok": True})


async def _api_error(request: Request, problem: ApiError) -> Response:
    return problem.response()


async def _http_error(request: Request, problem: HTTPException) -> Response:
    return ApiError("NOT_FOUND", f"no route for {request.method} {request.url.path}").response()


_ERRORS: Mapping[Any, Any] = {ApiError: _api_error, HTTPException: _http_error}
