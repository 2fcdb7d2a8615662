"""Fixtures for the tests of who may do what: a small fleet on the shared sandbox, and servers that stand in."""

from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from itertools import count
from pathlib import Path

import httpx
import pytest
from authority_harness import Answer, server_of
from e2e_harness import World, Yard, count_writes

from reconciler.sandbox.info import SandboxInfo

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def shared_world(sandbox: SandboxInfo) -> Iterator[World]:
    with httpx.Client(timeout=30, trust_env=False) as http:
        yield World(sandbox, http)


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """The shared sandbox without faults, counting the writes that reach it."""
    shared_world.well()
    count_writes(shared_world)
    yield shared_world
    shared_world.well()


@pytest.fixture
def new_yard(world: World, tmp_path: Path) -> Callable[..., Yard]:
    """Makes fleets of one's own."""

    def make(machines: int, world: World = world) -> Yard:
        number = next(_NUMBERS)
        root = tmp_path / f"fleet-{number}"
        root.mkdir()
        return Yard(world, root, tmp_path / "home", f"authority-{number}").start(machines)

    return make


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Runs an HTTP server of JSON answers on loopback; gives its URL."""
    running: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        running.append(server_of(answer))
        return f"http://127.0.0.1:{running[-1].server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()
