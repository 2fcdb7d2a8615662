"""Ending processes that are surely ours: a number alone may be somebody else's by now."""

import os
import signal
import subprocess
import time
from pathlib import Path

POLL_SECONDS = 0.02


def is_ours(pid: int, *marks: str) -> bool:
    """A live process whose command line has all these marks."""
    command = _command_line(pid)
    return bool(command) and all(mark in command for mark in marks)


def end(pid: int, *marks: str, patience: float = 5.0) -> None:
    """TERM, then after `patience` seconds KILL, as long as it is ours."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not is_ours(pid, *marks):
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while is_ours(pid, *marks) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def _command_line(pid: int) -> str:
    proc = Path("/proc") / str(pid)
    if Path("/proc/self").exists():
        try:
            return (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout
