"""Fixtures for every test."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.lifecycle import running
from reconciler.sandbox.node import free_port

# A shell that runs us in the background ignores interrupts, and whoever we start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A crowded machine is slow, which is no mistake of anybody's.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


LONGEST = ("test_commands.py", "test_ci_flow.py")
"""Begun first where several work at once: what begins last is waited for by all."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests share a world, so one worker does them all, unless they say what belongs together."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.name))
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxInfo]:
    """A whole sandbox, one block per transaction. Shared: make accounts of your own, undo what you switch."""
    with running(tmp_path_factory.mktemp("sandbox"), port=free_port()) as info:
        yield info
