"""Getting the dev node, on a machine where pip brought node and npm."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.sandbox import toolchain
from reconciler.sandbox.errors import SandboxError


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No node and no npm on the PATH, and an empty cache."""
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)
    monkeypatch.setattr(toolchain, "user_cache_dir", lambda name: str(tmp_path))
    return tmp_path


def test_two_installations_at_once_end_with_one_that_runs(bare_machine: Path) -> None:
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: toolchain.anvil_binary(said.append), range(2))
    assert first == second
    shown = subprocess.run([first, "--version"], capture_output=True, text=True, check=True)
    assert toolchain.ANVIL[1] in shown.stdout
    assert [path.name for path in (bare_machine / "npm").iterdir()] == ["foundry-rs-anvil-1.7.1"]
    said.clear()
    toolchain.anvil_binary(said.append)
    assert said == []


def test_node_of_the_wheel_runs(bare_machine: Path) -> None:
    shown = subprocess.run([*toolchain.node_command(), "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("v")


def test_without_node_the_remedy_is_named(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SandboxError) as found:
        toolchain.anvil_binary()
    assert "pip install" in found.value.hint


def test_a_failed_installation_says_why_and_leaves_nothing(bare_machine: Path) -> None:
    with pytest.raises(SandboxError, match="npm could not install"):
        toolchain.npm_package("@foundry-rs/anvil", "0.0.0-none")
    assert list((bare_machine / "npm").iterdir()) == []
