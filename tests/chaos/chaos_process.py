"""fleetctl in processes of its own, forked from one that has imported everything: cheap to start, real to kill."""

import asyncio
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio._backends._asyncio  # noqa: F401  (all that a child would import later is here before any fork)
import deepdiff  # noqa: F401
from e2e_harness import World  # noqa: F401

from reconciler.cli import main as command_line
from reconciler.cli.commands import apply, plan  # noqa: F401
from reconciler.cli.options import Options
from reconciler.sandbox import lifecycle  # noqa: F401

PATIENCE = 90.0
"""Seconds after which a child that is still running is stuck."""
POLL = 0.005
CRASHED = 99


@dataclass(frozen=True)
class Ended:
    """How a child ended: with an exit code, or killed."""

    code: int | None
    text: str
    seconds: float

    @property
    def killed(self) -> bool:
        return self.code is None


class Child:
    """One call of fleetctl, running."""

    def __init__(
        self,
        arguments: list[str],
        environ: Mapping[str, str],
        log: Path,
        *,
        around: Any = None,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._begun = time.monotonic()
        self._ended: Ended | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _become(arguments, environ, log, around, prepare)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def running(self) -> bool:
        return self._look() is None

    @property
    def lived(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._begun

    def wait(self, kill_after: float | None = None) -> Ended:
        """Its end, which comes after `kill_after` seconds at the latest if that is said."""
        while (ended := self._look()) is None:
            if kill_after is not None and self.lived >= kill_after:
                self.kill()
            if self.lived > PATIENCE:
                os.kill(self.pid, signal.SIGUSR1)
                time.sleep(1)
                self.kill()
                raise AssertionError(f"still running after {PATIENCE:.0f} s:\n{self._text()}")
            time.sleep(POLL)
        return ended

    def _look(self) -> Ended | None:
        if self._ended is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                seconds = time.monotonic() - self._begun
                code = None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                self._ended = Ended(code, self._text(), seconds)
        return self._ended

    def _text(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


def _become(
    arguments: list[str], environ: Mapping[str, str], log: Path, around: Any, prepare: Callable[[], None]
) -> None:
    """Be fleetctl, and end."""
    code = CRASHED
    try:
        stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # Whoever captures output has put something else in their place.
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
        kept = {"PATH": os.environ["PATH"], **environ}
        os.environ.clear()
        os.environ.update(kept)
        signal.signal(signal.SIGUSR1, lambda *_: _say_where())
        prepare()
        code = command_line.run(arguments, around and Options(around=around))
    except BaseException:
        with suppress(BaseException):
            os.write(2, traceback.format_exc().encode())
    os._exit(code)


def _say_where() -> None:
    """What every task waits for: asked of a child that is stuck."""
    for task in asyncio.all_tasks():
        task.print_stack(limit=4, file=sys.stderr)
