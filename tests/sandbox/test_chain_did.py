"""The DID precompile: a flat store with limits, deposits and an owner per attribute."""

import re
import time
from typing import Any

import pytest
from chain_harness import (
    AT,
    FOR_EVER,
    PEAQ,
    RpcFailure,
    User,
    World,
    add,
    calldata,
    read_attribute,
    remove,
    topic_of,
    update,
)  # fmt: skip
from eth_abi.abi import decode

DID = AT.did
DEPOSIT = PEAQ // 200


def refusal(user: User, data: str) -> str:
    with pytest.raises(RpcFailure) as found:
        user.call(DID, data)
    assert user.send(DID, data)["status"] == "0x0"
    assert found.value.data.startswith("0x08c379a0")
    return decode(["string"], bytes.fromhex(found.value.data[10:]))[0]


def module_error(index: int, code: int, name: str) -> str:
    return (
        f"Dispatched call failed with error: Module(ModuleError {{ index: {index}, "
        f'error: [{code}, 0, 0, 0], message: Some("{name}") }})'
    )


def only_log(receipt: dict[str, Any], name: str, types: list[str]) -> tuple[Any, ...]:
    (log,) = receipt["logs"]
    assert log["topics"] == [topic_of("Did", name)]
    return decode(types, bytes.fromhex(log["data"][2:]))


def test_add_read_update_remove(world: World) -> None:
    user = world.user()
    me = user.address.lower()
    receipt = user.send(DID, add(me, "machineId", "42"))
    types = ["address", "address", "bytes", "bytes", "uint32"]
    assert only_log(receipt, "AddAttribute", types) == (me, me, b"machineId", b"42", 0)
    name, value, validity, created = read_attribute(world, me, "machineId")
    assert (name, value, validity) == (b"machineId", b"42", FOR_EVER)
    assert abs(created / 1000 - time.time()) < 3600 * 24 * 365  # milliseconds, whatever the clock was moved to
    receipt = user.send(DID, update(me, "machineId", "", 100))
    assert only_log(receipt, "UpdateAttribute", types) == (me, me, b"machineId", b"", 100)
    block = int(receipt["blockNumber"], 16)
    assert read_attribute(world, me, "machineId") == (b"machineId", b"", block + 100, created)
    world.control("mine", blocks=101)
    assert read_attribute(world, me, "machineId")[1] == b""  # expired, and read all the same
    receipt = user.send(DID, remove(me, "machineId"))
    assert only_log(receipt, "RemoveAttribute", ["address", "bytes"]) == (me, b"machineId")
    with pytest.raises(RpcFailure, match="Cannot find the item"):
        read_attribute(world, me, "machineId")


def test_refusals(world: World) -> None:
    user, other = world.user(), world.user()
    me = user.address
    user.send(DID, add(me, "a"))
    assert refusal(user, add(me, "a")) == module_error(100, 1, "AttributeAlreadyExist")
    assert refusal(user, update(me, "b")) == module_error(100, 4, "AttributeNotFound")
    assert refusal(user, remove(me, "b")) == module_error(100, 4, "AttributeNotFound")
    for data in (add(me, "c"), update(me, "a"), remove(me, "a")):
        assert refusal(other, data) == module_error(100, 5, "AttributeAuthorizationFailed")
    assert refusal(user, add(me, "d", validity=FOR_EVER)) == module_error(100, 6, "MaxBlockNumberExceeded")
    assert "AttributeNonAsciiProperty" in refusal(user, add(me, "d", "ü"))
    assert "AttributeNonAsciiProperty" in refusal(user, add(me, b"d" * 63 + b"\x80"))


def test_limits(world: World) -> None:
    user = world.user()
    me = user.address
    assert user.send(DID, add(me, "n" * 64, "v" * 2560))["status"] == "0x1"
    assert read_attribute(world, me, "n" * 64)[1] == b"v" * 2560
    assert refusal(user, add(me, "n" * 65)) == "Name too long"
    assert refusal(user, add(me, "m", "v" * 2561)) == "Value too long"
    assert refusal(user, update(me, "n" * 64, "v" * 2561)) == "Value too long"


def test_each_attribute_holds_a_deposit_until_it_is_removed(world: World) -> None:
    user = world.user()

    def cost(data: str) -> int:
        before = world.balance(user.address)
        receipt = user.send(DID, data)
        assert receipt["status"] == "0x1"
        fee = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
        return before - world.balance(user.address) - fee

    assert cost(add(user.address, "a")) == DEPOSIT
    assert cost(update(user.address, "a")) == 0
    world.control("setDidDeposit", wei=str(PEAQ // 10))
    try:
        assert cost(add(user.address, "b")) == PEAQ // 10
        assert cost(remove(user.address, "a")) == -DEPOSIT  # what was taken, not what would be now
    finally:
        world.control("setDidDeposit", wei=str(DEPOSIT))
    assert cost(remove(user.address, "b")) == -PEAQ // 10


def test_a_wallet_that_pays_gas_may_still_lack_the_deposit(world: World) -> None:
    user = world.user(0.004)
    with pytest.raises(RpcFailure) as found:
        user.call(DID, add(user.address, "a"))
    reason = decode(["string"], bytes.fromhex(found.value.data[10:]))[0]
    assert reason == module_error(5, 2, "InsufficientBalance")
    sent = user.send(DID, add(user.address, "a"), gas=500_000)
    assert sent["status"] == "0x0"


def test_squatting_in_open_mode(world: World) -> None:
    victim, squatter = world.user(), world.user()
    world.control("setDidMode", mode="open")
    try:
        assert squatter.send(DID, add(victim.address, "machineId", "evil"))["status"] == "0x1"
        assert read_attribute(world, victim.address, "machineId")[1] == b"evil"
        assert "AttributeAlreadyExist" in refusal(victim, add(victim.address, "machineId"))
        assert "AttributeAuthorizationFailed" in refusal(victim, update(victim.address, "machineId"))
        assert "AttributeAuthorizationFailed" in refusal(victim, remove(victim.address, "machineId"))
        assert squatter.send(DID, update(victim.address, "machineId", "worse"))["status"] == "0x1"
    finally:
        world.control("setDidMode", mode="strict")
    assert "AttributeAuthorizationFailed" in refusal(squatter, update(victim.address, "machineId"))


def test_snake_case_answers(world: World) -> None:
    user = world.user()
    signature = "add_attribute(address,bytes,bytes,uint32)"
    assert user.send(DID, calldata(signature, user.address, b"a", b"1", 0))["status"] == "0x1"
    found = world.read(DID, "read_attribute(address,bytes)", user.address, b"a", returns="(bytes,bytes,uint32,uint256)")
    assert found[1] == b"1"


def test_the_registry_shows_did_attributes_as_metadata(world: World) -> None:
    user = world.user()
    machine_id = user.register_for(user.address)
    user.send(DID, add(user.address, "color", "blue"))
    signature = "getMetadata(uint256,string)"
    assert world.read(AT.identity_registry, signature, machine_id, "color", returns="bytes") == b"blue"
    assert world.read(AT.identity_registry, signature, machine_id, "size", returns="bytes") == b""


def test_the_error_message_names_the_reason(world: World) -> None:
    with pytest.raises(RpcFailure) as found:
        read_attribute(world, "0x" + "34" * 20, "machineId")
    assert found.value.code == -32603
    assert re.match("VM Exception while processing transaction: revert .*Cannot find the item", found.value.message)
