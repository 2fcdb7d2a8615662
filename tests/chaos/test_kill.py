"""SIGKILL at every point, and whenever; then a plain run. Every effect exactly once, counted where it arrives."""

from collections.abc import Sequence

from chaos_cases import CHAINS, Bench, Report, Run, all_well, chain_of_kills, killed_edits, of, random_instants, spread
from chaos_fleet import Fleet
from chaos_v1 import V1Fleet
from chaos_v2 import V2Fleet

RENEWAL = ("chain.broadcast/before", "chain.broadcast/after")
Points = tuple[list[str], list[str]]


def test_every_point_of_every_kind(run: Run, points: Points) -> None:
    struck_at_every_point(run, points, V1Fleet)


def struck_at_every_point(run: Run, points: Points, profile: type[Fleet]) -> None:
    made, edited = points
    making = [("making", seed, of(profile, chain_of_kills(part))) for seed, part in enumerate(spread(made, CHAINS))]
    parts = enumerate(spread(edited, CHAINS - 2))
    editing = [("editing", seed, of(profile, killed_edits(part))) for seed, part in parts]
    reports = run([*editing, *making])  # the longest first
    all_well(reports)
    left = {*made, *edited} - _struck(reports)
    # What earlier kills had already done leaves nothing to pass there: those get a fleet of their own.
    once = enumerate(sorted(left & {*made}))
    alone = [("alone", seed, of(profile, chain_of_kills([point]))) for seed, point in once]
    more = run([*alone, ("again", 0, of(profile, killed_edits(sorted(left & {*edited}))))])
    all_well(more)
    assert left - _struck(more) == set()


def _struck(reports: Sequence[Report]) -> set[str]:
    return {point for report in reports for point in report.struck}


def test_any_instant(run: Run) -> None:
    all_well(run([("instant", seed, random_instants(3)) for seed in range(7)]))


def test_a_renewal_is_paid_once(run_one: Run) -> None:
    """The one effect that adds up where it is repeated; test_kill_v2.py has all others of protocol v2."""
    points = [f"{at}/subscription: renew what ends n" for at in RENEWAL]

    def case(bench: Bench) -> None:
        bench.lossy = len(points)
        killed_edits(points, lambda fleet, _: fleet.edit_money())(bench)

    reports = run_one([("renewals", 0, of(V2Fleet, case))])
    all_well(reports)
    assert (reports[0].missed, reports[0].lost) == ([], 1)
