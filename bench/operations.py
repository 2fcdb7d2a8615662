"""Whether a plan that finds nothing to do, or the bare reads, do more for each machine the more there are of them.

    python bench/operations.py                        N = 100, 300 and 1,000

Counted are calls of functions, Python's and built-in ones, by cProfile: unlike seconds they do not depend on caches, on
what else runs, or on a machine whose speed wavers. What a process does before it has read a machine falls away where
one size is taken off the next: what is left, by the machines between them, would be the same each time were all linear.
"""

import json
import pstats
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import sections  # noqa: E402
from measure import process  # noqa: E402
from options import options  # noqa: E402
from plan import FLEETCTL, FLOOR, asked_of_floor  # noqa: E402
from plan_report import NAMES  # noqa: E402
from records import Record, Records  # noqa: E402
from stage import NO_OP, Kept, Stage, staged  # noqa: E402

RECORDS = Records("operations")
TITLE = "## What is done for each machine"
COMMANDS = {
    FLEETCTL: ["-m", "reconciler", "plan", "--detailed-exitcode"],
    FLOOR: [str(HERE / "floor.py")],
}
MORE, OFTEN = 1.05, 0.05
"""A function is told of that is called so many times more often for each machine, and at least so often."""
HEAD = ("who", "machines", "calls for each machine", "called more often for each machine than one size before")


def run(found: Stage, case: Record) -> Record:
    """Calls by function, as file:function."""
    with tempfile.NamedTemporaryFile(suffix=".pstats") as file:
        profiled = [sys.executable, "-m", "cProfile", "-o", file.name, *COMMANDS[case["who"]]]
        process(profiled, found.environ(), found.fleet, json.dumps(asked_of_floor(found)))
        made: dict[tuple[str, int, str], tuple[int, int]] = vars(pstats.Stats(file.name))["stats"]
    calls: Counter[str] = Counter()
    for (name, _, function), (_, count, *_) in made.items():
        # The names of built-in ones have addresses in them, which differ from run to run.
        calls[f"{Path(name).name}:{function.partition(' at 0x')[0]}"] += count
    return {"calls": calls}


def rows(records: Sequence[Record]) -> list[list[str]]:
    return [row for who in COMMANDS for row in _rows(who, [r for r in records if r["who"] == who])]


def _rows(who: str, records: Sequence[Record]) -> list[list[str]]:
    steps = list(pairwise(sorted(records, key=lambda record: int(record["size"]))))
    each = [{name: _each(name, before, after) for name in after["calls"]} for before, after in steps]
    found = []
    for number, ((before, after), calls) in enumerate(zip(steps, each, strict=True)):
        former = each[number - 1] if number else calls
        grown = {n: count - former.get(n, 0.0) for n, count in calls.items() if _grew(former.get(n, 0.0), count)}
        most = sorted(grown, key=lambda n: -grown[n])[:5]
        told = ", ".join(f"`{n}` {former.get(n, 0.0):.2f} → {calls[n]:.2f}" for n in most)
        size = f"{before['size']:,} to {after['size']:,}"
        found.append([NAMES[who], size, f"{sum(calls.values()):,.0f}", told or ("none" if number else "–")])
    return found


def _grew(before: float, after: float) -> bool:
    return after > OFTEN + MORE * max(before, 0.0)


def _each(name: str, before: Record, after: Record) -> float:
    """Calls for each of the machines that `after` has more."""
    made = after["calls"].get(name, 0) - before["calls"].get(name, 0)
    return float(made / (after["size"] - before["size"]))


def main() -> None:
    given = options(__doc__, RECORDS, sizes="100,300,1000", rounds=1)
    if not given.report:
        with Kept(staged) as kept:
            cases = [{"size": size, "who": who} for size in given.sizes for who in COMMANDS]
            RECORDS.measure(cases, lambda case: run(kept.at((case["size"], NO_OP)), case))
    if records := RECORDS.newest():
        about = (
            f"`python bench/operations.py` at commit {records[0]['commit']}: calls of functions, counted by cProfile,"
        )
        sections.write(TITLE, [about, "the start of the process left out.", "", *sections.table(HEAD, rows(records))])


if __name__ == "__main__":
    main()
