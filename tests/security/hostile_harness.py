"""Real servers that mean no good: Starlette and uvicorn on loopback, in a thread, as the sandbox runs them."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

Answer = Callable[[Request], Awaitable[Response]]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
CHUNK = b" " * 65_536


@dataclass
class Served:
    url: str
    server: uvicorn.Server
    thread: threading.Thread

    def stop(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(5)


def served(answer: Answer) -> Served:
    async def endpoint(request: Request) -> Response:
        return await answer(request)

    app = Starlette(routes=[Route("/{path:path}", endpoint, methods=METHODS)])
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    return Served(f"http://127.0.0.1:{listening.getsockname()[1]}", server, thread)


def saying(body: Any, status: int = 200, **headers: str) -> Answer:
    """Always the same: JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(_: Request) -> Response:
        return Response(content, status, {"content-type": "application/json", **headers})

    return answer


@dataclass
class Hose:
    """An answer that does not end: `sent` counts its bytes. With a pause it drips one byte at a time."""

    pause: float = 0.0
    sent: int = 0
    asked: int = 0

    async def __call__(self, _: Request) -> Response:
        self.asked += 1
        return StreamingResponse(self._flow(), media_type="application/json")

    async def _flow(self) -> AsyncIterator[bytes]:
        while True:
            chunk = b" " if self.pause else CHUNK
            self.sent += len(chunk)
            yield chunk
            await asyncio.sleep(self.pause)


@dataclass
class Pass:
    """Hands requests on to the real service, and lets `twist` change what comes back."""

    behind: str
    twist: Callable[[Request, int, Any], tuple[int, Any]]
    seen: list[tuple[str, str, Any]] = field(default_factory=list)
    fixed: bool = False
    """Everything goes to one address, whatever path and query were asked for."""
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=30, trust_env=False))

    async def __call__(self, request: Request) -> Response:
        body = await request.body()
        self.seen.append((request.method, request.url.path, json.loads(body) if body else None))
        headers = {name: value for name, value in request.headers.items() if name in ("x-api-key", "content-type")}
        url = self.behind if self.fixed else f"{self.behind}{request.url.path}?{request.url.query}"
        answer = await self.http.request(request.method, url, content=body, headers=headers)
        status, content = self.twist(request, answer.status_code, answer.json() if answer.content else None)
        return Response(json.dumps(content).encode() if content is not None else b"", status)
