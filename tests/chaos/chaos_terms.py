"""What only protocol v2 can suffer: terms that move, pauses, time that runs out, payments whose blocks are gone."""

import os
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from chaos_cases import Bench, Case
from chaos_faults import LEFT, stopped, while_running
from chaos_fleet import Fleet
from chaos_points import Tripwire
from chaos_v2 import BOND, DAY, PERIOD, RENEW_BEFORE, V2Fleet
from e2e_harness import World

STALE = 8
ALLOWED = "allowance: allow the subscription contract to take n PEAQ"
TORN = (
    ("machine", ALLOWED),
    ("machine", "machine_activation: activate"),
    ("money", ALLOWED),
    ("money", "subscription: renew what ends n"),
)
"""What is edited, and the step whose block leaves the chain."""


def set_price(fleet: V2Fleet, wei: int) -> None:
    fleet.prices.add(wei)
    # A part of what is allowed at one price is left where it is less in the end.
    fleet.spread = max(fleet.prices) * len(fleet.machines) if len(fleet.prices) > 1 else 0
    fleet.world.control("setTierPrice", tier=0, usd=str(wei // 25))


def set_period(fleet: V2Fleet, seconds: int) -> None:
    fleet.periods.add(seconds)
    fleet.world.control("setSubscriptionPeriod", seconds=seconds)


@contextmanager
def _own_terms(world: World) -> Iterator[None]:
    """Afterwards all is as the sandbox began, for the next fleet."""
    try:
        yield
    finally:
        world.control("setTierPrice", tier=0, usd=str(BOND // 25))
        world.control("setSubscriptionPeriod", seconds=PERIOD)
        for scope in ("setTechnicalPausedGlobal", "setGeneralPausedGlobal"):
            world.control(scope, paused=False)


def struck(strike: Callable[[Bench, V2Fleet], None]) -> Case:
    """A fleet made and then edited, struck each time, and well again after a plain run."""

    def case(bench: Bench) -> None:
        with _own_terms(bench.world):
            fleet = bench.fleet()
            assert isinstance(fleet, V2Fleet)
            for part in range(2):
                if part:
                    fleet.edit_all(bench.dice)
                strike(bench, fleet)
                bench.converge(fleet, tries=3, codes=LEFT)
                fleet.check()

    return case


def _meanwhile(bench: Bench, fleet: Fleet, act: Callable[[], None], times: int) -> None:
    """Done while an apply is running, so many times."""
    child = bench.start(fleet)
    while_running(child, bench.dice, act, times)
    bench.finish(fleet, child, None, (0, *LEFT))


def moving(move: Callable[[V2Fleet, int], None], terms: tuple[int, int, int], stale: tuple[bool, bool]) -> Case:
    """The second of `terms` takes the place of the first between plan and apply, then any of them of any other.

    `stale` says whether that plan is: of a fleet that is new, and of one that is edited.
    """
    usual, then, _ = terms

    def strike(bench: Bench, fleet: V2Fleet) -> None:
        saved = str(fleet.root / "plan.json")
        move(fleet, usual)
        assert fleet.run("plan", "--out", saved).code == 0
        move(fleet, then)
        ended = bench.apply(fleet, saved)
        assert (ended.code == STALE) == stale[bool(fleet.made)], ended.text

        def again() -> None:
            move(fleet, bench.dice.choice(terms))
            bench.report.faults["terms moved"] += 1

        _meanwhile(bench, fleet, again, 4)

    return struck(strike)


def paused(bench: Bench, fleet: V2Fleet) -> None:
    """By peaq, in the middle of an apply, for a moment; the next one finds it paused."""
    for scope in ("setTechnicalPausedGlobal", "setGeneralPausedGlobal"):
        states = iter((True, False))

        def turn(scope: str = scope, states: Iterator[bool] = states) -> None:
            bench.world.control(scope, paused=next(states))
            bench.report.faults["paused"] += 1

        _meanwhile(bench, fleet, turn, 2)
        bench.world.control(scope, paused=True)
        ended = bench.apply(fleet, "--timeout", "10")
        assert ended.code in (0, *LEFT), ended.text
        bench.world.control(scope, paused=False)


def out_of_time(bench: Bench) -> None:
    """Subscriptions run into their grace while an apply is running: once it was to renew them, and once it was not."""
    with _own_terms(bench.world):
        fleet = bench.fleet()
        assert isinstance(fleet, V2Fleet)
        bench.converge(fleet)
        for renews in (True, False):
            fleet.edit_url("air-1", f"renews-{renews}")
            fleet.edit_pause("air-3")
            if renews:
                fleet.edit_money()

            def pass_time(renews: bool = renews) -> None:
                if renews:
                    bench.world.control("increaseTime", seconds=RENEW_BEFORE * DAY)
                else:
                    fleet.pass_time(until_end=-DAY)
                bench.report.faults["out of time"] += 1

            _meanwhile(bench, fleet, pass_time, 1)
            if not bench.report.faults["out of time"]:
                pass_time()
            bench.converge(fleet, tries=3, codes=LEFT)
            fleet.check()


def torn_out(*, kill: bool, lossy: int = 0) -> Case:
    """Its block leaves the chain as soon as a transaction is mined; the run goes on, or is killed, journal and all."""

    def case(bench: Bench) -> None:
        bench.lossy = lossy
        fleet = bench.fleet(1)
        for edit, step in TORN:
            if fleet.made:
                _edit(fleet, edit, bench.dice)
            wire = Tripwire(bench.root / "notes", f"journal.mined/after/{step}", number=signal.SIGSTOP)
            child = bench.start(fleet, around=wire.around)
            stopped(child)
            bench.world.control("reorg", depth=bench.world.head() - _last_block(fleet) + 1)
            bench.report.faults["reorg"] += 1
            os.kill(child.pid, signal.SIGKILL if kill else signal.SIGCONT)
            bench.finish(fleet, child, None, (0, *LEFT))
            bench.converge(fleet, tries=3, codes=LEFT)
            fleet.check()

    return case


def _edit(fleet: Fleet, edit: str, dice: random.Random) -> None:
    fleet.EDITS[edit](fleet, dice)
    if edit == "machine" and fleet.manifest["machines"][-1]["v2"].get("custody") == "machine":
        # That one allows what it pays as it pays; the next one's operator does so before.
        fleet.EDITS[edit](fleet, dice)


def _last_block(fleet: Fleet) -> int:
    """The newest with a transaction of the fleet's in it."""
    number = fleet.world.head()
    while True:
        block = fleet.world.rpc("eth_getBlockByNumber", hex(number), True)
        if any(found["from"].lower() in fleet.accounts() for found in block["transactions"]):
            return number
        number -= 1


def terms() -> Mapping[str, Case]:
    """By name."""
    dearer, cheaper = BOND * 6 // 5, BOND * 4 // 5
    periods = (PERIOD, 500 * DAY, 100 * DAY)
    return {
        "dearer": moving(set_price, (BOND, dearer, cheaper), (True, True)),
        "cheaper": moving(set_price, (BOND, cheaper, dearer), (False, False)),
        "another period": moving(set_period, periods, (False, True)),
        "paused by peaq": struck(paused),
        "out of time": out_of_time,
    }


TICKING: Mapping[str, Case] = {
    "torn out": torn_out(kill=False),
    "torn out and killed": torn_out(kill=True),
    "torn out and all lost": torn_out(kill=True, lossy=1),
}
"""Those with reorganisations."""
