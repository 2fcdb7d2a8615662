"""Fixtures for the tests that kill, and the sum of what was killed."""

import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.append(str(Path(__file__).parents[1] / "e2e"))

from chaos_cases import WORKERS, Bench, Report, Run, crew, recorded, sandbox_at, summed
from e2e_harness import World

REPORTS: list[Report] = []


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Several fleets at a time on one sandbox."""
    root = tmp_path_factory.mktemp("chaos")
    with sandbox_at(root / "sandbox") as info:
        yield crew([info] * WORKERS, root / "cases", REPORTS.append)


@pytest.fixture(scope="session")
def run_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One fleet at a time, which has the sandbox and its clock to itself."""
    root = tmp_path_factory.mktemp("one")
    with sandbox_at(root / "sandbox") as info:
        yield crew([info], root / "cases", REPORTS.append)


@pytest.fixture(scope="session")
def run_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Each fleet has a sandbox to itself: what strikes it strikes the whole sandbox."""
    root = tmp_path_factory.mktemp("faults")
    with ExitStack() as stack:
        infos = [stack.enter_context(sandbox_at(root / f"sandbox-{n}")) for n in range(WORKERS - 2)]
        yield crew(infos, root / "cases", REPORTS.append)


@pytest.fixture(scope="session")
def run_ticking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Alone, on a chain that goes on whatever happens, as those do that are reorganised."""
    root = tmp_path_factory.mktemp("ticking")
    with ExitStack() as stack:
        infos = [stack.enter_context(sandbox_at(root / f"sandbox-{n}", block_time=1.0)) for n in range(2)]
        yield crew(infos, root / "cases", REPORTS.append)


@pytest.fixture(scope="session")
def run_slowly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """With a block each second, so that transactions wait in the pool."""
    root = tmp_path_factory.mktemp("slow")
    with sandbox_at(root / "sandbox", block_time=1.0) as info:
        yield crew([info] * WORKERS, root / "cases", REPORTS.append)


@pytest.fixture(scope="session")
def points(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """The points that making a fleet and editing it pass."""
    root = tmp_path_factory.mktemp("recording")
    with sandbox_at(root / "sandbox") as info, httpx.Client(timeout=60, trust_env=False) as http:
        return recorded(Bench(World(info, http), root, Report("recording", 0), random.Random(0)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if REPORTS:
        totals: Counter[str] = sum((summed(report) for report in REPORTS), Counter())
        terminalreporter.write_line("chaos: " + ", ".join(f"{name} {count}" for name, count in sorted(totals.items())))
