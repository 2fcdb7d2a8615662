"""Faults of node, service, disk and neighbours, with and without kills; then a plain run, and all is well."""

from collections.abc import Sequence

import pytest
from chaos_cases import Run, all_well, of, random_instants
from chaos_faults import pending_and_lost, table
from chaos_fleet import Fleet
from chaos_v1 import V1Fleet
from chaos_v2 import V2Fleet

REORGS = ("reorgs", "reorgs and a kill")
both = pytest.mark.parametrize("profile", [V1Fleet, V2Fleet])


@both
def test_every_fault_strikes_and_leaves_nothing_behind(run_alone: Run, profile: type[Fleet]) -> None:
    _all_strike(run_alone, profile, [name for name in table() if name not in REORGS])


@both
def test_reorganisations_take_nothing_and_double_nothing(run_ticking: Run, profile: type[Fleet]) -> None:
    _all_strike(run_ticking, profile, REORGS)


def _all_strike(run: Run, profile: type[Fleet], names: Sequence[str]) -> None:
    reports = run([(name, 0, of(profile, table()[name])) for name in names])
    all_well(reports)
    assert [report.name for report in reports if not report.faults.total()] == []


def test_what_is_pending_is_waited_for_though_its_journal_is_lost(run_slowly: Run) -> None:
    all_well(run_slowly([("pending and lost", seed, pending_and_lost) for seed in range(2)]))


def test_any_instant_while_blocks_take_their_time(run_slowly: Run) -> None:
    all_well(run_slowly([("slow instant", seed, random_instants(2)) for seed in range(4)]))
