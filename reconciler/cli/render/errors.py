"""An error as JSON data and as lines. Light, because every command may need it."""

from collections.abc import Iterator
from typing import Any

from reconciler.core.errors import FleetError, ManifestError, Problem
from reconciler.core.folding import Fold, Sort, folded
from reconciler.core.value import asdict

FORMAT = "1.1"


def error_data(error: FleetError, fold: Fold = folded) -> dict[str, Any]:
    """`count` is that of all mistakes of a manifest; `more` stands with the last that is shown of its sort."""
    data: dict[str, Any] = {"code": error.code, "message": error.message, "where": error.where, "hint": error.hint}
    if isinstance(error, ManifestError):
        sorts = fold(error.problems)
        data["message"] = "\n".join(str(problem) for sort in sorts for problem in sort.shown)
        data["count"] = len(error.problems)
        data["problems"] = [problem for sort in sorts for problem in _sort_data(sort)]
    return {"formatVersion": FORMAT, "error": data, "exitCode": error.exit_code}


def _sort_data(sort: Sort) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = [asdict(problem) for problem in sort.shown]
    if sort.more:
        shown[-1] |= {"more": sort.more, "last": sort.problems[-1].place}
    return shown


def error_lines(error: FleetError, fold: Fold = folded) -> Iterator[str]:
    """For a person."""
    if not isinstance(error, ManifestError):
        yield f"Error: {error}"
        yield from _hint(error.hint)
        return
    sorts = fold(error.problems)
    for sort in sorts:
        for problem in sort.shown:
            yield str(problem)
            yield from _hint(problem.hint)
        if sort.more:
            yield f"  {sort.rest}"
    yield _summary(error.problems, shown=sum(len(sort.shown) for sort in sorts))


def _hint(hint: str) -> Iterator[str]:
    if hint:
        yield f"  → {hint}"


def _summary(problems: tuple[Problem, ...], *, shown: int) -> str:
    count = len(problems)
    all_of_them = f"{count:,} problem{'s' if count != 1 else ''}; nothing was done."
    return all_of_them if shown == count else f"{all_of_them} -v shows them all."
