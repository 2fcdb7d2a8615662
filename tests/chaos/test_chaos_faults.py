"""Faults of node, service, disk and neighbours, with and without kills; then a plain run, and all is well."""

from collections.abc import Mapping

import pytest
from chaos_cases import Case, Run, all_well, of, random_instants
from chaos_faults import pending_and_lost, table
from chaos_fleet import Fleet
from chaos_terms import TICKING, terms
from chaos_v1 import V1Fleet
from chaos_v2 import V2Fleet

REORGS = ("reorgs", "reorgs and a kill")
both = pytest.mark.parametrize("profile", [V1Fleet, V2Fleet])


@both
def test_every_fault_strikes_and_leaves_nothing_behind(run_alone: Run, profile: type[Fleet]) -> None:
    _all_strike(run_alone, profile, {name: case for name, case in table().items() if name not in REORGS})


@both
def test_reorganisations_take_nothing_and_double_nothing(run_ticking: Run, profile: type[Fleet]) -> None:
    _all_strike(run_ticking, profile, {name: table()[name] for name in REORGS})


def test_terms_of_v2_move_and_nothing_is_paid_twice(run_alone: Run) -> None:
    _all_strike(run_alone, V2Fleet, terms())


def test_payments_whose_block_is_gone_are_made_once(run_ticking: Run) -> None:
    _all_strike(run_ticking, V2Fleet, TICKING)


def _all_strike(run: Run, profile: type[Fleet], cases: Mapping[str, Case]) -> None:
    reports = run([(name, 0, of(profile, case)) for name, case in cases.items()])
    all_well(reports)
    assert [report.name for report in reports if not report.faults.total()] == []


def test_what_is_pending_is_waited_for_though_its_journal_is_lost(run_slowly: Run) -> None:
    all_well(run_slowly([("pending and lost", seed, pending_and_lost) for seed in range(2)]))


def test_any_instant_while_blocks_take_their_time(run_slowly: Run) -> None:
    all_well(run_slowly([("slow instant", seed, random_instants(2)) for seed in range(4)]))
