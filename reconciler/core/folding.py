"""Mistakes of a manifest by their sort: of what is there ten thousand times a few are told, and how many more."""

import re
from collections.abc import Callable, Sequence

from reconciler.core.errors import Problem
from reconciler.core.value import Value

FEW = 20
"""So many are told one by one, whatever they are."""
EXAMPLES = 3
"""Shown of each sort of many."""
WORDINGS = 10
"""Messages that differ in names or numbers alone are sorts of their own up to so many, and one sort beyond."""
SORTS = 30
"""Most that are told apart; the last of them holds all that is left."""
_PARTICULAR = re.compile(r"`[^`]*`|\d+")


class Sort(Value):
    """Problems that are alike, in the order of the files; at least one."""

    problems: tuple[Problem, ...]

    @property
    def shown(self) -> tuple[Problem, ...]:
        """All but the rest. A rest of one would take no less room than the one itself."""
        return self.problems if len(self.problems) <= EXAMPLES + 1 else self.problems[:EXAMPLES]

    @property
    def more(self) -> int:
        """How many are not shown."""
        return len(self.problems) - len(self.shown)

    @property
    def rest(self) -> str:
        """What is said of those, or ""."""
        files, last = {problem.file for problem in self.problems}, self.problems[-1]
        where = f" in {len(files)} files" if len(files) > 1 else ""
        return f"… and {self.more:,} more{where}, the last at {last.place}" if self.more else ""


Fold = Callable[[Sequence[Problem]], tuple[Sort, ...]]


def apart(problems: Sequence[Problem]) -> tuple[Sort, ...]:
    """Each by itself."""
    return tuple(Sort((problem,)) for problem in sorted(problems))


def folded(problems: Sequence[Problem]) -> tuple[Sort, ...]:
    """By sort, in the order in which each begins; each by itself while they are few."""
    if len(problems) <= FEW:
        return apart(problems)
    by_form: dict[str, dict[str, list[Problem]]] = {}
    for problem in sorted(problems):
        wordings = by_form.setdefault(_PARTICULAR.sub("…", problem.message), {})
        wordings.setdefault(problem.message, []).append(problem)
    found = sorted(sort for wordings in by_form.values() for sort in _sorts(list(wordings.values())))
    left = sorted(problem for sort in found[SORTS - 1 :] for problem in sort)
    return tuple(Sort(tuple(sort)) for sort in [*found[: SORTS - 1], *([left] if left else [])])


def _sorts(wordings: list[list[Problem]]) -> list[list[Problem]]:
    return wordings if len(wordings) <= WORDINGS else [sorted(problem for same in wordings for problem in same)]
