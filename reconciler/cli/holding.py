"""What holds changes back although the manifest asks for them: suspended machines and maintenance windows."""

from collections.abc import Mapping

from reconciler.core import windows
from reconciler.core.fleet import Fleet
from reconciler.core.guards import Refusal
from reconciler.core.plan import Plan

SUSPENDED = "suspended in the manifest"


def held(fleet: Fleet, now: float, *, ignore_windows: bool) -> dict[str, str]:
    """Why nothing of a machine may be changed now, by its name. `now` is in seconds."""
    suspended = {machine.name: SUSPENDED for machine in fleet.machines if machine.suspended}
    return {**({} if ignore_windows else windows.held(fleet, now)), **suspended}


def notices(fleet: Fleet, now: float, why: Mapping[str, str]) -> list[str]:
    """How windows and machines stand at `now`."""
    told = []
    if (state := windows.whole(fleet, now)) is not None:
        told.append(f"the maintenance window is {state}")
    reasons: dict[str, list[str]] = {}
    for machine, reason in why.items():
        reasons.setdefault(reason, []).append(machine)
    for reason, machines in reasons.items():
        shown = ", ".join(machines[:3]) + (", …" if len(machines) > 3 else "")
        told.append(f"{len(machines)} machine(s) {reason}; nothing of them is changed: {shown}")
    return told


def refusals(fleet: Fleet, plan: Plan, now: float) -> list[Refusal]:
    """That the windows of the whole fleet are closed, where there is something to do."""
    state = windows.whole(fleet, now)
    if state is None or state.open or not plan.acting:
        return []
    wait = "" if state.until is None else f", in {_span(state.until.timestamp() - now)}"
    first = "correct the windows" if state.until is None else "apply then"
    hint = f"{first}, or pass --ignore-windows if it cannot wait"
    return [Refusal("guard.window", f"the maintenance window is {state}{wait}", hint)]


def _span(seconds: float) -> str:
    """As long as that, in words that need no counting."""
    minutes = max(1, round(seconds / 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"
