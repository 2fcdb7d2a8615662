"""Who may do what to a machine of v2, and what stays as it was minted."""

from collections.abc import Callable

import pytest
from chain_harness import World
from v2_harness import (
    BOND,
    ENDPOINTS,
    METHODS,
    NOBODY,
    REGISTRY,
    STATE,
    SUBSCRIPTION,
    TOKEN,
    Machine,
    activated,
    approve,
    call,
    error,
    event,
    refusal,
)  # fmt: skip

from reconciler.sandbox.chain import calldata

NOT_OWNER, NOT_EITHER = error("NotMachineOwner()"), error("NotOwnerOrController()")
NO_TOKEN = error("ERC721NonexistentToken(uint256)")
KEY = ("#k", "Ed25519", NOBODY, "z6Mk")

Write = tuple[str, Callable[[int], str]]
BOTH: dict[str, Write] = {
    "suspend": (STATE, lambda it: calldata("suspend(uint256)", it)),
    "renew": (SUBSCRIPTION, lambda it: calldata("renew(uint256)", it)),
    "renew at a tier": (SUBSCRIPTION, lambda it: calldata("renew(uint256,uint8)", it, 0)),
    "methods": (REGISTRY, lambda it: call("setVerificationMethods", ("uint256", it), (METHODS, [KEY]))),
    "authentication": (REGISTRY, lambda it: call("setAuthentication", ("uint256", it), ("uint256[]", []))),
    "endpoints": (REGISTRY, lambda it: call("setServiceEndpoints", ("uint256", it), (ENDPOINTS, [("#a", "b", "c")]))),
}


@pytest.mark.parametrize("verb", BOTH)
def test_owner_and_controller_may_and_nobody_else(world: World, verb: str) -> None:
    owner, controller, stranger = world.user(), world.user(), world.user()
    machine = activated(owner, controller=controller.address)
    to, data = BOTH[verb]
    controller.send(TOKEN, approve(BOND))
    assert refusal(stranger, to, data(machine.id)) == NOT_EITHER
    assert refusal(owner, to, data(machine.id)) == refusal(controller, to, data(machine.id)) == ""
    assert refusal(owner, to, data(7)) == NO_TOKEN


def test_a_controller_is_the_owners_to_choose(world: World) -> None:
    owner, controller = world.user(), world.user()
    machine = activated(owner, controller=controller.address)
    clear = calldata("setController(uint256,address)", machine.id, NOBODY)
    assert refusal(controller, REGISTRY, clear) == NOT_OWNER
    receipt = owner.send(REGISTRY, clear)
    assert receipt["logs"][0]["topics"][0] == event("ControllerUpdated(uint256,address,address)")
    assert world.read(REGISTRY, "controllerOf(uint256)", machine.id, returns="address") == NOBODY
    assert refusal(controller, STATE, calldata("suspend(uint256)", machine.id)) == NOT_EITHER


def test_a_transfer_leaves_the_controller(world: World) -> None:
    owner, controller, buyer = world.user(), world.user(), world.user()
    machine = activated(owner, controller=controller.address)
    hand_over = calldata("safeTransferFrom(address,address,uint256)", owner.address, buyer.address, machine.id)
    insufficient = error("ERC721InsufficientApproval(address,uint256)")
    assert refusal(controller, REGISTRY, hand_over) == insufficient
    assert owner.send(REGISTRY, hand_over)["status"] == "0x1"
    assert holder(world, machine) == buyer.address.lower()
    assert world.read(REGISTRY, "controllerOf(uint256)", machine.id, returns="address") == controller.address.lower()
    assert controller.send(STATE, calldata("suspend(uint256)", machine.id))["status"] == "0x1"
    assert refusal(owner, STATE, calldata("resume(uint256)", machine.id)) == NOT_EITHER
    back = calldata("transferFrom(address,address,uint256)", buyer.address, owner.address, machine.id)
    assert refusal(owner, REGISTRY, back) == insufficient
    assert buyer.send(REGISTRY, calldata("approve(address,uint256)", owner.address, machine.id))["status"] == "0x1"
    assert owner.send(REGISTRY, back)["status"] == "0x1"
    assert holder(world, machine) == owner.address.lower()


def test_authentication_points_at_methods(world: World) -> None:
    owner = world.user()
    machine = activated(owner, methods=(KEY, KEY), authentication=(0, 1))
    wrong = error("InvalidAuthenticationIndex()")

    def methods(count: int) -> str:
        return call("setVerificationMethods", ("uint256", machine.id), (METHODS, [KEY] * count))

    def authentication(*indices: int) -> str:
        return call("setAuthentication", ("uint256", machine.id), ("uint256[]", list(indices)))

    assert refusal(owner, REGISTRY, methods(1)) == wrong
    assert refusal(owner, REGISTRY, authentication(2)) == wrong
    assert owner.send(REGISTRY, authentication(0))["status"] == "0x1"
    assert owner.send(REGISTRY, methods(1))["status"] == "0x1"
    assert world.read(REGISTRY, "authenticationOf(uint256)", machine.id, returns="uint256[]") == (0,)


def test_arrays_are_replaced_whole(world: World) -> None:
    owner = world.user()
    machine = activated(owner, endpoints=(("#a", "docs", "x"), ("#b", "data", "y")))
    data = call("setServiceEndpoints", ("uint256", machine.id), (ENDPOINTS, [("#c", "docs", "z" * 90)]))
    receipt = owner.send(REGISTRY, data)
    assert receipt["logs"][0]["topics"][0] == event("ServiceEndpointsUpdated(uint256)")
    found = world.read(REGISTRY, "serviceEndpointsOf(uint256)", machine.id, returns=ENDPOINTS)
    assert found == (("#c", "docs", "z" * 90),)


def test_nothing_is_written_while_a_machine_moves(world: World) -> None:
    owner = world.user()
    machine = activated(owner)
    world.control("setRelocating", machineId=str(machine.id), relocating=True)
    moving = error("MachineRelocating()")
    assert {refusal(owner, to, data(machine.id)) for to, data in BOTH.values()} == {moving}
    transfer = calldata("transferFrom(address,address,uint256)", owner.address, owner.address, machine.id)
    controller = calldata("setController(uint256,address)", machine.id, NOBODY)
    assert refusal(owner, REGISTRY, transfer) == refusal(owner, REGISTRY, controller) == moving


def test_what_the_protocol_may_do_is_not_everybodys(world: World) -> None:
    owner = world.user()
    machine = activated(owner)
    barred = error("OwnableUnauthorizedAccount(address)")
    assert refusal(owner, STATE, calldata("setGeneralPaused(uint256,bool)", machine.id, True)) == barred
    assert refusal(owner, SUBSCRIPTION, calldata("setVoucherCredit(address,uint256)", owner.address, 1)) == barred
    direct = calldata("onMachineOnboarded(uint256,address,bytes)", 7, owner.address, b"")
    assert refusal(owner, REGISTRY, direct) == error("NotMachineStateAndSync()")
    assert refusal(owner, SUBSCRIPTION, direct) == error("NotMachineStateAndSync()")


def holder(world: World, machine: Machine) -> str:
    return str(world.read(REGISTRY, "ownerOf(uint256)", machine.id, returns="address"))
