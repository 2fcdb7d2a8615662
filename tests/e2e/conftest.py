"""Fixtures for the tests of the whole."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from e2e_harness import World, Yard, count_writes

from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.lifecycle import running
from reconciler.sandbox.node import free_port

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


@pytest.fixture(scope="session")
def slow_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sandbox with a block every half second, so that there is time to interfere."""
    with (
        running(tmp_path_factory.mktemp("slow"), port=free_port(), block_time=0.5) as info,
        httpx.Client(timeout=30, trust_env=False) as http,
    ):
        count_writes(found := World(info, http))
        yield found


@pytest.fixture
def new_yard(world: World, tmp_path: Path) -> Callable[..., Yard]:
    """Makes fleets of one's own."""

    def make(machines: int, *, peaq: float = 100, world: World = world) -> Yard:
        number = next(_NUMBERS)
        root = tmp_path / f"fleet-{number}"
        root.mkdir()
        return Yard(world, root, tmp_path / "home", f"fleet-{number}").start(machines, peaq=peaq)

    return make
