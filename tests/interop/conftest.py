"""Fixtures for the tests against peaq's own Python SDK, which lives in an environment of its own."""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from interop_harness import Applied, Official, World, apply_fleet

from reconciler.sandbox.config import AGUNG_CHAIN_ID
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.lifecycle import running
from reconciler.sandbox.node import free_port

PIN = ("peaq-os-sdk==0.11.2",)
PIN_V2 = ("peaq-os-sdk==0.12.1", "peaq-os-cli==0.1.1")
"""The two know no common protocol, and have one name: each needs an environment of its own."""
MARKER = "installed.txt"


@pytest.fixture(scope="session")
def official_python() -> Path:
    """The interpreter that has the SDK. Where it cannot be installed, every test here fails: none is skipped."""
    return _environment(".venv-interop", "FLEETCTL_INTEROP_VENV", PIN)


@pytest.fixture(scope="session")
def official_v2() -> Path:
    """The same for protocol v2, with the CLI beside it."""
    return _environment(".venv-interop-v2", "FLEETCTL_INTEROP_V2_VENV", PIN_V2)


@pytest.fixture(scope="session")
def world(sandbox: SandboxInfo) -> Iterator[World]:
    with World(sandbox) as found:
        yield found


@pytest.fixture(scope="session")
def applied(
    world: World, official_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Applied, Official]]:
    """Three machines that fleetctl took live, and the SDK in the environment of their operator."""
    fleet = apply_fleet(world, tmp_path_factory.mktemp("applied"))
    home = tmp_path_factory.mktemp("official-home")
    with Official(official_python, world.environ(fleet.operator_key), home) as official:
        yield fleet, official


@pytest.fixture(scope="session")
def agung(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sandbox that calls itself agung's chain: clients of v2 accept no chain that they do not know."""
    with (
        running(tmp_path_factory.mktemp("agung"), port=free_port(), chain_id=AGUNG_CHAIN_ID) as info,
        World(info) as it,
    ):
        yield it


def _environment(name: str, variable: str, pins: Sequence[str]) -> Path:
    directory = Path(os.environ.get(variable) or Path(__file__).parents[2] / name)
    python, marker = directory / "bin" / "python", directory / MARKER
    wanted = f"{' '.join(pins)} on {sys.version}\n"
    with _alone(directory):
        if not marker.exists() or marker.read_text() != wanted:
            _must([sys.executable, "-m", "venv", "--clear", str(directory)])
            _must([str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *pins])
            marker.write_text(wanted)
    return python


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Tests run in several processes, and only one of them may install."""
    directory.mkdir(exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _must(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
