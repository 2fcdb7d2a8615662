"""SIGKILL at every point, and whenever; then a plain run. Every effect exactly once, counted where it arrives."""

from collections.abc import Callable

from chaos_cases import CHAINS, Report, chain_of_kills, failures_of, killed_edits, random_instants, spread

Run = Callable[..., list[Report]]
Points = tuple[list[str], list[str]]


def test_every_point_of_every_kind(run: Run, points: Points) -> None:
    made, edited = points
    making = [("making", seed, chain_of_kills(part), ()) for seed, part in enumerate(spread(made, CHAINS))]
    editing = [("editing", seed, killed_edits(part), ()) for seed, part in enumerate(spread(edited, CHAINS // 2))]
    reports = run([*making, *editing])
    assert not failures_of(reports)
    left = {*made, *edited} - _struck(reports)
    # What earlier kills had already done leaves nothing to pass there: those get a fleet of their own.
    alone = [("alone", seed, chain_of_kills([point]), ()) for seed, point in enumerate(sorted(left & {*made}))]
    again = [("again", 0, killed_edits(sorted(left & {*edited})), ())]
    more = run([*alone, *again])
    assert not failures_of(more)
    assert left - _struck(more) == set()


def _struck(reports: list[Report]) -> set[str]:
    return {point for report in reports for point in report.struck}


def test_any_instant(run: Run) -> None:
    assert not failures_of(run([("instant", seed, random_instants(3), ()) for seed in range(8)]))
