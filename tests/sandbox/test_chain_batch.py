"""Batch: many calls in one transaction, each as the account that signed it."""

from typing import Any

import pytest
from chain_harness import (
    AT,
    PEAQ,
    RpcFailure,
    World,
    add,
    batch,
    error_of,
    read_attribute,
    register_for,
    topic_of,
)  # fmt: skip
from eth_account import Account

from reconciler.sandbox.config import MULTICALL3

BATCH, REGISTRY = AT.batch, AT.identity_registry
NOT_BY_CONTRACTS = "Function not callable by smart contracts"


def new_addresses(count: int) -> list[str]:
    return [Account.create().address for _ in range(count)]


def registrations(machines: list[str]) -> list[tuple[str, int, str]]:
    return [(REGISTRY, PEAQ, register_for(machine)) for machine in machines]


def subcalls(receipt: dict[str, Any]) -> list[tuple[str, int]]:
    """(event, index) of what Batch itself logged; one topic each."""
    names = {topic_of("Batch", name): name for name in ("SubcallSucceeded", "SubcallFailed")}
    found = [log for log in receipt["logs"] if int(log["address"], 16) == 0x805]
    assert all(len(log["topics"]) == 1 for log in found)
    return [(names[log["topics"][0]], int(log["data"], 16)) for log in found]


def test_ten_registrations_with_value_are_the_senders_own(world: World) -> None:
    user = world.user()
    machines = new_addresses(10)
    data = batch(*registrations(machines))
    before = world.balance(user.address)
    # Never sent anything: simulation and estimate work all the same.
    assert user.call(BATCH, data) == "0x"
    gas = user.estimate(BATCH, data)
    receipt = user.send(BATCH, data, gas=gas)
    assert receipt["status"] == "0x1"
    assert subcalls(receipt) == [("SubcallSucceeded", n) for n in range(10)]
    ids = [world.machine_id(machine) for machine in machines]
    assert ids == list(range(ids[0], ids[0] + 10))
    for machine_id in ids:
        assert world.read(REGISTRY, "operatorOf(uint256)", machine_id, returns="address") == user.address.lower()
    fee = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
    assert before - world.balance(user.address) == 10 * PEAQ + fee


def test_one_failure_undoes_all_and_its_data_comes_through(world: World) -> None:
    user, machines = world.user(), new_addresses(3)
    calls = registrations([*machines, machines[0]])
    with pytest.raises(RpcFailure) as found:
        user.call(BATCH, batch(*calls))
    assert found.value.data == error_of("IdentityRegistry", "AlreadyRegistered")
    assert user.send(BATCH, batch(*calls))["status"] == "0x0"
    assert [world.machine_id(machine) for machine in machines] == [0, 0, 0]
    again = batch((AT.did, 0, add(user.address, "a")), (AT.did, 0, add(user.address, "a")))
    with pytest.raises(RpcFailure, match="AttributeAlreadyExist"):
        user.call(BATCH, again)


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("batchSome", [("SubcallSucceeded", 0), ("SubcallFailed", 1), ("SubcallSucceeded", 2)]),
        ("batch_some", [("SubcallSucceeded", 0), ("SubcallFailed", 1), ("SubcallSucceeded", 2)]),
        ("batchSomeUntilFailure", [("SubcallSucceeded", 0), ("SubcallFailed", 1)]),
        ("batch_some_until_failure", [("SubcallSucceeded", 0), ("SubcallFailed", 1)]),
    ],
)
def test_the_other_modes_live_with_failures(world: World, mode: str, outcome: list[tuple[str, int]]) -> None:
    user, (first, second) = world.user(), new_addresses(2)
    receipt = user.send(BATCH, batch(*registrations([first, first, second]), mode=mode))
    assert receipt["status"] == "0x1"
    assert subcalls(receipt) == outcome
    assert (world.machine_id(second) != 0) == (len(outcome) == 3)


def test_arrays_may_be_short_and_gas_may_be_limited(world: World) -> None:
    user, machine = world.user(), new_addresses(1)[0]
    calls = registrations([machine])
    starved = user.send(BATCH, batch(*calls, mode="batchSome", gas=(30_000,)))
    assert subcalls(starved) == [("SubcallFailed", 0)]
    assert user.send(BATCH, batch(*calls, gas=(400_000,)))["status"] == "0x1"
    empty = user.send(BATCH, batch())
    assert empty["status"] == "0x1"
    assert subcalls(empty) == []


def test_limits(world: World) -> None:
    user = world.user()
    transfer = (user.address, 0, "0x")
    assert user.call(BATCH, batch(*[transfer] * 512)) == "0x"
    with pytest.raises(RpcFailure, match="too large"):
        user.call(BATCH, batch(*[transfer] * 513))
    with pytest.raises(RpcFailure, match="too large"):
        user.call(BATCH, batch((user.address, 0, "0x" + "00" * 65_537)))
    with pytest.raises(RpcFailure):
        user.call(BATCH, batch(transfer), value=1)


def test_contracts_may_not_batch(world: World) -> None:
    user = world.user()
    inner = bytes.fromhex(batch((user.address, 0, "0x"))[2:])
    data = "0x82ad56cb" + _aggregate([(BATCH, False, inner)])
    with pytest.raises(RpcFailure, match="call failed"):
        user.call(MULTICALL3, data)
    allowed = user.call(MULTICALL3, "0x82ad56cb" + _aggregate([(BATCH, True, inner)]))
    assert NOT_BY_CONTRACTS.encode().hex() in allowed
    with pytest.raises(RpcFailure, match=NOT_BY_CONTRACTS):  # nobody's call
        world.rpc("eth_call", {"to": BATCH, "data": batch((user.address, 0, "0x"))}, "latest")


def test_a_batch_may_hold_a_batch(world: World) -> None:
    user, machine = world.user(), new_addresses(1)[0]
    nested = batch(*registrations([machine]))
    assert user.send(BATCH, batch((BATCH, 0, nested)))["status"] == "0x1"
    assert world.machine_id(machine) != 0


def test_did_writes_and_transfers_ride_along(world: World) -> None:
    user, (other,) = world.user(), new_addresses(1)
    receipt = user.send(
        BATCH, batch((other, PEAQ // 2, "0x"), *[(AT.did, 0, add(user.address, f"n{n}")) for n in range(6)])
    )
    assert receipt["status"] == "0x1"
    assert world.balance(other) == PEAQ // 2
    assert read_attribute(world, user.address, "n5")[1] == b"v"


def test_accounts_stay_plain_to_the_outside(world: World) -> None:
    user, sender = world.user(), world.user()
    assert user.send(BATCH, batch())["status"] == "0x1"
    assert world.rpc("eth_getCode", user.address, "latest") == "0x"
    assert sender.estimate(user.address, "0x", PEAQ) == 21_000
    before = world.balance(user.address)
    assert sender.send(user.address, value=PEAQ, gas=21_000)["status"] == "0x1"
    assert world.balance(user.address) == before + PEAQ
    # Having been a receiver, it still batches.
    assert user.send(BATCH, batch(*registrations(new_addresses(1))))["status"] == "0x1"
    # A nonce is burnt with 21,000 gas.
    assert user.send(user.address, gas=21_000)["status"] == "0x1"
    # With call data, and more gas, it is delegated and takes the coins all the same.
    assert sender.send(user.address, "0xdeadbeef", PEAQ)["status"] == "0x1"


def test_simulation_at_a_past_block(world: World) -> None:
    user, (machine,) = world.user(), new_addresses(1)
    block = hex(world.head())
    world.control("mine", blocks=3)
    assert user.call(BATCH, batch(*registrations([machine])), block=block) == "0x"


def test_after_a_reorg_batches_still_work(world: World) -> None:
    user, (first, second) = world.user(), new_addresses(2)
    world.control("mine", blocks=3)
    assert user.send(BATCH, batch(*registrations([first])))["status"] == "0x1"
    head = world.head()
    world.control("reorg", depth=1)
    assert world.head() == head
    assert world.machine_id(first) == 0
    assert user.call(BATCH, batch(*registrations([first]))) == "0x"
    assert user.send(BATCH, batch(*registrations([second])))["status"] == "0x1"
    assert world.machine_id(second) != 0


def _aggregate(calls: list[tuple[str, bool, bytes]]) -> str:
    from eth_abi.abi import encode

    return encode(["(address,bool,bytes)[]"], [calls]).hex()
