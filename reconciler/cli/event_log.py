"""The file of `--events`: a line the moment something happens, each written whole, and what a signal ends says so."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import click

from reconciler.core.errors import ConfigError
from reconciler.core.lines import InterruptedLine, Line, VersionLine


class EventLog:
    """Writes lines to an open file. A file that takes no more is given up with a warning: no apply stops for it."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor: int | None = descriptor
        self._name = name

    def __call__(self, line: Line) -> None:
        if self._descriptor is None:
            return
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        text = line.model_copy(update={"timestamp": now}).model_dump_json(by_alias=True, exclude_none=True)
        try:
            _write(self._descriptor, f"{text}\n".encode())
        except OSError as error:
            self.close()
            click.echo(f"Warning: {self._name} takes no more events: {error.strerror}", err=True)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextmanager
def event_log(path: Path, command: str) -> Iterator[EventLog]:
    """A new file, or a pipe that is read from. Raises ConfigError where it cannot be opened."""
    try:
        log = EventLog(_opened(path), str(path))
    except OSError as error:
        hint = "name a file that can be written, a pipe, or /dev/fd/N of an open one"
        raise ConfigError(f"cannot write events to {path}: {error.strerror}", hint=hint) from None
    number = version("peaq-fleetctl")
    log(VersionLine(message=f"fleetctl {number} {command}", fleetctl=number, command=command))
    try:
        with _told_to_stop(log):
            yield log
    except (KeyboardInterrupt, click.Abort):
        log(_interrupted("SIGINT"))
        raise
    finally:
        log.close()


def _opened(path: Path) -> int:
    # What is behind /dev/fd/N may be somebody's log, and is added to; any other file starts anew.
    begins_anew = path.is_file() and not str(path).startswith("/dev/")
    if begins_anew and not _replaceable(path):
        hint = "name a new file: what is there may be wanted"
        raise ConfigError(f"{path} is there and holds no events; it is not overwritten", hint=hint)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    if begins_anew:
        os.ftruncate(descriptor, 0)
    return descriptor


def _replaceable(path: Path) -> bool:
    """True for a file without content, and for one that an earlier run began."""
    with path.open("rb") as file:
        first = file.readline(1000)
    return not first or b'"type":"version"' in first


@contextmanager
def _told_to_stop(log: EventLog) -> Iterator[None]:
    """SIGTERM ends us as it would have, but the log says so. Elsewhere than in the main thread nobody may ask."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        log(_interrupted("SIGTERM"))
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupted(name: str) -> InterruptedLine:
    return InterruptedLine(level="warn", message=f"interrupted by {name}; apply again to go on", signal=name)
