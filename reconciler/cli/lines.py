"""The recorder behind `--events FILE`: whatever it is told becomes lines of the log."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.cli.event_log import EventLog, event_log
from reconciler.cli.recording import Recorder
from reconciler.cli.render.as_lines import of_error, of_event, of_plan, of_result
from reconciler.core.errors import FleetError
from reconciler.core.lines import Line, ResultLine
from reconciler.engine.events import Event


class Lines(Recorder):
    heard = True

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def _write(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._log(line)

    def plan(self, data: Mapping[str, Any], command: str) -> None:
        self._write(of_plan(data, command))

    def event(self, event: Event) -> None:
        self._log(of_event(event))

    def result(self, data: Mapping[str, Any]) -> None:
        self._log(of_result(data))

    def error(self, error: FleetError) -> None:
        self._write(of_error(error))

    def ended(self, code: int, level: str = "info") -> None:
        self._log(ResultLine.model_validate({"level": level, "message": f"exit code {code}", "exit_code": code}))


@contextmanager
def recording(path: Path, command: str) -> Iterator[Recorder]:
    """Raises ConfigError where the file cannot be opened."""
    with event_log(path, command) as log:
        yield Lines(log)
