"""Drift as a person reads it: what differs and who moved it, without what a repair would cost."""

from collections import Counter

from rich.console import Console
from rich.text import Text

from reconciler.cli.render.plan_text import aside, render_changes, render_notes
from reconciler.cli.render.remarks import Remarks
from reconciler.core.change import Action
from reconciler.core.moved import Moved, Movements, counted
from reconciler.core.plan import Plan

WHERE = {
    Moved.WORLD: "moved in the world",
    Moved.MANIFEST: "moved in the manifest",
    Moved.BOTH: "moved in both",
    Moved.UNKNOWN: "moved, not known where",
}
"""In the order in which they are told."""


def render_drift(plan: Plan, console: Console, *, verbose: bool, remarks: Remarks) -> None:
    render_changes(plan, console, verbose=verbose, remarks=remarks)
    render_notes(plan, console)
    console.print(Text(drift_summary(plan, remarks.moved), style="bold"))


def drift_summary(plan: Plan, movements: Movements) -> str:
    """The one line that people and CI read."""
    amounts = counted(movements)
    parts = [f"{_amount(amounts[mover])} {where}" for mover, where in WHERE.items() if amounts[mover]]
    unreadable = sum(change.unreadable for change in plan.changes)
    refused = sum(c.action is Action.BLOCKED and not c.unreadable and c.address not in movements for c in plan.changes)
    others = {"unreadable": unreadable, "blocked": refused, "not in the manifest": plan.count(Action.UNMANAGED)}
    parts += [f"{count} {name}" for name, count in others.items() if count]
    if not movements and not unreadable and not refused:
        calm = f"No drift: {plan.count(Action.NO_OP)} resources are as declared"
        return f"{'; '.join([calm, *parts, *aside(plan)])}."
    return f"Drift: {'; '.join([', '.join(parts), *aside(plan)])}."


def _amount(amount: Counter[str]) -> str:
    return " and ".join(f"{count} {what}{'s' if count != 1 else ''}" for what, count in sorted(amount.items()))
