"""The sandbox's HTTP side: /rpc, /sandbox/… and, under every other path, the services."""

import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.sandbox.control import Control
from reconciler.sandbox.errors import SandboxError
from reconciler.sandbox.faults import BadRule, Faults
from reconciler.sandbox.front import Drop, Front

RPC_FAULTS = "/sandbox/faults/rpc"
RPC_CALLS = "/sandbox/calls/rpc"
CONTROL = "/sandbox/control"
HEALTH = "/sandbox/health"


class Dispatcher:
    """Sends each request to the part that owns its path."""

    def __init__(self, rpc: ASGIApp, control: ASGIApp, services: ASGIApp) -> None:
        self._rpc = rpc
        self._control = control
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.rstrip("/") == "/rpc":
            await self._rpc(scope, receive, send)
        elif path in (RPC_FAULTS, RPC_CALLS, CONTROL, HEALTH):
            await self._control(scope, receive, send)
        else:
            await self._services(scope, receive, send)


class RpcApp:
    """The front as an ASGI app of its own: no framework between it and the connection it may have to drop."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] != "POST":
            await Response("POST only", 405)(scope, receive, send)
            return
        try:
            reply = await self._front.answer(await _body(receive))
        except Drop:
            # The server's own object behind `send` knows the connection.
            send.__self__.transport.abort()  # type: ignore[attr-defined]
            return
        await JSONResponse(reply.body, reply.status, reply.headers)(scope, receive, send)


class ControlApi:
    """Faults and calls of the RPC, operations on the chain, and whether all is up."""

    def __init__(self, control: Control, faults: Faults, front: Front, *, node_pid: int) -> None:
        self._control = control
        self._faults = faults
        self._front = front
        self._node_pid = node_pid

    def app(self) -> Starlette:
        """The routes."""
        return Starlette(
            routes=[
                Route(HEALTH, self._health),
                Route(RPC_FAULTS, self._set_faults, methods=["GET", "POST", "DELETE"]),
                Route(RPC_CALLS, self._calls),
                Route(CONTROL, self._operate, methods=["POST"]),
            ]
        )

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "nodePid": self._node_pid})

    async def _set_faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._faults.reset()
        if request.method == "POST":
            try:
                self._faults.add(await _json(request))
            except BadRule as error:
                return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(self._faults.show())

    async def _calls(self, _: Request) -> Response:
        return JSONResponse({"requests": self._front.requests, "calls": dict(self._front.calls)})

    async def _operate(self, request: Request) -> Response:
        try:
            return JSONResponse(await self._control.run(await _json(request)))
        except SandboxError as error:
            return JSONResponse({"error": error.message, "hint": error.hint}, 400)


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
