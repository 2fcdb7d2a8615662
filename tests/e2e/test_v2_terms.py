"""Time, prices, pauses and strangers: what befalls machines of protocol v2, and what of it must not be repaired."""

import random
import shutil
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from e2e_harness import PEAQ, World, Yard, count_writes
from eth_account import Account
from v2_fleet import DAY, REGISTRY, SUBSCRIPTION, TYPE, chained, did, live_by_v2, since

from reconciler.sandbox.chain import calldata
from reconciler.sandbox.config import WPEAQ_PRECOMPILE
from reconciler.sandbox.lifecycle import running
from reconciler.sandbox.node import free_port

MakeYard = Callable[..., Yard]
YEAR = 365 * DAY
USD = 10**18
SEED = 20261121


def own_world(factory: pytest.TempPathFactory, block_time: float) -> Iterator[World]:
    """A sandbox whose clock and prices nobody else minds."""
    with (
        running(factory.mktemp("v2"), port=free_port(), block_time=block_time) as info,
        httpx.Client(timeout=30, trust_env=False) as http,
    ):
        count_writes(found := World(info, http))
        yield found


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from own_world(tmp_path_factory, 0)


@pytest.fixture(scope="module")
def slow_terms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from own_world(tmp_path_factory, 0.5)


def test_a_renewal_comes_when_it_is_due_and_once(new_yard: MakeYard, terms: World) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a", "b", renewBefore="30d")
    yard.machine("b")["v2"]["renewBefore"] = "10d"
    did(yard)
    first, other = chained(yard, "a"), chained(yard, "b")
    ends = first.paid_until, other.paid_until
    terms.control("increaseTime", seconds=340 * DAY)
    head = terms.head()
    did(yard)
    assert since(yard, head) == {"approve": 1, "renew": 1}
    assert (first.paid_until, other.paid_until) == (ends[0] + YEAR, ends[1])


@pytest.mark.parametrize("lost", [True, False], ids=["journal lost", "journal there"])
@pytest.mark.parametrize("times", [1, 12], ids=["once", "for a while"])
def test_what_a_node_does_not_show_yet_is_not_paid_again(
    new_yard: MakeYard, terms: World, times: int, *, lost: bool
) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a", renewBefore="30d")
    did(yard)
    terms.control("increaseTime", seconds=340 * DAY)
    # More than one renewal costs, so that a second one would not fail.
    terms.send(yard.operator, WPEAQ_PRECOMPILE, calldata("approve(address,uint256)", SUBSCRIPTION, 9 * PEAQ))
    head = terms.head()
    terms.control("mine")
    assert yard.run("apply", "--yes").code == 0
    if lost:
        shutil.rmtree(yard.journal.parent)
    terms.rpc_faults({"action": "stale", "method": "eth_getBlockByNumber", "blocks": 1, "count": times})
    try:
        again = yard.run("apply", "--yes")
    finally:
        terms.well()
    assert again.code == 0, again.said
    assert since(yard, head) == {"renew": 1}, again.said


def test_nobody_is_enrolled_who_cannot_be_activated(new_yard: MakeYard, terms: World) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a")
    yard.machine("a")["pairings"] = [{"agent": "ops", "role": "ops", "delegationPolicy": "small"}]
    yard.manifest["defaults"]["market"] = {"machineType": TYPE, "runtimeProfile": "linux-arm64"}
    terms.control("setTechnicalPausedGlobal", paused=True)
    try:
        plan = yard.run("plan")
    finally:
        terms.control("setTechnicalPausedGlobal", paused=False)
    assert "Plan: 0 to add" in plan.out, plan.out
    did(yard)


def test_a_renewal_comes_in_the_grace_period_too(new_yard: MakeYard, terms: World) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a")
    did(yard)
    machine = chained(yard, "a")
    end = machine.paid_until
    terms.control("increaseTime", seconds=370 * DAY)
    plan = yard.run("plan", "-v", "--detailed-exitcode")
    assert plan.code == 0, plan.said
    assert "in its grace period" in plan.out, plan.out
    yard.machine("a")["v2"]["renewBefore"] = "30d"
    did(yard)
    assert machine.paid_until == end + YEAR


def test_killed_at_any_instant_it_renews_once(new_yard: MakeYard, slow_terms: World) -> None:
    yard = new_yard(0, world=slow_terms)
    names = ("a", "b", "c")
    live_by_v2(yard, *names, renewBefore="30d")
    assert yard.run("apply", "--yes").code == 0
    ends = [chained(yard, name).paid_until for name in names]
    slow_terms.control("increaseTime", seconds=340 * DAY)
    head = slow_terms.head()
    instants = random.Random(SEED)
    for _ in range(6):
        process = yard.spawn("apply", "--yes")
        time.sleep(instants.uniform(0.8, 2.2))
        process.kill()
        process.communicate()
    ran = yard.finish(yard.spawn("apply", "--yes"))
    assert ran.code == 0, ran.said
    assert since(yard, head)["renew"] == len(names)
    assert [chained(yard, name).paid_until for name in names] == [end + YEAR for end in ends]
    assert yard.run("plan", "--detailed-exitcode").code == 0


def test_a_subscription_that_was_never_opened_is_opened(new_yard: MakeYard, terms: World) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a")
    did(yard)
    machine = chained(yard, "a")
    terms.control("forgetSubscription", machineId=str(machine.id))
    head = terms.head()
    did(yard)
    assert since(yard, head) == {"approve": 1, "open": 1}
    assert machine.paid_until > 0


def test_vouchers_and_rewards_are_taken_off(new_yard: MakeYard, terms: World) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a", "b", renewBefore="30d")
    account = yard.operator.address
    terms.control("setVoucher", address=account, wei=str(7 * PEAQ // 10))
    assert "0.3 bond" in yard.run("plan").out
    before = terms.balance(account)
    did(yard)
    assert before - terms.balance(account) < 31 * PEAQ // 100
    terms.control("increaseTime", seconds=340 * DAY)
    terms.control("setBondingReward", address=account, wei=str(2 * PEAQ))
    head = terms.head()
    did(yard)
    assert since(yard, head) == {"renew": 2}


def test_a_price_that_rises_after_the_plan_is_not_paid(new_yard: MakeYard, terms: World) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a", "b")
    saved = str(yard.root / "plan.json")
    assert yard.run("plan", "--out", saved).code == 0
    terms.control("setPeaqPrice", usd=str(USD // 50))
    try:
        refused = yard.run_as_is("apply", saved, "--yes")
        assert refused.code == 8, refused.said
        assert "it would take 1 PEAQ now; the plan says 0.5 PEAQ" in refused.said, refused.said
    finally:
        terms.control("setPeaqPrice", usd=str(USD // 25))
    terms.control("setPeaqPrice", usd=str(USD // 20))
    try:
        applied = yard.run_as_is("apply", saved, "--yes")
        assert applied.code == 0, applied.said
        assert since(yard, yard.since) == {"approve": 1, "activateMachine": 2}
    finally:
        terms.control("setPeaqPrice", usd=str(USD // 25))


def test_no_machine_costs_more_than_it_may(new_yard: MakeYard, terms: World) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a", "b", maxBond="0.4 PEAQ")
    yard.machine("b")["v2"]["maxBond"] = "0.5 PEAQ"
    applied = yard.run("apply", "--yes")
    assert applied.code == 5, applied.said
    assert "its activation would cost 0.5 PEAQ; v2.maxBond allows 0.4 PEAQ" in applied.out
    assert since(yard, yard.since) == {"approve": 1, "activateMachine": 1}


def test_without_a_price_what_is_there_is_left_in_peace(new_yard: MakeYard, terms: World) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a")
    did(yard)
    terms.control("setPeaqPrice", usd="0")
    try:
        assert yard.run("plan", "--detailed-exitcode").code == 0
        live_by_v2(yard, "a", "b")
        plan = yard.run("plan", "--detailed-exitcode")
        assert plan.code == 2
        assert "the protocol has no price for bonds now" in plan.out
    finally:
        terms.control("setPeaqPrice", usd=str(USD // 25))


@pytest.mark.parametrize(
    ("op", "arguments", "why"),
    [
        ("setGeneralPaused", {"paused": True}, "peaq has put a general pause on it"),
        ("setTechnicalPaused", {"paused": True}, "peaq has put a technical pause on it"),
        ("setRelocating", {"relocating": True}, "it is moving to another chain"),
        ("setHomeChain", {"chain": 5}, "its home is another chain (Solana)"),
    ],
)
def test_what_peaq_does_to_a_machine_is_shown_and_left(
    new_yard: MakeYard, terms: World, op: str, arguments: dict[str, object], why: str
) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a", "b")
    did(yard)
    terms.control(op, machineId=str(chained(yard, "a").id), **arguments)
    for name in ("a", "b"):
        yard.machine(name)["v2"]["paused"] = True
    head = terms.head()
    applied = yard.run("apply", "--yes")
    assert applied.code == 5, applied.said
    assert why in applied.out, applied.out
    assert since(yard, head) == {"suspend": 1}
    assert (chained(yard, "a").paused, chained(yard, "b").paused) == (False, True)


def test_a_machine_of_somebody_else_is_no_machine_of_ours(new_yard: MakeYard, terms: World) -> None:
    yard, stranger = new_yard(0, world=terms), Account.create()
    live_by_v2(yard, "a", "b")
    did(yard)
    taken = chained(yard, "a")
    give = calldata("transferFrom(address,address,uint256)", yard.operator.address, stranger.address, taken.id)
    terms.send(yard.operator, REGISTRY, give)
    for name in ("a", "b"):
        yard.machine(name)["v2"]["serviceEndpoints"] = []
        yard.machine(name)["metadata"] = {"documentationUrl": "https://new.example.com"}
    head = terms.head()
    applied = yard.run("apply", "--yes")
    assert applied.code == 5, applied.said
    assert f"owned by {stranger.address.lower()}" in applied.out
    assert since(yard, head) == {"setServiceEndpoints": 1}


def test_what_never_changes_is_not_changed(new_yard: MakeYard, terms: World) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a", "b")
    did(yard)
    before = yard.footprint()
    yard.machine("a")["v2"]["tier"] = "basic"
    yard.machine("b")["v2"]["manufacturer"] = Account.create().address
    applied = yard.run("apply", "--yes")
    assert applied.code == 5, applied.said
    assert "its tier is entry, and cannot be changed to basic" in applied.out
    assert "its manufacturer is" in applied.out
    assert yard.footprint() == before


def test_a_terminated_machine_stays_so(new_yard: MakeYard, terms: World) -> None:
    yard = new_yard(0, world=terms)
    live_by_v2(yard, "a", renewBefore="30d")
    did(yard)
    terms.control("increaseTime", seconds=500 * DAY)
    assert "s ahead of this machine's clock" in " ".join(yard.run("preflight").out.split())
    before = yard.footprint()
    applied = yard.run("apply", "--yes")
    assert applied.code == 5, applied.said
    assert "its subscription is terminated, which is final" in applied.out
    assert yard.footprint() == before
