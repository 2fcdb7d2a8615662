"""Fixtures for every test."""

import signal
from collections.abc import Iterator

import pytest

from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.lifecycle import running
from reconciler.sandbox.node import free_port

# A shell that runs us in the background ignores interrupts, and whoever we start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxInfo]:
    """A whole sandbox, one block per transaction. Shared: make accounts of your own, undo what you switch."""
    with running(tmp_path_factory.mktemp("sandbox"), port=free_port()) as info:
        yield info
