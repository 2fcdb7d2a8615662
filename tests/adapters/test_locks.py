"""Locks of signing accounts, against real processes that hold them, stop and die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.adapters import locks
from reconciler.adapters.locks import locked
from reconciler.core.errors import Locked

CHAIN = 9990
MINE, OTHER, THIRD = (f"0x{digit * 40}" for digit in "abc")
HOLD = """
import sys, time
from pathlib import Path
from reconciler.adapters.locks import locked
with locked(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:], "apply of fleet.yaml"):
    print("held", flush=True)
    time.sleep(60)
"""
Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Another process that holds these accounts."""
    started: list[subprocess.Popen[str]] = []

    def start(*accounts: str, chain: int = CHAIN) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(tmp_path / "locks"), str(chain), *accounts]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def take(tmp_path: Path, *accounts: str) -> None:
    with locked(tmp_path / "locks", CHAIN, accounts, "apply of other.yaml"):
        pass


def test_one_account_is_enough_to_be_turned_away(hold: Hold, tmp_path: Path) -> None:
    holder = hold(MINE, OTHER)
    with pytest.raises(Locked) as caught:
        take(tmp_path, THIRD, OTHER.upper().replace("X", "x"))
    assert OTHER in caught.value.message
    assert f"process {holder.pid} (apply of fleet.yaml)" in caught.value.message
    assert caught.value.exit_code == 7
    take(tmp_path, THIRD)


def test_another_chain_is_another_matter(hold: Hold, tmp_path: Path) -> None:
    hold(MINE, chain=1)
    take(tmp_path, MINE)


def test_the_dead_hold_nothing(hold: Hold, tmp_path: Path) -> None:
    holder = hold(MINE)
    holder.kill()
    holder.wait()
    take(tmp_path, MINE)
    hold(OTHER)
    with pytest.raises(Locked, match=r"apply of fleet\.yaml"):
        take(tmp_path, OTHER)
    # What the dead one left behind is gone.
    assert not (tmp_path / "locks" / f"{CHAIN}-{holder.pid}.json").exists()


def test_who_is_stopped_keeps_its_lock_and_is_said_to_hang(
    hold: Hold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "SILENT", 0.2)
    holder = hold(MINE)
    os.kill(holder.pid, signal.SIGSTOP)
    time.sleep(0.5)
    with pytest.raises(Locked, match="no sign of life"):
        take(tmp_path, MINE)


def test_ten_thousand_wallets_take_one_file_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    with locked(tmp_path / "locks", CHAIN, (f"0x{n:015x}{'0' * 25}" for n in range(10_000)), "apply"):
        found = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "locks").iterdir()}
    assert found == {f"{CHAIN}.lock": 0o600, f"{CHAIN}-{os.getpid()}.json": 0o600}
    assert [path.name for path in (tmp_path / "locks").iterdir()] == [f"{CHAIN}.lock"]
