"""What is done to a fleet: kills at named points and at random instants, lost journals, and what that must not change.

A case is a function of its seed. Cases run in worker processes, since only a process without threads may fork.
"""

import multiprocessing
import multiprocessing.connection
import random
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from chaos_fleet import Fleet
from chaos_points import Tripwire
from chaos_process import Child, Ended
from chaos_v1 import V1Fleet
from e2e_harness import World

from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.lifecycle import running
from reconciler.sandbox.node import free_port

WORKERS = 6
"""Fleets looked after at the same time: they wait more than they work."""
CHAINS = 10
"""Fleets over which the points of a phase are spread; each is killed at one after the other."""
TRIES = 8
"""Runs in which a fleet must be converged once nobody kills any more."""
SESSION = (
    "api.send/before/POST /machines/-/agent-pairings",
    "api.send/before/POST /machines/-/agent-pairings/-/sessions",
)
TOUCH = "api.send/before/PATCH /machines/-/agent-pairings/- description"
KEPT = "journal.keep/after/"


@dataclass
class Report:
    """What a case did, and whether it went wrong."""

    name: str
    seed: int
    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    """By sort of kill."""
    struck: set[str] = field(default_factory=set)
    missed: list[str] = field(default_factory=list)
    """Points that a run was to be killed at and did not pass."""
    lost: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    failure: str = ""


@dataclass
class Bench:
    """Where one case works."""

    world: World
    root: Path
    report: Report
    dice: random.Random
    lossy: int = 3
    """After each so-manyth kill the journal is lost; 0 for never."""
    profile: type[Fleet] = V1Fleet

    def fleet(self, machines: int = 3, agents: int = 2) -> Fleet:
        return self.profile.make(self.world, self.root / "fleet", self.root.name, machines, agents)

    def killed_at(self, fleet: Fleet, point: str, turn: int = 1) -> bool:
        """An apply that is killed at the point; False where it does not pass there and so ends by itself."""
        notes = self.root / "notes"
        notes.unlink(missing_ok=True)
        ended = self.apply(fleet, around=Tripwire(notes, point, turn).around)
        if ended.killed:
            self._after_kill(fleet, notes, "point")
            self.report.struck.add(point)
        return ended.killed

    def killed_after(self, fleet: Fleet, seconds: float) -> bool:
        return self.finish(fleet, self.start(fleet), seconds, (0, 1, 5, 6))

    def start(self, fleet: Fleet, **how: Any) -> Child:
        """An apply that notes where it passes, unless it is watched otherwise."""
        self.report.runs += 1
        notes = self.root / "notes"
        notes.unlink(missing_ok=True)
        return fleet.start("apply", "--yes", **{"around": Tripwire(notes).around, **how})

    def finish(self, fleet: Fleet, child: Child, seconds: float | None, codes: Iterable[int]) -> bool:
        """Wait for its end or kill it after so many seconds; True where it was killed."""
        ended = child.wait(seconds)
        if ended.killed:
            self._after_kill(fleet, self.root / "notes", "instant")
        else:
            assert ended.code in codes, ended.text
        return ended.killed

    def apply(self, fleet: Fleet, *options: str, **how: Any) -> Ended:
        self.report.runs += 1
        return fleet.apply(*options, **how)

    def _after_kill(self, fleet: Fleet, notes: Path, sort: str) -> None:
        passed = Counter(notes.read_text().splitlines() if notes.exists() else ())
        sessions = sum(passed[point] for point in SESSION) + passed[TOUCH]
        kept = sum(count for point, count in passed.items() if point.startswith(KEPT))
        fleet.spare += max(0, sessions - kept)
        self.report.kills[sort] += 1
        if self.lossy and self.report.kills.total() % self.lossy == 0:
            fleet.lose_journal()
            self.report.lost += 1

    def converge(self, fleet: Fleet, tries: int = 1, codes: Iterable[int] = (0,)) -> None:
        """Plain runs until one ends well: the first must, unless faults are about."""
        ended = None
        for _ in range(tries):
            ended = self.apply(fleet)
            if ended.code == 0:
                fleet.made = set(fleet.machines)
                return
            assert ended.code in codes, ended.text
        assert ended is not None
        raise AssertionError(f"exit code {ended.code}:\n{ended.text}")


Case = Callable[[Bench], None]


def of(profile: type[Fleet], case: Case) -> Case:
    """The same with fleets of this sort."""

    def done(bench: Bench) -> None:
        bench.profile = profile
        case(bench)

    return done


def edit_some(fleet: Fleet, dice: random.Random) -> None:
    """A few edits of random sorts."""
    for edit in dice.sample(sorted(fleet.EDITS), dice.randint(1, 4)):
        fleet.EDITS[edit](fleet, dice)


# Recording.


def recorded(bench: Bench) -> tuple[list[str], list[str]]:
    """The points of a run that makes a fleet, and of one that edits it, in order of first passing."""
    fleet = bench.fleet()
    found: list[list[str]] = []
    for phase in (lambda: None, lambda: fleet.edit_all(bench.dice)):
        phase()
        notes = bench.root / "notes"
        notes.unlink(missing_ok=True)
        ended = fleet.apply(around=Tripwire(notes).around)
        assert ended.code == 0, ended.text
        fleet.made = set(fleet.machines)
        fleet.check()
        found.append(list(dict.fromkeys(notes.read_text().splitlines())))
    return found[0], found[1]


# Cases.


def chain_of_kills(points: Sequence[str]) -> Case:
    """Makes a fleet, killed at each of these points in turn."""

    def case(bench: Bench) -> None:
        fleet = bench.fleet()
        bench.report.missed += [point for point in points if not bench.killed_at(fleet, point)]
        bench.converge(fleet)
        fleet.check()

    return case


def _everything(fleet: Fleet, dice: random.Random) -> None:
    fleet.edit_all(dice)


def killed_edits(points: Sequence[str], edit: Callable[[Fleet, random.Random], None] = _everything) -> Case:
    """Edits a fleet once for each of these points, killed there."""

    def case(bench: Bench) -> None:
        fleet = bench.fleet()
        bench.converge(fleet)
        for point in points:
            edit(fleet, bench.dice)
            if not bench.killed_at(fleet, point):
                bench.report.missed.append(point)
            bench.converge(fleet)
        fleet.check()

    return case


def random_instants(kills: int) -> Case:
    """A random fleet, made and edited, killed whenever."""

    def case(bench: Bench) -> None:
        fleet = bench.fleet(bench.dice.randint(1, 3), bench.dice.randint(1, 2))
        for part in range(2):
            if part:
                edit_some(fleet, bench.dice)
            for _ in range(kills):
                bench.killed_after(fleet, bench.dice.uniform(0.2, 3.0 if part == 0 else 2.0))
            bench.converge(fleet)
            fleet.check()

    return case


# Running cases.


Job = tuple[str, int, Case]
"""Its name, its seed, and what is done."""
Run = Callable[[Sequence[Job]], list[Report]]


def crew(places: Sequence[SandboxInfo], root: Path, note: Callable[[Report], None]) -> Run:
    """Runs cases, one in each of these places at a time; a sandbox may be there several times."""
    root.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("fork")

    def run(jobs: Sequence[Job]) -> list[Report]:
        waiting, free, going, reports = list(jobs), list(places), {}, []
        while waiting or going:
            while waiting and free:
                job, place = waiting.pop(0), free.pop(0)
                receive, send = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(place, root, job, send))
                process.start()
                send.close()
                going[receive] = (process, job, place)
            for receive in multiprocessing.connection.wait(list(going)):
                process, job, place = going.pop(receive)
                try:
                    report = receive.recv()
                except EOFError:
                    report = Report(job[0], job[1], failure="its worker died")
                process.join()
                free.append(place)
                reports.append(report)
                note(report)
        return reports

    return run


def _work(info: SandboxInfo, root: Path, job: Job, send: Any) -> None:
    name, seed, case = job
    report = Report(name, seed)
    place = root / f"{name.replace(' ', '-').replace(':', '')}-{seed}"
    try:
        with httpx.Client(timeout=60, trust_env=False) as http:
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            case(Bench(World(info, http), place, report, random.Random(f"{name}-{seed}")))
        shutil.rmtree(place, ignore_errors=True)
    except BaseException:
        report.failure = traceback.format_exc() + _last_logs(place)
    send.send(report)
    send.close()


def _last_logs(place: Path) -> str:
    logs = sorted((place / "fleet").glob("run-*.log"), key=lambda p: p.stat().st_mtime)[-3:]
    return "".join(f"\n--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)


def spread(points: Sequence[str], chains: int) -> list[list[str]]:
    """Points that follow each other go to different chains, in order."""
    return [list(points[start::chains]) for start in range(chains)]


@contextmanager
def sandbox_at(root: Path, block_time: float = 0.0) -> Iterator[SandboxInfo]:
    with running(root, port=free_port(), block_time=block_time) as info:
        yield info


def all_well(reports: Iterable[Report]) -> None:
    """Says what went wrong, with the seeds that make it happen again."""
    failed = [f"{report.name} with seed {report.seed}: {report.failure}" for report in reports if report.failure]
    assert not failed, "\n".join(failed)


def summed(report: Report) -> Counter[str]:
    """What to count of a case."""
    counts = Counter({"fleets": 1, "runs": report.runs, "kills": report.kills.total(), "lost journals": report.lost})
    counts.update({f"kills: {sort}": count for sort, count in report.kills.items()})
    counts.update({f"faults: {sort}": count for sort, count in report.faults.items()})
    counts["failures"] = int(bool(report.failure))
    return counts
