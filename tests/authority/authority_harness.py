"""Servers that stand in for those of others: real HTTP on loopback, answers from a function."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[str, str, Any, Any], tuple[int, Any]]
"""From method, path, headers and body to status and body."""
Serve = Callable[[Answer], str]
"""Starts a server; gives its URL."""


def server_of(answer: Answer) -> ThreadingHTTPServer:
    """Running until it is shut down."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, body = answer(self.command, self.path, self.headers, json.loads(raw) if raw else None)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server
