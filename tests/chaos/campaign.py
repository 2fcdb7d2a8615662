"""The same for as long as there is time: `make chaos`. Counts add up in a file; a failure is repeated by its seed.

PYTHONPATH=.:tests/e2e python tests/chaos/campaign.py [--minutes 30] [--target 10000] [--profile v2]
    [--only NAME --seed N]
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
from chaos_cases import (
    WORKERS,
    Bench,
    Case,
    Report,
    chain_of_kills,
    crew,
    killed_edits,
    of,
    random_instants,
    recorded,
    sandbox_at,
    summed,
)
from chaos_faults import DISASTERS, Script, pending_and_lost, scripted, table
from chaos_fleet import Fleet
from chaos_terms import TICKING, terms
from chaos_v1 import V1Fleet
from chaos_v2 import V2Fleet
from e2e_harness import World
from platformdirs import user_cache_path

BOOK = user_cache_path("fleetctl") / "chaos.json"
ROUND = 12
"""Cases between two entries in the book."""
ALONE = {*table(), "script"}
SLOW = {"slow instant", "pending and lost"}
FAST = {"making", "editing", "instant"}
V2 = "v2 "
"""In front of the names of what is done to fleets of protocol v2."""
V2_TICKING = {"pending and lost", "reorgs", "reorgs and a kill", *TICKING}
V2_ALONE = {*FAST, "script", *table(), *terms()} - V2_TICKING
TURNS = {
    "v1": [
        ["instant", "making"], ["editing", "instant"], ["script"], ["slow instant", "pending and lost"],
        ["instant"], sorted(table()),
    ],
    "v2": [
        [V2 + "making", V2 + "instant"], [V2 + "editing", V2 + "script"],
        sorted(V2 + name for name in V2_TICKING), [V2 + "instant"], sorted(V2 + name for name in V2_ALONE),
    ],
}  # fmt: skip
Points = tuple[list[str], list[str]]


def case_of(name: str, seed: int, points: Mapping[type[Fleet], Points]) -> Case:
    """What `name` with `seed` does."""
    profile: type[Fleet] = V2Fleet if name.startswith(V2) else V1Fleet
    dice = random.Random(f"campaign-{name}-{seed}")
    return of(profile, _case(name.removeprefix(V2), seed, dice, profile, points.get(profile, ([], []))))


def _case(name: str, seed: int, dice: random.Random, profile: type[Fleet], points: Points) -> Case:
    made, edited = points
    if name == "making":
        return chain_of_kills([point for point in made if point in set(dice.sample(sorted(made), 8))])
    if name == "editing":
        return killed_edits(dice.sample(sorted(edited), 6))
    if name in ("instant", "slow instant"):
        return random_instants(dice.randint(1, 5))
    if name == "pending and lost":
        return pending_and_lost
    if name == "script":
        edits, disasters = sorted(profile.EDITS), sorted(DISASTERS)
        chosen = dice.sample(edits, dice.randint(0, 4)), dice.choices(disasters, k=dice.randint(0, 4))
        return scripted(Script(seed, dice.randint(1, 3), dice.randint(1, 2), *chosen))
    return {**table(), **terms(), **TICKING}[name]


def read_book(path: Path) -> dict[str, Any]:
    if path.exists():
        book: dict[str, Any] = json.loads(path.read_text())
        return book
    return {"next": 0, "counts": {}, "failures": []}


def enter(book: dict[str, Any], report: Report) -> None:
    counts = Counter(book["counts"]) + summed(report)
    book["counts"] = dict(counts)
    if report.failure:
        book["failures"].append({"name": report.name, "seed": report.seed, "what": report.failure[-4000:]})
        print(f"FAILED: --only '{report.name}' --seed {report.seed}\n{report.failure[-3000:]}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--target", type=int, default=10_000, help="kills to reach")
    parser.add_argument("--profile", choices=[*TURNS], action="append", help="only fleets of this protocol")
    parser.add_argument("--only")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--book", type=Path, default=BOOK)
    wanted = parser.parse_args()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        fast = stack.enter_context(sandbox_at(root / "fast"))
        slow = stack.enter_context(sandbox_at(root / "slow", block_time=1.0))
        own = [stack.enter_context(sandbox_at(root / f"own-{n}")) for n in range(WORKERS // 2)]
        http = stack.enter_context(httpx.Client(timeout=60, trust_env=False))
        ticking = [stack.enter_context(sandbox_at(root / f"ticking-{n}", block_time=1.0)) for n in range(2)]
        chosen = wanted.profile or [*TURNS]
        points = {
            profile: recorded(
                Bench(World(own[0], http), root / name, Report("recording", 0), random.Random(0), profile=profile)
            )
            for name, profile in {"v1": V1Fleet, "v2": V2Fleet}.items()
        }
        places = (
            dict.fromkeys(FAST, [fast] * WORKERS)
            | dict.fromkeys(SLOW, [slow] * WORKERS)
            | dict.fromkeys(ALONE, own)
            | {V2 + name: own for name in V2_ALONE}
            | {V2 + name: ticking for name in V2_TICKING}
        )
        book = {"next": 0, "counts": {}, "failures": []} if wanted.only else read_book(wanted.book)

        def note(report: Report) -> None:
            enter(book, report)

        if wanted.only:
            seed = wanted.seed or 0
            crew(places[wanted.only], root / "cases", note)([(wanted.only, seed, case_of(wanted.only, seed, points))])
            print(book["counts"])
            return int(bool(book["failures"]))
        end = time.monotonic() + wanted.minutes * 60
        # One of each in turn.
        turns = [names for both in zip_longest(*(TURNS[profile] for profile in chosen)) for names in both if names]
        while time.monotonic() < end and book["counts"].get("kills", 0) < wanted.target:
            number = book["next"]
            names = turns[number % len(turns)]
            start = number * ROUND
            drawn = [(names[seed % len(names)], seed) for seed in range(start, start + ROUND)]
            run = crew(places[names[0]], root / "cases", note)
            run([(name, seed, case_of(name, seed, points)) for name, seed in drawn])
            book["next"] = number + 1
            wanted.book.parent.mkdir(parents=True, exist_ok=True)
            wanted.book.write_text(json.dumps(book, indent=1))
            print(", ".join(f"{name} {count}" for name, count in sorted(book["counts"].items())), flush=True)
    return int(bool(book["failures"]))


if __name__ == "__main__":
    sys.exit(main())
