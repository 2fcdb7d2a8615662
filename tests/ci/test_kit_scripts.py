"""State that is carried, and what is said at the end: the scripts themselves, run by bash."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "ci" / "scripts"
KEY = "correct horse battery staple"


def state(what: str, folder: Path, key: str = KEY) -> str:
    """Runs state.sh as it should always end, well; gives what it said."""
    environ = {"PATH": os.environ["PATH"], "FLEETCTL_STATE_KEY": key, "TMPDIR": str(folder)}
    command = ["bash", str(SCRIPTS / "state.sh"), what]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert key == "" or key not in done.stderr
    return done.stderr


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a saved state, and the state gone."""
    home = tmp_path / ".fleetctl"
    (home / "tokens").mkdir(parents=True)
    (home / "journal.sqlite").write_bytes(b"signed\0transactions" * 1000)
    (home / "tokens" / "a.token").write_text("secret-token\n")
    (home / "tokens" / "a.token").chmod(0o600)
    assert state("save", tmp_path) == ""
    home.rename(tmp_path / "before")
    return tmp_path


def same(folder: Path) -> bool:
    before, now = folder / "before", folder / ".fleetctl"
    files = [path.relative_to(before) for path in before.rglob("*") if path.is_file()]
    return all((now / f).exists() and (now / f).read_bytes() == (before / f).read_bytes() for f in files)


def test_there_and_back(saved: Path) -> None:
    sealed = (saved / "fleet-state.enc").read_bytes()
    assert b"transactions" not in sealed
    assert b"secret-token" not in sealed
    assert stat.S_IMODE((saved / "fleet-state.enc").stat().st_mode) == 0o600
    assert state("restore", saved) == ""
    assert same(saved)
    assert stat.S_IMODE((saved / ".fleetctl/tokens/a.token").stat().st_mode) == 0o600
    assert sorted(path.name for path in saved.iterdir()) == [".fleetctl", "before", "fleet-state.enc"]


@pytest.mark.parametrize("at", [0, 70, 2000, -1])
def test_a_file_that_somebody_touched_is_not_used(saved: Path, at: int) -> None:
    file = saved / "fleet-state.enc"
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)
    assert "not written with this key; going on without it" in state("restore", saved)
    assert not (saved / ".fleetctl").exists()


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 64, b"\n" * 200])
def test_nor_is_rubbish(saved: Path, content: bytes) -> None:
    (saved / "fleet-state.enc").write_bytes(content)
    assert "not written with this key" in state("restore", saved)
    assert not (saved / ".fleetctl").exists()


def test_another_key_no_key_and_no_file(saved: Path) -> None:
    assert "not written with this key" in state("restore", saved, "another")
    assert "no FLEETCTL_STATE_KEY" in state("restore", saved, "")
    assert "no FLEETCTL_STATE_KEY" in state("save", saved, "")
    assert "there is no state to save" in state("save", saved)
    (saved / "fleet-state.enc").unlink()
    assert "no state of an earlier run" in state("restore", saved)
    assert not (saved / ".fleetctl").exists()


def ended(folder: Path, **environ: str) -> str:
    command = [sys.executable, str(SCRIPTS / "ended.py")]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("last", "says"),
    [
        ({"type": "result", "exitCode": 0}, "Applied"),
        ({"type": "result", "exitCode": 8}, "Re-run all jobs"),
        ({"type": "result", "exitCode": 99}, "exit code 99"),
        ({"type": "interrupted", "signal": "SIGTERM"}, "It was stopped"),
        ({"type": "apply_start"}, "ended without a word"),
        (None, "ended without a word"),
    ],
)
def test_how_it_ended(tmp_path: Path, last: dict[str, object] | None, says: str) -> None:
    if last is not None:
        (tmp_path / "fleet-events.jsonl").write_text(f'{{"type": "version"}}\n{json.dumps(last)}\n')
    assert says in ended(tmp_path)
    output = tmp_path / "output"
    annotated = ended(tmp_path, GITHUB_OUTPUT=str(output))
    good = (last or {}).get("exitCode") == 0
    assert annotated.startswith(f"::{'notice' if good else 'error'} title=fleetctl apply::")
    assert output.read_text() == f"exit-code={(last or {}).get('exitCode', '')}\n"


def test_half_a_line_is_no_ending(tmp_path: Path) -> None:
    (tmp_path / "fleet-events.jsonl").write_text('{"type": "result", "exi')
    assert "ended without a word" in ended(tmp_path)
