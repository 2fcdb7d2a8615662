"""SIGKILL at every point, and whenever; then a plain run. Every effect exactly once, counted where it arrives."""

from collections.abc import Sequence

from chaos_cases import CHAINS, Report, Run, all_well, chain_of_kills, killed_edits, random_instants, spread

Points = tuple[list[str], list[str]]


def test_every_point_of_every_kind(run: Run, points: Points) -> None:
    made, edited = points
    making = [("making", seed, chain_of_kills(part)) for seed, part in enumerate(spread(made, CHAINS))]
    editing = [("editing", seed, killed_edits(part)) for seed, part in enumerate(spread(edited, CHAINS // 2))]
    reports = run([*making, *editing])
    all_well(reports)
    left = {*made, *edited} - _struck(reports)
    # What earlier kills had already done leaves nothing to pass there: those get a fleet of their own.
    alone = [("alone", seed, chain_of_kills([point])) for seed, point in enumerate(sorted(left & {*made}))]
    more = run([*alone, ("again", 0, killed_edits(sorted(left & {*edited})))])
    all_well(more)
    assert left - _struck(more) == set()


def _struck(reports: Sequence[Report]) -> set[str]:
    return {point for report in reports for point in report.struck}


def test_any_instant(run: Run) -> None:
    all_well(run([("instant", seed, random_instants(3)) for seed in range(7)]))
