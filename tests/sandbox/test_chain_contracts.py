"""Registration, bond, status and Machine NFT, on the real node."""

import pytest
from chain_harness import AT, PEAQ, RpcFailure, User, World, calldata, error_of, register_for, topic_of
from eth_abi.abi import decode, encode

ZERO = "0x" + "0" * 40
REGISTRY = AT.identity_registry


def refused(user: User, to: str, data: str, value: int = 0) -> str:
    """The revert data of a call that must fail, and fails the same as a transaction."""
    with pytest.raises(RpcFailure) as found:
        user.call(to, data, value)
    assert user.send(to, data, value)["status"] == "0x0"
    return found.value.data


def mint(machine_id: int, recipient: str) -> str:
    return calldata("mint(uint256,address)", machine_id, recipient)


def topics(receipt: dict, contract: str, name: str) -> list[str]:
    return next(log["topics"] for log in receipt["logs"] if log["topics"][0] == topic_of(contract, name))


def number(topic: str) -> int:
    return int(topic, 16)


def test_register_for_makes_the_machine_owner_and_the_caller_operator(world: World) -> None:
    operator, machine = world.user(), world.user(0)
    count = world.read(REGISTRY, "totalMachines()")
    receipt = operator.send(REGISTRY, register_for(machine.address), PEAQ)
    machine_id = world.machine_id(machine.address)
    assert machine_id == count + 1
    registered = topics(receipt, "IdentityRegistry", "Registered")
    assert [number(t) for t in registered[1:]] == [machine_id, int(machine.address, 16)]
    assert number(topics(receipt, "IdentityRegistry", "OperatorSet")[2]) == int(operator.address, 16)
    assert number(topics(receipt, "IdentityStaking", "Staked")[1]) == machine_id
    info = world.read(REGISTRY, "getVerificationInfo(uint256)", machine_id, returns="address,address,bool,uint8")
    assert info == (machine.address.lower(), machine.address.lower(), True, 1)
    assert world.read(REGISTRY, "operatorOf(uint256)", machine_id, returns="address") == operator.address.lower()
    assert world.read(REGISTRY, "ownerOf(uint256)", machine_id, returns="address") == machine.address.lower()
    assert world.read(AT.identity_staking, "getStake(uint256)", machine_id) == PEAQ
    assert world.read(AT.identity_staking, "isStaked(uint256)", machine_id, returns="bool")


def test_the_registered_event_carries_the_uri_as_data(world: World) -> None:
    user = world.user()
    receipt = user.send(REGISTRY, calldata("register()"), PEAQ)
    log = next(log for log in receipt["logs"] if log["topics"][0] == topic_of("IdentityRegistry", "Registered"))
    assert decode(["string"], bytes.fromhex(log["data"][2:])) == ("",)
    assert world.read(REGISTRY, "operatorOf(uint256)", world.machine_id(user.address), returns="address") == ZERO


def test_the_bond_is_exact_and_an_address_registers_once(world: World) -> None:
    operator, machine = world.user(), world.user(0).address
    for value in (0, PEAQ - 1, PEAQ + 1):
        assert refused(operator, REGISTRY, register_for(machine), value) == error_of(
            "IdentityRegistry", "IncorrectBondAmount"
        )
    assert refused(operator, REGISTRY, register_for(ZERO), PEAQ) == error_of(
        "IdentityRegistry", "InvalidMachineAddress"
    )
    operator.register_for(machine)
    assert refused(operator, REGISTRY, register_for(machine), PEAQ) == error_of("IdentityRegistry", "AlreadyRegistered")


def test_without_a_bond_nothing_may_be_sent_and_nothing_is_staked(world: World) -> None:
    operator, machine = world.user(), world.user(0).address
    world.control("setMinBond", wei=0)
    try:
        assert refused(operator, REGISTRY, register_for(machine), 1) == error_of("IdentityRegistry", "BondNotRequired")
        assert operator.send(REGISTRY, register_for(machine))["status"] == "0x1"
    finally:
        world.control("setMinBond", wei=PEAQ)
    machine_id = world.machine_id(machine)
    assert not world.read(AT.identity_staking, "isStaked(uint256)", machine_id, returns="bool")
    assert refused(operator, AT.machine_nft, mint(machine_id, machine)) == error_of("MachineNFT", "MachineNotBonded")


def test_unknown_machines_answer_zero(world: World) -> None:
    unknown = 10**9
    info = world.read(REGISTRY, "getVerificationInfo(uint256)", unknown, returns="address,address,bool,uint8")
    assert info == (ZERO, ZERO, False, 0)
    assert world.read(REGISTRY, "getOwnerIfExists(uint256)", unknown, returns="address,bool") == (ZERO, False)
    assert world.read(AT.machine_nft, "tokenIdOf(uint256)", unknown) == 0
    assert world.machine_id("0x" + "12" * 20) == 0
    with pytest.raises(RpcFailure) as found:
        world.read(REGISTRY, "ownerOf(uint256)", unknown)
    assert found.value.data.startswith("0x7e273289")


def test_identities_do_not_move(world: World) -> None:
    operator, machine = world.user(), world.user()
    machine_id = operator.register_for(machine.address)
    move = calldata("transferFrom(address,address,uint256)", machine.address, operator.address, machine_id)
    assert refused(machine, REGISTRY, move) == error_of("IdentityRegistry", "IdentityNFTSoulbound")


def test_only_the_machine_owner_changes_the_status(world: World) -> None:
    operator, machine = world.user(), world.user()
    machine_id = operator.register_for(machine.address)
    off, on = (calldata(f"{verb}Machine(uint256)", machine_id) for verb in ("deactivate", "reactivate"))
    registry = "IdentityRegistry"
    assert refused(operator, REGISTRY, off) == error_of(registry, "NotMachineOwner")
    assert refused(machine, REGISTRY, on) == error_of(registry, "InvalidStatus")
    unknown = calldata("deactivateMachine(uint256)", 10**9)
    assert refused(machine, REGISTRY, unknown) == error_of(registry, "MachineNotFound")
    world.control("verifyMachine", machineId=machine_id)
    assert world.read(REGISTRY, "machineStatus(uint256)", machine_id) == 2
    assert machine.send(REGISTRY, off)["status"] == "0x1"
    assert world.read(REGISTRY, "machineStatus(uint256)", machine_id) == 4
    assert refused(machine, REGISTRY, off) == error_of(registry, "InvalidStatus")
    assert machine.send(REGISTRY, on)["status"] == "0x1"
    assert world.read(REGISTRY, "machineStatus(uint256)", machine_id) == 1


def test_mint(world: World) -> None:
    operator, machine = world.user(), world.user(0).address
    machine_id = operator.register_for(machine)
    minted = world.read(AT.machine_nft, "totalMinted()")
    receipt = operator.send(AT.machine_nft, mint(machine_id, machine))
    token = world.read(AT.machine_nft, "tokenIdOf(uint256)", machine_id)
    assert token == minted + 1
    event = topics(receipt, "MachineNFT", "MachineMinted")
    assert [number(t) for t in event[1:]] == [token, machine_id, int(machine, 16)]
    assert world.read(AT.machine_nft, "machineIdOf(uint256)", token) == machine_id
    assert world.read(AT.machine_nft, "ownerOf(uint256)", token, returns="address") == machine.lower()


def test_mint_refusals(world: World) -> None:
    operator, machine, stranger = world.user(), world.user(), world.user()
    machine_id = operator.register_for(machine.address)
    cases = [
        (operator, machine_id, ZERO, "InvalidAddress"),
        (operator, 10**9, machine.address, "MachineNotFound"),
        (stranger, machine_id, machine.address, "NotMachineOwner"),
        (operator, machine_id, operator.address, "RecipientMustBeMachineOwner"),
    ]
    for user, wanted, recipient, name in cases:
        assert refused(user, AT.machine_nft, mint(wanted, recipient)) == error_of("MachineNFT", name)
    # The machine itself may mint to whom it likes, and the token may move on.
    assert machine.send(AT.machine_nft, mint(machine_id, stranger.address))["status"] == "0x1"
    assert refused(machine, AT.machine_nft, mint(machine_id, machine.address)) == error_of(
        "MachineNFT", "AlreadyMinted"
    )
    token = world.read(AT.machine_nft, "tokenIdOf(uint256)", machine_id)
    safe = "safeTransferFrom(address,address,uint256)"
    move = calldata(safe, stranger.address, operator.address, token)
    assert refused(operator, AT.machine_nft, move).startswith("0x177e802f")
    assert stranger.send(AT.machine_nft, move)["status"] == "0x1"
    assert world.read(AT.machine_nft, "ownerOf(uint256)", token, returns="address") == operator.address.lower()


@pytest.mark.parametrize("contract", ["staking", "nft"])
def test_a_paused_contract_says_so(world: World, contract: str) -> None:
    operator = world.user()
    machine_id = operator.register_for(operator.address)
    world.control("pause", contract=contract)
    try:
        if contract == "nft":
            found = refused(operator, AT.machine_nft, mint(machine_id, operator.address))
        else:
            found = refused(operator, REGISTRY, register_for(world.user(0).address), PEAQ)
    finally:
        world.control("unpause", contract=contract)
    assert found == error_of("MachineNFT", "EnforcedPause")


def test_strangers_do_not_administer(world: World) -> None:
    stranger = world.user()
    attempts = [
        (REGISTRY, calldata("initialize(address)", stranger.address), "0xf92ee8a9"),
        (REGISTRY, calldata("setMinBond(uint256)", 0), "0x118cdaa7"),
        (AT.did, calldata("setOpenAdd(bool)", True), "0x118cdaa7"),
        (AT.identity_staking, calldata("stakeFor(uint256,address,uint256)", 1, stranger.address, 1), "0xea8e4eb5"),
    ]
    for to, data, selector in attempts:
        assert refused(stranger, to, data).startswith(selector)


def test_multicall_reads_many_at_once(world: World) -> None:
    inner = [
        (REGISTRY, True, bytes.fromhex(calldata("minBond()")[2:])),
        (REGISTRY, True, bytes.fromhex(calldata("ownerOf(uint256)", 10**9)[2:])),
    ]
    data = "0x82ad56cb" + encode(["(address,bool,bytes)[]"], [inner]).hex()
    answer = world.rpc("eth_call", {"to": AT.multicall, "data": data}, "latest")
    (results,) = decode(["(bool,bytes)[]"], bytes.fromhex(answer[2:]))
    assert results[0] == (True, PEAQ.to_bytes(32, "big"))
    assert results[1][0] is False
    assert results[1][1].hex().startswith("7e273289")
