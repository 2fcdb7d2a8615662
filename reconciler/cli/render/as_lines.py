"""What happens as lines of `--events FILE`: a plan, the events of the engine, how it ended, what went wrong."""

from collections import Counter
from collections.abc import Iterator

from reconciler.cli.render.blocks import Data, line, what
from reconciler.core.change import Action
from reconciler.core.errors import FleetError, ManifestError
from reconciler.core.folding import folded
from reconciler.core.lines import (
    AppliedLine,
    Change,
    ChangeLine,
    DiagnosticLine,
    Line,
    ResourceLine,
    SummaryLine,
    TransactionLine,
)
from reconciler.engine.events import Event, Stage

TYPES = {
    Stage.STARTED: "apply_start",
    Stage.WAITING: "apply_progress",
    Stage.WAVE: "apply_progress",
    Stage.DONE: "apply_complete",
    Stage.FAILED: "apply_errored",
    Stage.PARKED: "apply_parked",
    Stage.SKIPPED: "apply_skipped",
    Stage.UNKNOWN: "apply_unknown",
    Stage.RECOVERED: "recovered",
    Stage.SIGNED: "transaction_signed",
    Stage.MINED: "transaction_mined",
}
BAD = (Stage.FAILED, Stage.UNKNOWN)


def of_plan(data: Data, command: str) -> Iterator[Line]:
    """Everything but what is as declared already, then the sums, then what speaks against it."""
    for change in data["changes"]:
        if change["action"] != Action.NO_OP:
            yield _change(change, "resource_drift" if command == "drift" else "planned_change")
    sums = {name: data[name] for name in ("fleet", "digest", "summary", "cost")}
    yield SummaryLine(message=data["headline"], **sums)
    for notice in data["notices"]:
        yield DiagnosticLine(level="warn", message=line(notice), code="notice")
    for refusal in data["refusals"]:
        yield DiagnosticLine(level="error", **{name: refusal[name] for name in ("code", "message", "hint")})


def _change(change: Data, kind: str) -> ChangeLine:
    message = f"{change['address']}: {change['action']}: {what(change)}"
    return ChangeLine.model_validate({"type": kind, "message": line(message), "change": Change(**change)})


def of_event(event: Event) -> Line:
    found = {
        "type": TYPES[event.stage],
        "level": "error" if event.stage in BAD else "info",
        "message": line(": ".join(filter(None, (event.address, event.stage, event.text)))),
    }
    if event.stage in (Stage.SIGNED, Stage.MINED):
        return TransactionLine.model_validate({**found, "hash": event.text, **event.data})
    return ResourceLine.model_validate({**found, "address": event.address})


def of_result(data: Data) -> AppliedLine:
    outcomes = Counter(outcome["outcome"] for outcome in data["outcomes"])
    sums = {name: data[name] for name in ("transactions", "writes")}
    return AppliedLine(message=data["headline"], outcomes=dict(outcomes), **sums)


def of_error(error: FleetError) -> Iterator[Line]:
    if not isinstance(error, ManifestError):
        yield DiagnosticLine(
            level="error", message=line(error.message), code=error.code, where=error.where, hint=error.hint
        )
        return
    for sort in folded(error.problems):
        for problem in sort.shown:
            yield DiagnosticLine(
                level="error", message=line(problem.message), code=error.code, where=problem.place, hint=problem.hint
            )
        if sort.more:
            yield DiagnosticLine(level="error", message=line(sort.rest), code=error.code, where=sort.problems[-1].place)
