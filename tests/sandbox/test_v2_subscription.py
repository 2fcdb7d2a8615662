"""A machine's paid time, from the first day to the end, and who may stop it meanwhile."""

from collections.abc import Iterator

import httpx
import pytest
from chain_harness import PEAQ, User, World
from v2_harness import (
    ACTIVE,
    BOND,
    DAY,
    GRACE,
    MIRROR,
    NOT_ACTIVATED,
    RUNOFF,
    STATE,
    SUBSCRIPTION,
    TERMINATED,
    TOKEN,
    Machine,
    activated,
    approve,
    error,
    event,
    refusal,
    status,
    subscription,
)  # fmt: skip

from reconciler.sandbox.chain import calldata
from reconciler.sandbox.lifecycle import running
from reconciler.sandbox.node import free_port

YEAR = 365 * DAY


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sandbox whose clock these tests move: nobody else's."""
    with running(tmp_path_factory.mktemp("clocked"), port=free_port()) as info, httpx.Client(timeout=30) as http:
        yield World(info, http)


def renew(machine: Machine) -> str:
    return calldata("renew(uint256)", machine.id)


def available(world: World, machine: Machine) -> bool:
    return bool(world.read(STATE, "isMachineAvailable(uint256)", machine.id, returns="bool"))


def test_it_runs_out_in_four_steps(clocked: World) -> None:
    owner = clocked.user()
    machine = activated(owner)
    seen = [(status(clocked, machine), available(clocked, machine))]
    for days in (365, 30, 90):
        clocked.control("increaseTime", seconds=days * DAY)
        seen.append((status(clocked, machine), available(clocked, machine)))
    assert seen == [(ACTIVE, True), (GRACE, True), (RUNOFF, False), (TERMINATED, False)]
    assert refusal(owner, SUBSCRIPTION, renew(machine)) == error("AlreadyTerminated()")
    again = calldata("activate(uint256,uint8)", machine.id, 0)
    assert refusal(owner, SUBSCRIPTION, again) == error("AlreadyActivated()")


@pytest.mark.parametrize("days", [10, 380, 400])
def test_renewal_goes_on_from_the_stored_end(clocked: World, days: int) -> None:
    owner = clocked.user()
    machine = activated(owner)
    before = subscription(clocked, machine)
    clocked.control("increaseTime", seconds=days * DAY)
    for _ in range(2):
        assert owner.send(SUBSCRIPTION, renew(machine))["status"] == "0x1"
    after = subscription(clocked, machine)
    assert after[1:4] == (before[1], before[2] + 2 * YEAR, 3 * BOND)
    assert status(clocked, machine) == ACTIVE


def test_the_tier_may_change_only_between_periods(clocked: World) -> None:
    owner = clocked.user()
    machine = activated(owner)
    basic = calldata("renew(uint256,uint8)", machine.id, 1)
    assert refusal(owner, SUBSCRIPTION, basic) == error("TierChangeWhileActive()")
    clocked.control("increaseTime", seconds=YEAR)
    assert owner.send(SUBSCRIPTION, basic)["status"] == "0x1"
    tier, *_, bonded, _ = subscription(clocked, machine)
    assert (tier, bonded) == (1, BOND + 10 * BOND)


def test_credits_are_the_owners_whoever_pays(world: World) -> None:
    owner, controller = world.user(), world.user()
    world.control("setVoucher", address=owner.address, wei=str(BOND // 4))
    owner.send(TOKEN, approve(BOND))
    machine = Machine(controller=controller.address)
    held = world.balance(SUBSCRIPTION)
    receipt = owner.send(STATE, machine.activation())
    assert event("VoucherRedeemed(uint256,address,uint256)") in {log["topics"][0] for log in receipt["logs"]}
    assert world.balance(SUBSCRIPTION) - held == BOND - BOND // 4
    assert world.read(SUBSCRIPTION, "pendingVoucherCredit(address)", owner.address) == 0
    assert subscription(world, machine)[3] == BOND
    # A reward beyond the bond pays it all, and the rest is kept.
    world.control("setBondingReward", address=owner.address, wei=str(BOND + 5))
    held = world.balance(SUBSCRIPTION)
    receipt = controller.send(SUBSCRIPTION, renew(machine))
    assert event("BondingRewardRedeemed(uint256,address,uint256)") in {log["topics"][0] for log in receipt["logs"]}
    assert world.balance(SUBSCRIPTION) == held
    assert world.read(SUBSCRIPTION, "pendingBondingReward(address)", owner.address) == 5
    assert subscription(world, machine)[3] == 2 * BOND


def test_no_price_no_bond(world: World) -> None:
    owner = world.user()
    machine = activated(owner)
    try:
        world.control("setPeaqPrice", usd="0")
        quote = calldata("requiredPeaqAmount(uint8)", 0)
        refusals = [refusal(owner, to, data) for to, data in ((SUBSCRIPTION, quote), (SUBSCRIPTION, renew(machine)))]
        assert [*refusals, refusal(owner, STATE, Machine().activation())] == [error("PriceNotAvailable()")] * 3
        world.control("setPeaqPrice", usd=str(PEAQ // 50))
        assert world.read(SUBSCRIPTION, "requiredPeaqAmount(uint8)", 0) == PEAQ
    finally:
        world.control("setPeaqPrice", usd=str(PEAQ // 25))


def test_a_machine_without_a_subscription_can_have_one(world: World) -> None:
    owner, controller = world.user(), world.user()
    machine = activated(owner, controller=controller.address)
    world.control("forgetSubscription", machineId=str(machine.id))
    assert status(world, machine) == NOT_ACTIVATED
    assert refusal(owner, SUBSCRIPTION, renew(machine)) == error("NotActivated()")
    controller.send(TOKEN, approve(BOND))
    receipt = controller.send(SUBSCRIPTION, calldata("activate(uint256,uint8)", machine.id, 0))
    assert receipt["status"] == "0x1"
    assert (status(world, machine), available(world, machine)) == (ACTIVE, True)


def test_everyones_pause(world: World) -> None:
    owner = world.user()
    machine = activated(owner)
    suspend, resume = calldata("suspend(uint256)", machine.id), calldata("resume(uint256)", machine.id)
    assert refusal(owner, STATE, resume) == error("NotSuspended()")
    assert owner.send(STATE, suspend)["logs"][0]["topics"][0] == event("OperatorPausedSet(uint256,bool)")
    assert not available(world, machine)
    assert refusal(owner, STATE, suspend) == error("NotActive()")
    assert owner.send(STATE, resume)["status"] == "0x1"
    assert available(world, machine)
    for switch, view in (
        ({"op": "setGeneralPaused", "machineId": str(machine.id)}, "isGeneralPaused(uint256)"),
        ({"op": "setTechnicalPaused", "machineId": str(machine.id)}, "isTechnicalPaused(uint256)"),
        ({"op": "setTechnicalPausedGlobal"}, "isTechnicalPausedGlobal()"),
    ):
        arguments = [machine.id] if "uint256" in view else []
        for paused in (True, False):
            world.control(**switch, paused=paused)
            assert bool(world.read(STATE, view, *arguments, returns="bool")) is paused
            assert available(world, machine) is not paused
            stopped = paused and "Technical" in view
            assert refusal(owner, SUBSCRIPTION, renew(machine)) == (error("TechnicallyPaused()") if stopped else "")


def test_the_token_is_the_native_coin(world: World) -> None:
    owner, friend, stranger = world.user(), world.user(0), world.user()
    assert world.read(TOKEN, "balanceOf(address)", owner.address) == world.balance(owner.address)
    assert owner.send(TOKEN, calldata("transfer(address,uint256)", friend.address, PEAQ))["status"] == "0x1"
    assert world.balance(friend.address) == PEAQ
    take = calldata("transferFrom(address,address,uint256)", owner.address, stranger.address, PEAQ)
    assert refused(stranger, take)
    owner.send(TOKEN, approve(3 * PEAQ, stranger.address))
    assert stranger.send(TOKEN, take)["status"] == "0x1"
    assert world.read(TOKEN, "allowance(address,address)", owner.address, stranger.address) == 2 * PEAQ
    assert refused(owner, calldata("transfer(address,uint256)", friend.address, 1000 * PEAQ))


def refused(user: User, data: str) -> bool:
    return refusal(user, TOKEN, data) == error("Error(string)")


@pytest.mark.parametrize(
    "wanted",
    [{"paused": "yes", "machineId": "1"}, {"paused": True}, {"paused": True, "machineId": "x"}, {"paused": 1}],
)
def test_a_switch_wants_its_arguments(world: World, wanted: dict[str, object]) -> None:
    answer = world.http.post(f"{world.info.url}/sandbox/control", json={"op": "setGeneralPaused", **wanted})
    assert (answer.status_code, "setGeneralPaused" in answer.json()["error"]) == (400, True)


def test_a_home_elsewhere(world: World) -> None:
    machine = activated(world.user())
    world.control("setHomeChain", machineId=str(machine.id), chain=5)
    assert world.read(MIRROR, "homeChainOf(uint256)", machine.id, returns="uint16") == 5
    assert not world.read(MIRROR, "isHomedLocally(uint256)", machine.id, returns="bool")
