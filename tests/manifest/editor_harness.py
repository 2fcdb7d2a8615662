"""The real YAML language server, as editors run it, asked over its standard input."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.sandbox.toolchain import node_command, npm_package

SERVER = ("yaml-language-server", "1.25.0")
SETTINGS = {"yaml": {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}}
Message = dict[str, Any]


class Editor:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._asked = 0
        self.request("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self._send({"method": "initialized", "params": {}})
        self._send({"method": "workspace/didChangeConfiguration", "params": {"settings": SETTINGS}})

    def diagnostics(self, path: Path, text: str) -> list[tuple[int, str]]:
        """Opens a file: the line of each red mark, from 1, and what it says."""
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        while True:
            message = self._next()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == path.as_uri():
                return [(d["range"]["start"]["line"] + 1, d["message"]) for d in message["params"]["diagnostics"]]

    def hover(self, path: Path, line: int, column: int) -> str:
        found = self.request("textDocument/hover", _at(path, line, column))
        return str(found["contents"]["value"]) if found else ""

    def completions(self, path: Path, line: int, column: int) -> list[str]:
        found = self.request("textDocument/completion", _at(path, line, column))
        return [item["label"] for item in found["items"]]

    def request(self, method: str, params: Message) -> Any:
        self._asked += 1
        self._send({"id": self._asked, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == self._asked and "method" not in message:
                return message.get("result")

    def _next(self) -> Message:
        """The next message, once what the server itself asks is answered."""
        output = self._process.stdout
        assert output is not None
        length = 0
        while (header := output.readline()).strip():
            if header.lower().startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        assert length, "the language server ended"
        message: Message = json.loads(output.read(length))
        if "id" in message and "method" in message:
            asked = message["params"].get("items", []) if message["method"] == "workspace/configuration" else []
            answer = [SETTINGS.get(item.get("section", ""), {}) for item in asked]
            self._send({"id": message["id"], "result": answer if asked else None})
        return message

    def _send(self, message: Message) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()


def _at(path: Path, line: int, column: int) -> Message:
    return {"textDocument": {"uri": path.as_uri()}, "position": {"line": line - 1, "character": column - 1}}


@contextmanager
def editor() -> Iterator[Editor]:
    """A running server; installed once into the user's cache, like the dev node."""
    name, version = SERVER
    script = npm_package(name, version) / "node_modules" / name / "bin" / name
    with subprocess.Popen(
        [*node_command(), str(script), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield Editor(process)
        finally:
            process.kill()
