"""Progress on stderr: a live bar on a terminal, a line now and then elsewhere, nothing when quiet."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from reconciler.cli.options import Options
from reconciler.core.text import quoted
from reconciler.engine.events import Event, Stage

EVERY = 10.0
"""Seconds between lines where there is no terminal."""
WIDEST = 36
"""Characters beside the bar: a terminal of 80 holds both."""


class Meter:
    """Counts towards `total`; use as a context manager."""

    def __init__(self, options: Options, title: str, total: int) -> None:
        self._console = Console(stderr=True, no_color=options.no_color, highlight=False)
        self._title, self._total = title, total
        self._done = 0
        self._wave: object = 0
        self._ahead = ""
        self._quiet = options.quiet
        self._began = self._last = time.monotonic()
        live = not options.quiet and self._console.is_terminal
        counted = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(16), MofNCompleteColumn())
        timed = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(compact=True, elapsed_when_finished=True))
        self._live = Progress(*counted, *timed, console=self._console, transient=True) if live else None
        self._task = self._live.add_task(title, total=total) if self._live else None

    def __enter__(self) -> "Meter":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def tick(self) -> None:
        self._done += 1
        if self._live and self._task is not None:
            self._live.advance(self._task)
        else:
            self._now_and_then()

    def _now_and_then(self, text: str = "") -> None:
        """Where there is no bar: `text`, or how far it is, if the last line is long ago."""
        if not self._live and time.monotonic() - self._last >= EVERY:
            self.say(text or f"{self._title}: {self._done} of {self._total}{self._pace()}{self._ahead}")

    def _pace(self) -> str:
        """How fast it goes, and how long it will take at that."""
        if not self._done:
            return ""
        rate = self._done / max(time.monotonic() - self._began, 0.001)
        return f", {rate:.0f}/s, about {max(self._total - self._done, 0) / rate:.0f} s left"

    def say(self, text: str) -> None:
        self._last = time.monotonic()
        if not self._quiet:
            self._console.print(text, markup=False)

    def event(self, event: Event) -> None:
        """Shows an event of the engine."""
        match event.stage:
            case Stage.DONE:
                self.tick()
            case Stage.FAILED | Stage.UNKNOWN:
                self.tick()
                self.say(f"{event.address}: {event.stage}: {event.text}")
            case Stage.SKIPPED | Stage.PARKED:
                self.tick()
            case Stage.WAVE:
                self._wave_of(event)
            case Stage.WAITING:
                self.say_live(event.text)
                self._now_and_then(event.text)
            case Stage.RECOVERED:
                self.say(event.text)

    def _wave_of(self, event: Event) -> None:
        """A line as a wave begins; what is left of it beside the bar, or in the lines that come now and then."""
        number, left = event.data["wave"], f"{event.stage} {event.data['left']}"
        self._ahead = f"; {left}"
        self.say_live(left)
        if number == self._wave:
            self._now_and_then()
        else:
            self._wave = number
            self.say(f"{event.stage} {event.text}")

    def say_live(self, text: str) -> None:
        """Shown beside the bar, or not at all."""
        if self._live and self._task is not None:
            self._live.update(self._task, description=quoted(text, WIDEST))


def answer(options: Options) -> Console:
    """Where answers are printed: stdout, with width 80 when it is no terminal."""
    width = None if sys.stdout.isatty() else 100
    return Console(no_color=options.no_color, highlight=False, soft_wrap=not sys.stdout.isatty(), width=width)
