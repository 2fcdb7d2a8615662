"""Faults of node, service, disk and neighbours, each with and without kills; then a plain run, and all is well."""

from collections.abc import Callable

from chaos_cases import Report, failures_of
from chaos_faults import pending_and_lost, table

Run = Callable[..., list[Report]]


def test_every_fault_strikes_and_leaves_nothing_behind(run_alone: Run) -> None:
    reports = run_alone([(name, 0, case, ()) for name, case in table().items()])
    assert not failures_of(reports)


def test_what_is_pending_is_waited_for_though_its_journal_is_lost(run_slowly: Run) -> None:
    assert not failures_of(run_slowly([("pending and lost", seed, pending_and_lost, ()) for seed in range(2)]))
