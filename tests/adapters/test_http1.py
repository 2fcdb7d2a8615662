"""Connections of HTTP/1.1 against servers that answer byte by byte as they are told."""

import asyncio
import contextlib
import gzip
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import httpx
import pytest

from reconciler.adapters import http1
from reconciler.adapters.connections import Connections
from reconciler.adapters.exchange import TooMuch
from reconciler.adapters.http_api import HttpApi
from reconciler.adapters.room import BEGIN, MOST
from reconciler.core.errors import Ambiguous, Unreachable

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
HANG_UP, RESET, SILENCE = b"(hang up)", b"(reset)", b"(silence)"


class Script:
    """A server that says what it is told to, piece by piece, to one request after the other."""

    def __init__(self, *answers: Sequence[bytes]) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = self.most = 0
        """Requests that wait for their answer, and how many have at once."""
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                self.requests.append(head + await reader.readexactly(int(length or 0)))
                self.open += 1
                self.most = max(self.most, self.open)
                await asyncio.sleep(0.02)
                self.open -= 1
                for piece in self.answers.pop(0) if self.answers else (OK,):
                    if piece == HANG_UP:
                        writer.close()
                        return
                    if piece == RESET:
                        at_once = struct.pack("ii", 1, 0)
                        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                        writer.transport.abort()
                        return
                    if piece == SILENCE:
                        await asyncio.sleep(30)
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.001)


Begin = Callable[..., Awaitable[Script]]


@pytest.fixture
async def serve() -> AsyncIterator[Begin]:
    async with contextlib.AsyncExitStack() as stack:

        async def begin(*answers: Sequence[bytes]) -> Script:
            script = Script(*answers)
            server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
            stack.callback(server.close)
            script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return script

        yield begin


@contextlib.asynccontextmanager
async def connected(base: str, seconds: float = 5.0, longest: int = 1000) -> AsyncIterator[Connections]:
    lines = Connections(base, headers={"x-api-key": "k" * 12}, seconds=seconds, longest=longest)
    yield lines
    await lines.aclose()


async def test_a_connection_is_kept_and_carries_one_request_after_the_other(serve: Begin) -> None:
    script = await serve()
    async with connected(f"{script.url}/api/v1/") as lines:
        for number in range(5):
            assert (await lines.exchange("GET", f"/machines?limit={number}")).content == b"{}"
        await lines.exchange("POST", "/machines", b'{"a":1}')
        await lines.exchange("DELETE", "/machines/7")
    assert script.connections == 1
    host = script.url.removeprefix("http://").encode()
    assert script.requests[3].startswith(b"GET /api/v1/machines?limit=3 HTTP/1.1\r\nHost: " + host + b"\r\n")
    assert b"\r\nx-api-key: kkkkkkkkkkkk\r\n" in script.requests[3]
    assert b"content-" not in script.requests[3].lower()
    assert b"\r\ncontent-type: application/json\r\n" in script.requests[5]
    assert script.requests[5].endswith(b'\r\n\r\n{"a":1}')
    assert b"content-type" not in script.requests[6].lower()


async def test_many_ask_over_no_more_connections_than_there_is_room_for(serve: Begin) -> None:
    script = await serve()
    async with connected(script.url) as lines:
        await asyncio.gather(*(lines.exchange("GET", "/") for _ in range(5 * MOST)))
    assert 1 < script.connections <= MOST
    assert len(script.requests) == 5 * MOST


async def test_a_service_that_has_enough_gets_half_as_many_at_once(serve: Begin) -> None:
    refusal = b"HTTP/1.1 429 Enough\r\ncontent-length: 0\r\n\r\n"
    script = await serve(*[[refusal]] * BEGIN)
    async with connected(script.url) as lines:
        found = await asyncio.gather(*(lines.exchange("GET", "/") for _ in range(BEGIN)))
        assert {reply.status for reply in found} == {429}
        script.most = 0
        await asyncio.gather(*(lines.exchange("GET", "/") for _ in range(BEGIN)))
    assert script.most == BEGIN // 2


async def test_who_is_in_the_url_is_told_as_the_standard_says(serve: Begin) -> None:
    script = await serve()
    async with connected(script.url.replace("//", "//al:pass%20word@")) as lines:
        await lines.exchange("GET", "/")
    assert b"\r\nAuthorization: Basic YWw6cGFzcyB3b3Jk\r\n" in script.requests[0]
    assert b"pass%20word" not in script.requests[0]


CONTENT = b'{"items": []}'
PACKED = gzip.compress(CONTENT)
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n"
READABLE = {
    "in pieces": [SIZED[:20], SIZED[20:], CONTENT[:4], CONTENT[4:]],
    "in chunks": [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"d\r\n" + CONTENT + b"\r\n0\r\n\r\n"],
    "until it hangs up": [b"HTTP/1.1 200 OK\r\n\r\n", CONTENT, HANG_UP],
    "after an early hint": [b"HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n", SIZED, CONTENT],
    "packed": [b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(PACKED), PACKED],
}


@pytest.mark.parametrize("name", READABLE)
async def test_every_way_to_say_it_is_understood(serve: Begin, name: str) -> None:
    script = await serve(READABLE[name], [OK])
    async with connected(script.url) as lines:
        reply = await lines.exchange("GET", "/")
        assert (reply.status, reply.content) == (200, CONTENT)
        assert "link" not in reply.headers
        assert (await lines.exchange("GET", "/")).content == b"{}"


UNREADABLE = {
    "hangs up before": ([HANG_UP], httpx.RemoteProtocolError),
    "hangs up within": ([b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{", HANG_UP], httpx.RemoteProtocolError),
    "hangs up within a chunk": (
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\n{", HANG_UP],
        httpx.RemoteProtocolError,
    ),
    "is no HTTP": ([b"SSH-2.0-OpenSSH_9.6\r\n"], httpx.RemoteProtocolError),
    "switches protocols": (
        [b"HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"],
        httpx.RemoteProtocolError,
    ),
    "is silent": ([SILENCE], httpx.ReadTimeout),
    "falls silent": ([b"HTTP/1.1 200 OK\r\n", SILENCE], httpx.ReadTimeout),
    "is long": ([b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001], TooMuch),
    "has a head without end": (
        [b"HTTP/1.1 200 OK\r\nx: " + b"y" * 50_000] + [b"y" * 20_000] * 5,
        httpx.RemoteProtocolError,
    ),
    "is packed and long": (
        [b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", gzip.compress(bytes(1001)), HANG_UP],
        TooMuch,
    ),
    "is packed otherwise": (
        [b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx"],
        httpx.RemoteProtocolError,
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_goes_wrong_ends_the_exchange_and_the_connection(serve: Begin, name: str) -> None:
    pieces, error = UNREADABLE[name]
    script = await serve(pieces, [OK])
    async with connected(script.url, seconds=1.0) as lines:
        with pytest.raises(error):
            await lines.exchange("GET", "/")
        assert (await lines.exchange("GET", "/")).content == b"{}"
    assert script.connections == 2
    assert len(script.requests) == 2


async def test_a_drip_ends_after_a_while(serve: Begin) -> None:
    script = await serve([b"HTTP/1.1 200 OK\r\n\r\n", *[b" "] * 100_000])
    began = asyncio.get_running_loop().time()
    async with connected(script.url, seconds=0.1, longest=10**6) as lines:
        with pytest.raises(httpx.ReadTimeout):
            await lines.exchange("GET", "/")
    assert asyncio.get_running_loop().time() - began < 2


HALVES = {
    "breaks off": [b"HTTP/1.1 200 OK\r\n\r\n", b'{"item": {"a": 1', RESET],
    "is packed by half": [b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", gzip.compress(CONTENT)[:-9], HANG_UP],
}


@pytest.mark.parametrize("name", HALVES)
async def test_half_an_answer_is_none(serve: Begin, name: str) -> None:
    script = await serve(HALVES[name])
    api = HttpApi("Machine Markets", script.url)
    with pytest.raises(Ambiguous):
        await api.send("POST", ("machines",), {})
    await api.aclose()


@pytest.mark.parametrize("surplus", [OK.replace(b"{}", b"[]"), b"HTTP/1.1 200 OK\r\n", b"\0"])
async def test_what_comes_behind_an_answer_is_none_to_the_next(serve: Begin, surplus: bytes) -> None:
    script = await serve([OK + surplus], [OK])
    async with connected(script.url) as lines:
        with contextlib.suppress(httpx.RemoteProtocolError):
            assert (await lines.exchange("GET", "/")).content == b"{}"
        await asyncio.sleep(0.05)
        with contextlib.suppress(httpx.RemoteProtocolError):
            assert (await lines.exchange("GET", "/")).content == b"{}"


async def test_who_is_cancelled_leaves_no_answer_behind(serve: Begin) -> None:
    script = await serve([b"HTTP/1.1 200 OK\r\n", SILENCE], [OK])
    async with connected(script.url) as lines:
        asking = asyncio.ensure_future(lines.exchange("GET", "/"))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await lines.exchange("GET", "/")).content == b"{}"
    assert script.connections == 2


async def test_a_connection_that_was_closed_meanwhile_is_made_again(serve: Begin) -> None:
    script = await serve([OK, HANG_UP], [b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"], [OK])
    async with connected(script.url) as lines:
        for _ in range(3):
            await lines.exchange("POST", "/", b"{}")
            await asyncio.sleep(0.02)
    assert script.connections == 3
    assert len(script.requests) == 3


async def test_an_old_connection_is_not_trusted(serve: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    script = await serve()
    monkeypatch.setattr(http1, "IDLE", 0.01)
    async with connected(script.url) as lines:
        await lines.exchange("POST", "/", b"{}")
        await asyncio.sleep(0.05)
        await lines.exchange("POST", "/", b"{}")
    assert script.connections == 2


async def test_a_write_is_sent_once_whatever_becomes_of_it(serve: Begin) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        script = await serve([OK.replace(b"{}", b'{"item":{}}').replace(b": 2", b": 11")], [HANG_UP])
        api = HttpApi("Machine Markets", script.url)
        await api.send("POST", ("machines",), {})
        with pytest.raises(Ambiguous, match="outcome is unknown"):
            await api.send(method, ("machines", "1"), {})
        assert len(script.requests) == 2
        await api.aclose()


async def test_nobody_there_is_no_write_at_all(serve: Begin) -> None:
    async def at_once(_: float) -> None: ...

    api = HttpApi("Machine Markets", "http://127.0.0.1:1", sleep=at_once)
    with pytest.raises(Unreachable, match="ConnectError"):
        await api.send("POST", ("machines",), {})
    await api.aclose()
