"""Maintenance windows: when an apply may change what, and when it next may."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase

from reconciler.core.fleet import Fleet, Machine, Mistake
from reconciler.core.rules import Window
from reconciler.core.schedule import clock, running, starts
from reconciler.core.value import Value

LOOKS = 1000
"""Beginnings and ends to look at before nobody knows when it changes."""


class State(Value):
    """Whether windows let changes through, and until when that stays so; None where no end is in sight."""

    open: bool
    until: datetime | None
    zone: str

    def __str__(self) -> str:
        if self.until is None:
            return "open" if self.open else "closed, and never open again"
        return f"{'open' if self.open else 'closed'} until {clock(self.until, self.zone)}"


def judge(windows: Sequence[Window], now: datetime) -> State:
    """Windows that concern the same thing, at one moment: one `allow` must run if there is any, and no `deny`."""
    open_ = _lets(windows, now)
    moment = now
    for _ in range(LOOKS):
        following = _next(windows, moment)
        if following is None:
            break
        moment = following
        if _lets(windows, moment) is not open_:
            return State(open_, moment, windows[0].time_zone)
    return State(open_, None, windows[0].time_zone if windows else "UTC")


def _lets(windows: Iterable[Window], now: datetime) -> bool:
    at_work = [(window, _running(window, now) is not None) for window in windows]
    allowed = [runs for window, runs in at_work if window.allow is not None]
    return (any(allowed) or not allowed) and not any(runs for window, runs in at_work if window.deny is not None)


def _running(window: Window, now: datetime) -> datetime | None:
    return running(window.rule, window.time_zone, window.for_, now)


def _next(windows: Iterable[Window], now: datetime) -> datetime | None:
    """When something begins or ends."""
    moments = [_running(w, now) or next(starts(w.rule, w.time_zone, now), None) for w in windows]
    return min((moment for moment in moments if moment is not None), default=None)


def whole(fleet: Fleet, seconds: float) -> State | None:
    """The windows that are about everything; None where there are none."""
    windows = [window for window in fleet.windows if not window.particular]
    return judge(windows, datetime.fromtimestamp(seconds, UTC)) if windows else None


def held(fleet: Fleet, seconds: float) -> dict[str, str]:
    """By machine that its own windows hold back: until when."""
    now = datetime.fromtimestamp(seconds, UTC)
    particular = [window for window in fleet.windows if window.particular]
    states: Mapping[tuple[int, ...], State] = {}
    found: dict[str, str] = {}
    for machine in fleet.machines if particular else ():
        own = tuple(index for index, window in enumerate(particular) if concerns(window, machine))
        # Machines that the same windows concern are judged once.
        if own and own not in states:
            states = {**states, own: judge([particular[index] for index in own], now)}
        if own and not states[own].open:
            found[machine.name] = f"held back: its maintenance window is {states[own]}"
    return found


def concerns(window: Window, machine: Machine) -> bool:
    """Its name is among the patterns, if there are any, and so are all labels that are asked for."""
    named = not window.machines or any(fnmatchcase(machine.name, pattern) for pattern in window.machines)
    labels = machine.labels
    return named and all(name in labels and fnmatchcase(labels[name], value) for name, value in window.labels.items())


def mistakes(fleet: Fleet) -> Iterable[Mistake]:
    """Windows about machines that are not there, and so about nothing."""
    names = [machine.name for machine in fleet.machines]
    for index, window in enumerate(fleet.windows):
        for place, pattern in enumerate(window.machines):
            if not any(fnmatchcase(name, pattern) for name in names):
                near = get_close_matches(pattern, names, n=1)
                hint = f"did you mean `{near[0]}`?" if near else "check the names under machines"
                yield Mistake(
                    loc=("windows", index, "machines", place), message=f"no machine is called `{pattern}`", hint=hint
                )
        for label, value in window.labels.items():
            known = sorted({machine.labels[label] for machine in fleet.machines if label in machine.labels})
            if not any(fnmatchcase(one, value) for one in known):
                hint = f"there are: {', '.join(known[:8])}" if known else f"no machine has a label `{label}`"
                yield Mistake(
                    loc=("windows", index, "labels", label),
                    message=f"no machine has the label `{label}: {value}`",
                    hint=hint,
                )
