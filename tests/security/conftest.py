"""Fixtures for the tests of what must not leak, hang or crash: a small fleet on the shared sandbox, and bad servers."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from e2e_harness import World, Yard, count_writes
from hostile_harness import Answer, served

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

    def make(machines: int) -> Yard:
        number = next(_NUMBERS)
        root = tmp_path / f"fleet-{number}"
        root.mkdir()
        return Yard(world, root, tmp_path / "home", f"security-{number}").start(machines)

    return make


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Runs an ASGI server on loopback that answers as told; gives its URL."""
    running = []

    def start(answer: Answer) -> str:
        running.append(served(answer))
        return running[-1].url

    yield start
    for server in running:
        server.stop()
