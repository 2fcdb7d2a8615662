"""How cost grows with N: an exponent for each figure, fitted to what the other programs measured, and a plot.

    python bench/growth.py            reads build/bench, writes RESULTS.md and bench/growth.svg; measures nothing

The exponent b of cost = a·N^b, by least squares over the logarithms. What a process costs before it has read a single
machine lowers it, so that part is subtracted as well: cost = start + a·N^b, which is exact through the three largest
sizes. Judged is the exponent without the start, and where a floor was measured in the same rounds, against that of the
floor: a processor itself is slower at what does not fit its caches, and blocks come whole. Everything that is measured
once is as noisy as the machine was busy.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log
from pathlib import Path
from statistics import fmean, median

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import curves  # noqa: E402
import sections  # noqa: E402
from plan_report import chain  # noqa: E402
from records import Record, Records  # noqa: E402

TITLE = "## How cost grows"
PLOT = HERE / "growth.svg"
LIMIT = 1.05
LEAST, MOST, PRECISION = 0.01, 4.0, 0.0001
"""Exponents that are looked at."""


@dataclass(frozen=True)
class Figure:
    """One cost, in records of one program that fit `only`."""

    name: str
    records: str
    only: Mapping[str, object]
    value: Callable[[Record], float]
    counts: Callable[[Record], bool] = lambda record: True
    floor: str = ""
    """The name of another one, than which it cannot grow less."""

    def over_size(self, measured: Mapping[str, Sequence[Record]]) -> dict[int, float]:
        """Medians by N."""
        fitting = [r for r in measured[self.records] if self.only.items() <= r.items() and self.counts(r)]
        sizes = sorted({record["size"] for record in fitting})
        return {size: median(self.value(r) for r in fitting if r["size"] == size) for size in sizes}


def plan(name: str, story: str, value: Callable[[Record], float], who: str = "fleetctl") -> Figure:
    return Figure(name, "plan", {"story": story, "who": who}, value)


def apply(name: str, value: Callable[[Record], float]) -> Figure:
    only = {"who": "fleetctl", "mode": "1s"}
    return Figure(name, "apply", only, value, counts=lambda record: record.get("protocol", "v1") == "v1")


def over(figure: Figure, floor: str) -> Figure:
    return replace(figure, floor=floor)


def clock(figure: Figure) -> Figure:
    """Seconds by the clock, which say nothing of a program where more is running than there are processors."""
    return replace(figure, counts=lambda r: figure.counts(r) and r["load"] <= (os.cpu_count() or 1))


FIGURES = (
    over(clock(plan("no-op plan, wall s", "no-op", lambda r: r["wall"])), "bare reads, wall s"),
    over(plan("no-op plan, CPU s", "no-op", lambda r: r["cpu"]), "bare reads, CPU s"),
    plan("no-op plan, peak MB", "no-op", lambda r: r["rss"]),
    plan("no-op plan, chain requests", "no-op", chain),
    plan("no-op plan, service requests", "no-op", lambda r: sum(r["services"].values())),
    clock(plan("bare reads, wall s", "no-op", lambda r: r["wall"], "floor")),
    plan("bare reads, CPU s", "no-op", lambda r: r["cpu"], "floor"),
    clock(plan("1 % changed, wall s", "1 % changed", lambda r: r["wall"])),
    plan("1 % changed, peak MB", "1 % changed", lambda r: r["rss"]),
    clock(plan("all new, wall s", "all new", lambda r: r["wall"])),
    plan("all new, CPU s", "all new", lambda r: r["cpu"]),
    plan("all new, peak MB", "all new", lambda r: r["rss"]),
    Figure("validate, CPU s", "validate", {"form": "written out", "who": "fleetctl"}, lambda r: r["cpu"]),
    Figure("validate, peak MB", "validate", {"form": "written out", "who": "fleetctl"}, lambda r: r["rss"]),
    clock(Figure("policies and tokens, s", "pairings", {"who": "fleetctl"}, lambda r: r["seconds"])),
    over(clock(apply("apply, wall s", lambda r: r["wall"])), "apply, floor in blocks"),
    over(apply("apply, blocks", lambda r: r["blocks"]), "apply, floor in blocks"),
    apply("apply, floor in blocks", lambda r: r["floor"]),
    apply("apply, chain calls", lambda r: r["members"]),
)


def exponent(points: Mapping[int, float]) -> float:
    """Of the power law that fits best."""
    xs, ys = [log(size) for size in points], [log(value) for value in points.values()]
    middle, height = fmean(xs), fmean(ys)
    spread = sum((x - middle) ** 2 for x in xs)
    return sum((x - middle) * (y - height) for x, y in zip(xs, ys, strict=True)) / spread


def without_start(points: Mapping[int, float]) -> tuple[float, float] | None:
    """Exponent b, and what is left at N = 0, of cost = start + a·N^b. None where three sizes do not tell it."""
    ordered = sorted(points.items())[-3:]
    steps = [after - before for (_, before), (_, after) in pairwise(ordered)]
    if len(steps) < 2 or min(steps) <= 0:
        return None
    sizes = [size for size, _ in ordered]

    def bend(b: float) -> float:
        first, second = (float(large**b - small**b) for small, large in pairwise(sizes))
        return second / first

    b = bisect(bend, steps[1] / steps[0], LEAST, MOST)
    slope = steps[1] / (sizes[2] ** b - sizes[1] ** b)
    return b, ordered[0][1] - slope * sizes[0] ** b


def bisect(rising: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where between the two `rising` reaches `wanted`."""
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2


def main() -> None:
    measured = {name: Records(name).newest() for name in ("plan", "validate", "pairings", "apply")}
    found = {figure.name: figure.over_size(measured) for figure in FIGURES}
    found = {name: points for name, points in found.items() if len(points) > 1 and min(points.values()) > 0}
    if not found:
        print("nothing is measured yet at two sizes")
        return
    PLOT.write_text(curves.svg(found))
    used = [f"{name} at {records[0]['commit']}" for name, records in measured.items() if records]
    sections.write(TITLE, [*_about(used), *sections.table(_head(found), _rows(found))])


def _about(used: Sequence[str]) -> list[str]:
    return [
        f"`python bench/growth.py` from what was measured: {', '.join(used)}. Exponents of N by least squares over the",
        "logarithms; then the start-up part, which costs the same whatever N, is subtracted: cost = start + a·N^b",
        "through the three largest sizes. Seconds by the clock are left out where more ran than there are processors.",
        "Beside it stands the b of what the cost cannot be below: the bare reads of the same rounds, the blocks that",
        f"the gas fills. A b above {LIMIT} that is not above its floor's is the machine's or the chain's; one that is",
        "above both is marked, and is a mistake to mend.",
        "",
        "![cost over N](growth.svg)",
        "",
    ]


def _head(found: Mapping[str, Mapping[int, float]]) -> list[str]:
    sizes = [f"N = {size:,}" for size in _sizes(found)]
    return ["cost", *sizes, "exponent", "start", "exponent without it", "its floor's", ""]


def _rows(found: Mapping[str, Mapping[int, float]]) -> list[list[str]]:
    floors = {figure.name: found[figure.floor] for figure in FIGURES if figure.floor in found}
    # A floor cannot grow less than itself.
    floors |= {figure.floor: found[figure.floor] for figure in FIGURES if figure.floor in found}
    return [_row(name, points, _sizes(found), floors.get(name)) for name, points in found.items()]


def _row(name: str, points: Mapping[int, float], sizes: Sequence[int], floor: Mapping[int, float] | None) -> list[str]:
    values = [_short(points[size]) if size in points else "–" for size in sizes]
    whole, fitted = exponent(points), without_start(points)
    apart = ["–", "–"] if fitted is None else [_short(fitted[1]), f"{fitted[0]:.2f}"]
    mine, least = judged(points), None if floor is None else judged(floor)
    beside = "–" if least is None or floor is points else f"{least:.2f}"
    return [name, *values, f"{whole:.2f}", *apart, beside, verdict(mine, least)]


def judged(points: Mapping[int, float]) -> float:
    """The exponent without the start, or with it where three sizes do not tell them apart; as exact as it is shown."""
    fitted = without_start(points)
    return round(exponent(points) if fitted is None else fitted[0], 2)


def verdict(mine: float, least: float | None) -> str:
    if mine <= LIMIT:
        return ""
    return "as the floor" if least is not None and mine <= least + LIMIT - 1 else "above linear"


def _sizes(found: Mapping[str, Mapping[int, float]]) -> list[int]:
    return sorted({size for points in found.values() for size in points})


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


if __name__ == "__main__":
    main()
