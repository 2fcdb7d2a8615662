"""The little of the APIs of GitHub and GitLab by which comments and issues are kept: real HTTP, kept in memory."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOT, STRANGER = "github-actions[bot]", "mallory"
Item = dict[str, Any]


@dataclass
class ForgeDouble:
    """Items by the path of their list. What is created is written by `BOT`."""

    url: str = ""
    lists: dict[str, list[Item]] = field(default_factory=dict)
    objects: dict[str, Item] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    writes: list[str] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))

    def add(self, path: str, author: str = BOT, **body: Any) -> Item:
        number = next(self.numbers)
        who = {"user": {"login": author}, "author": {"id": 1 if author == BOT else 2}}
        item = {"id": number, "number": number, "iid": number, "state": "open", **who, **body}
        self.lists.setdefault(path, []).append(item)
        return item

    def answer(self, method: str, target: str, body: Item | None) -> tuple[int, Any]:
        parts = urlsplit(target)
        path, query = parts.path.strip("/"), parse_qs(parts.query)
        if path.startswith("redirect/"):
            return 302, f"{self.url}/elsewhere"
        if method != "GET":
            self.writes.append(f"{method} {path}")
        if method == "POST":
            return 201, self.add(path, **(body or {}))
        if path in self.objects:
            return 200, self.objects[path]
        if method == "GET":
            return 200, self._page(path, query)
        item = self._find(path)
        if item is None:
            return 404, {}
        item.update(body or {})
        item["state"] = {"close": "closed"}.get(str((body or {}).get("state_event")), item["state"])
        return 200, item

    def _page(self, path: str, query: dict[str, list[str]]) -> list[Item]:
        size, number = int(query["per_page"][0]), int(query["page"][0])
        found = self.lists.get(path, [])
        if "state" in query:
            found = [item for item in found if item["state"][:4] == query["state"][0][:4]]
        if "head" in query:
            found = [item for item in found if item["head"]["label"] == query["head"][0]]
        return found[(number - 1) * size : number * size]

    def _find(self, path: str) -> Item | None:
        """An item by its own path; comments of GitHub's have one beside the issue that they are about."""
        place, _, number = path.rpartition("/")
        for name, items in self.lists.items():
            if name == place or (place.endswith("issues/comments") and name.endswith("/comments")):
                for item in items:
                    if str(item["number"]) == number:
                        return item
        return None


@contextmanager
def forge_double() -> Iterator[ForgeDouble]:
    double = ForgeDouble()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            double.tokens.add(self.headers.get("authorization") or self.headers.get("private-token") or "")
            status, body = double.answer(self.command, self.path, json.loads(raw) if raw else None)
            content = json.dumps(body).encode()
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("location", str(body))
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = _serve

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
