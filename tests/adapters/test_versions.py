"""HTTP/2 where a service offers it, 1.1 where not, and neither where its certificate is not trusted: over real TLS."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypercorn.asyncio import serve as hypercorn
from hypercorn.config import Config

from reconciler.adapters import tls
from reconciler.adapters.http_api import HttpApi
from reconciler.adapters.room import MOST
from reconciler.adapters.rpc import Rpc
from reconciler.core.errors import Unreachable

AUTHORITY = trustme.CA()


@dataclass
class Service:
    """Says to each request which version it came in, over how many connections so far."""

    url: str = ""
    peers: set[Any] = field(default_factory=set)
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        self.peers.add(scope["client"])
        self.seen.append((scope["http_version"], scope["method"], body + message["body"]))
        said = {"item": {"version": scope["http_version"]}, "items": [], "id": 1, "result": "0x1"}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(said).encode()})


@pytest.fixture(autouse=True)
def trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As users tell whom to trust; what was read before is forgotten."""
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    _forget()
    yield
    _forget()


def _forget() -> None:
    tls.trusted.cache_clear()
    tls.offering.cache_clear()


Begin = Callable[..., Awaitable[Service]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Begin]:
    async with contextlib.AsyncExitStack() as stack:

        async def begin(*versions: str, host: str = "127.0.0.1") -> Service:
            service, config, ended = Service(), Config(), asyncio.Event()
            certificate = AUTHORITY.issue_cert(host)
            certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
            certificate.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
            config.keyfile, config.certfile = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
            listening = socket.create_server(("127.0.0.1", 0))
            config.bind, config.alpn_protocols = [f"fd://{listening.fileno()}"], list(versions)
            config.errorlog = config.accesslog = None
            service.url = f"https://127.0.0.1:{listening.getsockname()[1]}"
            running = asyncio.ensure_future(hypercorn(service, config, shutdown_trigger=ended.wait))
            stack.push_async_callback(asyncio.wait, [running])
            stack.callback(ended.set)
            stack.callback(listening.detach)
            return service

        yield begin


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def markets(service: Service) -> AsyncIterator[HttpApi]:
    api = HttpApi("Machine Markets", f"{service.url}/api/v1", sleep=at_once)
    yield api
    await api.aclose()


async def test_who_offers_http_2_gets_it_and_one_connection_for_all_reads(serve: Begin) -> None:
    service = await serve("h2", "http/1.1")
    async with markets(service) as api:
        found = await asyncio.gather(*(api.item(("machines", str(n))) for n in range(3 * MOST)))
        await api.send("PATCH", ("machines", "1"), {"displayName": "é"})
    assert {item["version"] for item in found} == {"2"}
    assert service.seen[-1] == ("2", "PATCH", '{"displayName":"é"}'.encode())
    # One more for the writes; those that were made to ask for the version carried nothing.
    assert len(service.peers) == 2


async def test_who_does_not_offer_it_is_spoken_to_in_1_1(serve: Begin) -> None:
    service = await serve("http/1.1")
    async with markets(service) as api:
        found = await asyncio.gather(*(api.item(("machines", str(n))) for n in range(3 * MOST)))
        await api.send("PATCH", ("machines", "1"), {"displayName": "é"})
    assert {item["version"] for item in found} == {"1.1"}
    assert service.seen[-1] == ("1.1", "PATCH", '{"displayName":"é"}'.encode())
    assert len(service.peers) <= MOST + 1


@pytest.mark.parametrize("versions", [("h2", "http/1.1"), ("http/1.1",)])
async def test_a_node_is_spoken_to_in_the_best_version_too(serve: Begin, versions: tuple[str, ...]) -> None:
    service = await serve(*versions)
    node = Rpc([service.url])
    assert await node.call("eth_chainId") == "0x1"
    await node.aclose()
    assert service.seen[0][0] == ("2" if "h2" in versions else "1.1")


@pytest.mark.parametrize("versions", [("h2", "http/1.1"), ("http/1.1",)])
async def test_a_certificate_for_another_name_is_not_trusted(serve: Begin, versions: tuple[str, ...]) -> None:
    service = await serve(*versions, host="elsewhere.example")
    async with markets(service) as api:
        with pytest.raises(Unreachable, match="ConnectError"):
            await api.item(("machines", "1"))
        with pytest.raises(Unreachable, match="ConnectError"):
            await api.send("POST", ("machines",), {})
    assert not service.seen


async def test_an_unknown_authority_is_not_trusted(serve: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    service = await serve("h2", "http/1.1")
    monkeypatch.delenv("SSL_CERT_FILE")
    _forget()
    async with markets(service) as api:
        with pytest.raises(Unreachable, match="ConnectError"):
            await api.send("POST", ("machines",), {})
    assert not service.seen
