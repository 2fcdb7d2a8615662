"""The services' line to the node: many questions at one time are few requests, and each gets its own answer."""

import asyncio
import json

import pytest

from reconciler.sandbox.services.line import Line


class Node:
    """Answers each call with its own method, after a while; `broken` ones with no JSON."""

    def __init__(self) -> None:
        self.requests = 0
        self.broken = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).lower():
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            calls = json.loads(await reader.readexactly(length))
            self.requests += 1
            await asyncio.sleep(0.02)
            # A batch may be answered in any order.
            answers = [{"id": call["id"], "result": call["method"]} for call in reversed(calls)]
            body = b"?" if self.broken else json.dumps(answers).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


async def test_what_is_asked_meanwhile_goes_along_with_the_next_request() -> None:
    node = Node()
    server = await asyncio.start_server(node.serve, "127.0.0.1", 0)
    line = Line(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    async def ask(number: int) -> None:
        await asyncio.sleep(number * 0.0005)
        assert (await line.ask((f"m{number}", [])))["result"] == f"m{number}"

    await asyncio.gather(*map(ask, range(100)))
    assert node.requests < 20
    node.broken = True
    with pytest.raises(ValueError):
        await line.ask(("m", []))
    node.broken = False
    assert (await line.ask(("again", [])))["result"] == "again"
    server.close()
