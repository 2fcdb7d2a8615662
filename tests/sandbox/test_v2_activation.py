"""Activation on the v2 contracts: one transaction makes a machine, and what it may not do."""

from dataclasses import replace
from typing import Any

from chain_harness import AT, PEAQ, RpcFailure, User, World, batch
from eth_utils.crypto import keccak
from v2_harness import (
    BOND,
    DESK,
    MIRROR,
    NOBODY,
    REGISTRY,
    STATE,
    SUBSCRIPTION,
    TOKEN,
    Machine,
    activated,
    approve,
    error,
    event,
    refusal,
    subscription,
)  # fmt: skip

from reconciler.sandbox.chain import calldata

GAS = range(400_000, 800_000)  # what peaq's own take is not known
EVENTS = {
    event("MachineOnboarded(uint256,address)"): "MachineOnboarded",
    event("MachineMinted(uint256,address,address,string)"): "MachineMinted",
    event("Activated(uint256,address,uint8,uint256,uint64,uint64)"): "Activated",
    event("HomeChainRegistered(uint256,uint16)"): "HomeChainRegistered",
}


def names(receipt: dict[str, Any]) -> list[str]:
    return [EVENTS[log["topics"][0]] for log in receipt["logs"] if log["topics"][0] in EVENTS]


def test_one_transaction_makes_a_machine(world: World) -> None:
    owner, controller = world.user(), world.user()
    machine = Machine(
        controller=controller.address,
        methods=((("#k1", "Ed25519", controller.address, "z6Mk")),),
        authentication=(0,),
        endpoints=(("#docs", "docs", "https://docs.example.com/a"),),
        manufacturer=controller.address,
    )
    assert owner.send(TOKEN, approve(BOND))["status"] == "0x1"
    before, held = world.balance(owner.address), world.balance(SUBSCRIPTION)
    receipt = owner.send(STATE, machine.activation(), gas=owner.estimate(STATE, machine.activation()))
    assert receipt["status"] == "0x1"
    assert names(receipt) == ["MachineOnboarded", "MachineMinted", "Activated", "HomeChainRegistered"]
    fee = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
    assert before - world.balance(owner.address) == BOND + fee
    assert world.balance(SUBSCRIPTION) - held == BOND
    assert world.read(REGISTRY, "computeTokenId(string,bytes)", machine.kind, machine.subject) == machine.id
    assert world.read(REGISTRY, "ownerOf(uint256)", machine.id, returns="address") == owner.address.lower()
    did, its_controller, methods, authentication, endpoints = world.read(
        REGISTRY, "didDocument(uint256)", machine.id,
        returns="(string,address,(string,string,address,string)[],uint256[],(string,string,string)[])",
    )  # fmt: skip
    assert (did, its_controller) == (f"did:peaq:{machine.id}", controller.address.lower())
    assert (methods[0][3], authentication, endpoints) == ("z6Mk", (0,), machine.endpoints)
    assert world.read(REGISTRY, "machineTypeOf(uint256)", machine.id, returns="string") == "sensor"
    assert world.read(REGISTRY, "credentialSubjectOf(uint256)", machine.id, returns="bytes") == machine.subject
    assert world.read(REGISTRY, "manufacturerOf(uint256)", machine.id, returns="address") == controller.address.lower()
    assert world.read(MIRROR, "isHomedLocally(uint256)", machine.id, returns="bool")
    assert world.read(MIRROR, "homeChainOf(uint256)", machine.id, returns="uint16") == 1
    tier, start, end, bonded, _ = subscription(world, machine)
    assert (tier, end - start, bonded) == (0, 365 * 24 * 3600, BOND)


def test_a_plain_one_costs_about_what_such_a_call_costs(world: World) -> None:
    owner = world.user()
    owner.send(TOKEN, approve(BOND))
    docs = (("#docs", "docs", "https://docs.example.com/air-001"),)
    machine = Machine(controller=owner.address, manufacturer=owner.address, endpoints=docs)
    used = int(owner.send(STATE, machine.activation())["gasUsed"], 16)
    assert used in GAS, used


def test_twenty_in_one_batch_with_their_allowance(world: World) -> None:
    owner = world.user()
    machines = [Machine(controller=owner.address) for _ in range(20)]
    calls = [(TOKEN, 0, approve(BOND * 20)), *((STATE, 0, machine.activation()) for machine in machines)]
    data = batch(*calls)
    receipt = owner.send(AT.batch, data, gas=owner.estimate(AT.batch, data))
    assert receipt["status"] == "0x1"
    owners = [world.read(REGISTRY, "ownerOf(uint256)", it.id, returns="address") for it in machines]
    assert owners == [owner.address.lower()] * 20
    assert world.read(REGISTRY, "balanceOf(address)", owner.address) == 20
    assert world.read(TOKEN, "allowance(address,address)", owner.address, SUBSCRIPTION) == 0


def test_one_duplicate_undoes_the_whole_batch(world: World) -> None:
    owner = world.user()
    first, second = activated(owner), Machine()
    data = batch((STATE, 0, second.activation()), (STATE, 0, first.activation()))
    assert owner.send(AT.batch, data)["status"] == "0x0"
    assert refusal(owner, REGISTRY, calldata("ownerOf(uint256)", second.id)) == error("ERC721NonexistentToken(uint256)")


def test_the_same_subject_is_taken_whoever_asks(world: World) -> None:
    machine = activated(world.user())
    other = world.user()
    other.send(TOKEN, approve(BOND))
    assert refusal(other, STATE, machine.activation()) == error("ERC721InvalidSender(address)")
    assert refusal(other, STATE, replace(machine, kind="dock").activation()) == ""


def test_money_is_asked_for_before_anything_is_made(world: World) -> None:
    owner, machine = world.user(), Machine()
    assert b"more than allowed".hex() in full_refusal(owner, machine)
    owner.send(TOKEN, approve(BOND))
    world.control("setBalance", address=owner.address, wei=str(BOND - 1))
    assert b"FundsUnavailable".hex() in full_refusal(owner, machine)
    world.control("setBalance", address=owner.address, wei=str(PEAQ))
    assert refusal(owner, STATE, machine.activation()) == ""


def full_refusal(user: User, machine: Machine) -> str:
    try:
        user.call(STATE, machine.activation())
    except RpcFailure as failure:
        return failure.data
    return ""


def test_what_an_activation_may_not_say(world: World) -> None:
    owner = world.user()
    owner.send(TOKEN, approve(BOND))
    assert refusal(owner, STATE, Machine(tier=3).activation()) == error("InvalidTier()")
    assert refusal(owner, STATE, Machine(did="did:peaq:7").activation()) == error("InvalidDIDFormat()")
    assert refusal(owner, STATE, Machine(tier=1).activation())[:10] == error("Error(string)")


def test_the_desk_knows_its_peers(world: World) -> None:
    for key, address in {
        "MACHINE_REGISTRY": REGISTRY,
        "MACHINE_SUBSCRIPTION": SUBSCRIPTION,
        "MACHINE_STATE_AND_SYNC": STATE,
        "CROSS_CHAIN_MIRROR": MIRROR,
    }.items():
        assert world.read(DESK, "peer(bytes32)", keccak(text=key), returns="address") == address.lower()
    assert world.read(DESK, "peer(bytes32)", keccak(text="NONE"), returns="address") == NOBODY
    assert int(world.read(DESK, "peaqToken()", returns="address"), 16) == 0x809
