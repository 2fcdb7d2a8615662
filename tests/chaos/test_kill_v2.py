"""SIGKILL at every point of every kind of protocol v2, and whenever; then a plain run. No renewal is paid twice."""

import random

import httpx
import pytest
from chaos_cases import Bench, Report, Run, all_well, of, random_instants, recorded, sandbox_at
from chaos_faults import pending_and_lost
from chaos_v2 import V2Fleet
from e2e_harness import World
from test_kill import Points, struck_at_every_point


@pytest.fixture(scope="module")
def points_v2(tmp_path_factory: pytest.TempPathFactory) -> Points:
    """The points that making a fleet and editing it pass."""
    root = tmp_path_factory.mktemp("recording")
    with sandbox_at(root / "sandbox") as info, httpx.Client(timeout=60, trust_env=False) as http:
        return recorded(Bench(World(info, http), root, Report("recording", 0), random.Random(0), profile=V2Fleet))


def test_every_point_of_every_v2_kind(run_alone: Run, points_v2: Points) -> None:
    struck_at_every_point(run_alone, points_v2, V2Fleet)


def renewed_meanwhile(bench: Bench) -> None:
    """Killed with renewals signed and not sent; then the owner pays for one of them. With and without the journal."""
    fleet = bench.fleet()
    assert isinstance(fleet, V2Fleet)
    bench.converge(fleet)
    for lossy in (0, 1):
        bench.lossy = lossy
        fleet.edit_money()
        assert bench.killed_at(fleet, "chain.broadcast/before/subscription: renew what ends n")
        fleet.renew_by_owner("air-3")
        bench.converge(fleet)
        fleet.check()


def test_what_its_owner_has_renewed_is_not_renewed_again(run_alone: Run) -> None:
    all_well(run_alone([("renewed meanwhile", 0, of(V2Fleet, renewed_meanwhile))]))


def test_what_is_pending_is_waited_for_though_its_journal_is_lost(run_ticking: Run) -> None:
    all_well(run_ticking([("pending and lost", seed, of(V2Fleet, pending_and_lost)) for seed in range(2)]))


def test_any_instant_of_v2_machines(run_alone: Run) -> None:
    all_well(run_alone([("instant", seed, of(V2Fleet, random_instants(3))) for seed in range(8)]))
