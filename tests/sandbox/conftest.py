"""Fixtures of the sandbox's own tests."""

from collections.abc import Iterator

import httpx
import pytest
from chain_harness import World

from reconciler.sandbox.info import SandboxInfo


@pytest.fixture
def world(sandbox: SandboxInfo) -> Iterator[World]:
    """The shared sandbox; its RPC faults are gone after the test."""
    with httpx.Client(timeout=30) as http:
        world = World(sandbox, http)
        yield world
        world.well_again()
