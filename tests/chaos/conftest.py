"""Fixtures for the tests that kill, and the sum of what was killed."""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.append(str(Path(__file__).parents[1] / "e2e"))

from chaos_cases import WORKERS, Bench, Report, crew, recorded, sandbox_at
from e2e_harness import World

REPORTS: list[Report] = []


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., list[Report]]]:
    root = tmp_path_factory.mktemp("chaos")
    with sandbox_at(root / "sandbox") as info, crew(info, root / "cases", WORKERS) as work:
        yield lambda jobs: _noted(work(jobs))


@pytest.fixture(scope="session")
def run_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., list[Report]]]:
    """One fleet at a time: what strikes it strikes the whole sandbox."""
    root = tmp_path_factory.mktemp("faults")
    with sandbox_at(root / "sandbox") as info, crew(info, root / "cases", 1) as work:
        yield lambda jobs: _noted(work(jobs))


@pytest.fixture(scope="session")
def run_slowly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., list[Report]]]:
    """With a block each second, so that transactions wait in the pool."""
    root = tmp_path_factory.mktemp("slow")
    with sandbox_at(root / "sandbox", block_time=1.0) as info, crew(info, root / "cases", WORKERS) as work:
        yield lambda jobs: _noted(work(jobs))


def _noted(reports: list[Report]) -> list[Report]:
    REPORTS.extend(reports)
    return reports


@pytest.fixture(scope="session")
def points(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """The points that making a fleet and editing it pass."""
    root = tmp_path_factory.mktemp("recording")
    with sandbox_at(root / "sandbox") as info, httpx.Client(timeout=60, trust_env=False) as http:
        return recorded(Bench(World(info, http), root, Report("recording", 0), random.Random(0)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not REPORTS:
        return
    kills: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for report in REPORTS:
        kills += report.kills
        faults += report.faults
    shown = ", ".join(f"{count} at a {sort}" for sort, count in kills.items())
    terminalreporter.write_line(
        f"chaos: {sum(r.runs for r in REPORTS)} runs of {len(REPORTS)} fleets, {kills.total()} kills ({shown}), "
        f"{sum(r.lost for r in REPORTS)} lost journals, {faults.total()} faults, "
        f"{sum(bool(r.failure) for r in REPORTS)} failures"
    )
