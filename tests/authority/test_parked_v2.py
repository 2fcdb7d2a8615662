"""Machines of protocol v2 that activate themselves with keys kept elsewhere: exported, read and signed there, sent."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2e_harness import PEAQ, World, Yard
from eth_account import Account
from test_parked_signing import Parked
from test_v2_terms import own_world
from v2_fleet import REGISTRY, STATE, SUBSCRIPTION, chained, live_by_v2, since, with_keys

from reconciler.adapters.abi import calldata as encoded
from reconciler.adapters.chain import BATCH_ALL
from reconciler.kinds.peaq_v2.ground import APPROVE
from reconciler.sandbox.chain import calldata
from reconciler.sandbox.config import WPEAQ_PRECOMPILE

MakeYard = Callable[..., Yard]
BATCH = "0x0000000000000000000000000000000000000805"


@pytest.fixture(scope="module")
def moody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sandbox whose prices nobody else minds."""
    yield from own_world(tmp_path_factory, 0)


def parked_fleet(yard: Yard, *names: str, **block: Any) -> Parked:
    live_by_v2(yard, *names, custody="machine", **block)
    with_keys(yard)
    for machine in yard.manifest["machines"]:
        del machine["key"]
        (yard.root / "keys" / f"{machine['name']}.key").unlink()
    yard.manifest["v2"] = {"funding": {"reserve": "0.05 PEAQ"}}
    return Parked(yard)


def test_from_parked_to_activated(new_yard: MakeYard) -> None:
    parked = parked_fleet(yard := new_yard(0), "a", "b", maxBond="2 PEAQ")
    ran = parked.apply()
    assert ran.code == 0, ran.said
    assert yard.world.balance(parked.account("a").address) == 0, "nothing is sent to who cannot sign yet"
    before = yard.footprint()
    assert parked.ask("--machine", "a").code == 0
    (transaction,) = parked.exported()["transactions"]
    assert [write["function"] for write in transaction["writes"]] == ["approve", "activateMachine"]
    said = parked.sign("a")
    assert said.code == 0, said.said
    yard.check_discreet(said)
    machine, operator = chained(yard, "a"), yard.operator.address.lower()
    for words in (
        "let machineSubscription take up to 2 PEAQ",
        f"activate did:peaq:{machine.id}, which pays its bond",
        f"credentialSubject: {yard.operator.address} a",
        f"controller: {operator}",
        "serviceEndpoints: #documentation (Documentation) https://docs.example.com/a",
        "verificationMethods: none",
    ):
        assert words in said.err, said.err
    assert yard.footprint() == before
    head = yard.world.head()
    ran = parked.apply("--signed", str(parked.signed))
    assert ran.code == 0, ran.said
    assert "1 parked" in ran.out, ran.out
    assert since(yard, head) == {"transfer": 1, "approve": 1, "activateMachine": 1}
    assert (machine.owner, machine.controller) == (parked.account("a").address.lower(), operator)
    yard.check_quiet("--signed", str(parked.signed))


@pytest.mark.parametrize(("block", "code"), [({"maxBond": "2 PEAQ"}, 0), ({}, 5)])
def test_prices_move_while_it_is_carried_around(
    new_yard: MakeYard, moody: World, block: dict[str, str], code: int
) -> None:
    parked = parked_fleet(yard := new_yard(0, world=moody), "a", **block)
    assert parked.ask().code == 0
    assert parked.sign("a").code == 0
    (price,) = (moody.read(SUBSCRIPTION, "requiredPeaqAmount(uint8)", 0),)
    tier = 2 * 10**16 * (PEAQ // 2) // price
    moody.control("setTierPrice", tier=0, usd=str(tier * 11 // 10))
    ran = parked.apply("--signed", str(parked.signed))
    moody.control("setTierPrice", tier=0, usd=str(tier))
    assert ran.code == code, ran.said
    assert yard.world.nonce(parked.account("a").address) == (code == 0)
    if code:
        assert "the plan wants something else written now" in ran.out.replace("\n", " "), ran.out


def batch(*calls: tuple[str, str]) -> str:
    targets, datas = [to for to, _ in calls], [bytes.fromhex(data[2:]) for _, data in calls]
    return "0x" + encoded(BATCH_ALL, (targets, [0] * len(calls), datas, [])).hex()


def test_a_device_signs_for_nobody_elses_good(new_yard: MakeYard) -> None:
    parked = parked_fleet(yard := new_yard(0), "a")
    assert parked.ask().code == 0
    good, stranger = parked.request.read_text(), Account.create().address
    machine, own = chained(yard, "a"), parked.account("a").address
    give = calldata("safeTransferFrom(address,address,uint256)", own, stranger, machine.id)
    refused = {
        "which is not machineSubscription": (WPEAQ_PRECOMPILE, calldata(APPROVE, stranger, PEAQ)),
        "a call of an unknown function": (REGISTRY, give),
        "of machineStateAndSync": (STATE, calldata("retireMachine(uint256)", machine.id)),
        "which is not the DID precompile": (stranger, calldata("suspend(uint256)", machine.id)),
        "more than the arguments": (STATE, calldata("suspend(uint256)", machine.id) + "00"),
        "the request says one thing and the bytes another, which is: let": (
            REGISTRY,
            calldata("setController(uint256,address)", machine.id, stranger),
        ),
    }
    for why, (to, data) in refused.items():
        for call in ({"to": to.lower(), "data": data}, {"to": BATCH, "data": batch((to, data))}):
            parked.request.write_text(good)
            parked.rewrite(lambda request, call=call: request["transactions"][0].update(call))
            ran = parked.sign("a")
            assert (ran.code, why in ran.err) == (3, True), (why, ran.said)
    parked.request.write_text(good)
    parked.rewrite(lambda request: request["transactions"][0].update(value="1"))
    assert parked.sign("a").code == 3
    parked.request.write_text(good)
    parked.rewrite(lambda request: request.update(chainId=4711, network="custom"))
    ran = parked.sign("a")
    assert "the contracts of protocol v2 on this chain are not known here" in ran.err, ran.said
    assert not parked.signed.exists()


def test_its_own_manager_signs_one_thing_after_the_other(new_yard: MakeYard) -> None:
    parked = parked_fleet(yard := new_yard(0), "a", controller=Account.create().address)
    rounds = 0
    yard.machine("a")["v2"]["paused"] = True

    def signed_and_sent() -> int:
        assert parked.ask().code == 0
        ran = parked.sign("a")
        assert ran.code == 0, ran.said
        return parked.apply("--signed", str(parked.signed)).code

    while (code := signed_and_sent()) and (rounds := rounds + 1) < 5:
        assert code == 5
    machine = chained(yard, "a")
    assert (machine.paused, rounds) == (True, 1)
    yard.machine("a")["v2"] = {"serviceEndpoints": [{"id": "#x", "type": "X", "url": "https://x.example.com"}]}
    rounds = 0
    while (code := signed_and_sent()) and (rounds := rounds + 1) < 5:
        assert code == 5
    assert (machine.paused, list(machine.endpoints), rounds) == (False, ["#documentation", "#x"], 1)
    yard.check_quiet()
