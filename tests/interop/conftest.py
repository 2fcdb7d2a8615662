"""Fixtures for the tests against peaq's own Python SDK, which lives in an environment of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from interop_harness import Applied, Official, World, apply_fleet

from reconciler.sandbox.info import SandboxInfo

PIN = "peaq-os-sdk==0.11.2"
MARKER = "installed.txt"


@pytest.fixture(scope="session")
def official_python() -> Path:
    """The interpreter that has the SDK. Where it cannot be installed, every test here fails: none is skipped."""
    default = Path(__file__).parents[2] / ".venv-interop"
    directory = Path(os.environ.get("FLEETCTL_INTEROP_VENV") or default)
    python, marker = directory / "bin" / "python", directory / MARKER
    wanted = f"{PIN} on {sys.version}\n"
    if not marker.exists() or marker.read_text() != wanted:
        _must([sys.executable, "-m", "venv", "--clear", str(directory)])
        _must([str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", PIN])
        marker.write_text(wanted)
    return python


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


def _must(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
