"""The most memory that a process held: Python, fleetctl's help, a validation, and plans over N.

    python bench/memory.py                              N = 100, 1,000 and 10,000, once
    python bench/memory.py --sizes 100                  a first look

The kernel's own figure of the process (bench/measure.py). It hardly depends on what else is running: one round will do.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import sections  # noqa: E402
from measure import process  # noqa: E402
from options import Options, options  # noqa: E402
from records import Record, Records  # noqa: E402
from stage import CHANGED, NEW, NO_OP, Kept, Stage, staged  # noqa: E402

RECORDS = Records("memory")
TITLE = "## Memory"
BARE = "bare Python"
DOING = {
    BARE: (NO_OP, []),
    "--help": (NO_OP, ["--help"]),
    "validate": (NO_OP, ["validate"]),
    "plan, no-op": (NO_OP, ["plan"]),
    "plan, no-op, as JSON": (NO_OP, ["plan", "--output", "json"]),
    "plan, 1 % changed": (CHANGED, ["plan"]),
    "plan, all new": (NEW, ["plan"]),
}


def cases(given: Options) -> Iterator[Record]:
    for size in given.sizes:
        for number in range(1, given.rounds + 1):
            for what in DOING:
                yield {"size": size, "round": number, "what": what}


def run(found: Stage, case: Record) -> Record:
    if case["what"] == BARE:
        return vars(process([sys.executable, "-c", "pass"], found.environ(), found.fleet).took)
    return vars(found.fleetctl(*DOING[case["what"]][1]).took)


def report(records: list[Record]) -> None:
    if not records:
        print("nothing is measured yet")
        return
    sizes = sorted({record["size"] for record in records})
    rows = []
    for what in DOING:
        peaks = {s: [r["rss"] for r in records if (r["size"], r["what"]) == (s, what)] for s in sizes}
        rows.append([what, *(f"{median(peaks[size]):.0f}" if peaks[size] else "–" for size in sizes)])
    about = f"`python bench/memory.py` at commit {records[0]['commit']}; {records[0]['machine']}. "
    about += "Most MB (of 10⁶ bytes) that the process held at any time."
    head = ("what", *(f"{size:,} machines" for size in sizes))
    sections.write(TITLE, [about, "", *sections.table(head, rows)])


def main() -> None:
    given = options(__doc__, RECORDS, rounds=1)
    if not given.report:
        with Kept(staged) as kept:
            RECORDS.measure(cases(given), lambda case: run(kept.at((case["size"], DOING[case["what"]][0])), case))
    report(RECORDS.newest())


if __name__ == "__main__":
    main()
