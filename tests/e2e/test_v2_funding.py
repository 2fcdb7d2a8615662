"""Machines of protocol v2 that activate themselves, from wallets that their operator fills with what that takes."""

import time
from collections.abc import Callable

import pytest
from e2e_harness import PEAQ, Yard
from v2_fleet import chained, did, live_by_v2, since, with_keys

MakeYard = Callable[..., Yard]
RESERVE = PEAQ // 50


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    yard = new_yard(0)
    live_by_v2(yard, "a", "b", "c", custody="machine")
    with_keys(yard)
    yard.manifest["v2"] = {"funding": {"from": "operator", "reserve": "0.02 PEAQ"}}
    return yard


def test_wallets_are_filled_with_what_is_taken_from_them_and_no_more(yard: Yard) -> None:
    rich = yard.accounts["c"].address
    yard.world.fund(rich, 1)
    before = yard.footprint()
    plan = yard.run("plan", "--output", "json")
    costs = {signer: {part: int(wei) for part, wei in cost.items()} for signer, cost in plan.data["cost"].items()}
    assert yard.footprint() == before
    # Two wallets are filled with half a PEAQ, a reserve and gas each; the third pays half a PEAQ of its own.
    assert "cost ≤ 1.5" in plan.data["headline"], plan.data["headline"]
    assert "(0.5 bond + 1.0" in plan.data["headline"], plan.data["headline"]
    assert {signer: cost["bond"] for signer, cost in costs.items() if cost["bond"]} == {
        f"machine/{name}": PEAQ // 2 for name in "abc"
    }
    assert costs["operator/default"]["transfer"] == sum(costs[f"machine/{n}"]["total"] + RESERVE for n in "ab")
    did(yard)
    assert since(yard, yard.since) == {"transfer": 2, "approve": 3, "activateMachine": 3}
    assert yard.world.nonce(yard.operator.address) == 1, "all wallets are filled in one transaction"
    for name, account in yard.accounts.items():
        assert chained(yard, name).owner == account.address.lower()
        assert yard.world.nonce(account.address) == 1
    for name in "ab":
        left = yard.world.balance(yard.accounts[name].address)
        assert RESERVE <= left < RESERVE + PEAQ // 100, left
    status = yard.run("status", "--output", "json").data
    assert {int(machine["balance"]) > 0 for machine in status["machines"]} == {True}


def test_what_is_sent_for_a_bond_is_counted_once(yard: Yard) -> None:
    """Three bonds and three reserves: 1.56 PEAQ and a little gas; a bond counted twice would be 3 PEAQ."""
    yard.manifest["guards"] = {"maxSpend": "1.55 PEAQ"}
    before = yard.footprint()
    refused = yard.run("apply", "--yes")
    assert (refused.code, "guards.maxSpend allows 1.55 PEAQ" in refused.said) == (4, True), refused.said
    assert yard.footprint() == before
    yard.manifest["guards"] = {"maxSpend": "1.6 PEAQ"}
    did(yard)


def test_bonds_of_wallets_that_hold_enough_are_counted_too(yard: Yard) -> None:
    for account in yard.accounts.values():
        yard.world.fund(account.address, 1)
    yard.manifest["guards"] = {"maxSpend": "1.4 PEAQ"}
    assert yard.run("apply", "--yes").code == 4
    yard.manifest["guards"] = {"maxSpend": "1.6 PEAQ"}
    did(yard)
    assert yard.world.nonce(yard.operator.address) == 0


def test_a_poor_operator_is_told_before_anything_is_sent(yard: Yard) -> None:
    yard.world.fund(yard.operator.address, 1)
    before = yard.footprint()
    refused = yard.run("apply", "--yes")
    assert refused.code == 4, refused.said
    assert f"operator/default ({yard.operator.address}) holds 1 PEAQ and needs 1.5" in refused.said, refused.said
    assert yard.footprint() == before


def test_a_machine_that_somebody_else_has_gets_nothing(yard: Yard, new_yard: MakeYard) -> None:
    thief = new_yard(0)
    live_by_v2(thief, "a")
    thief.manifest["defaults"]["v2"]["credentialSubject"] = f"{yard.operator.address} {{name}}"
    did(thief)
    applied = yard.run("apply", "--yes")
    assert applied.code == 5, applied.said
    assert yard.world.balance(yard.accounts["a"].address) == 0
    assert since(yard, yard.since) == {"transfer": 2, "approve": 2, "activateMachine": 2}


@pytest.mark.parametrize(("fault", "sent"), [("dropBefore", 0), ("dropAfter", 1)])
def test_killed_as_the_coins_are_sent_they_are_sent_once(yard: Yard, fault: str, sent: int) -> None:
    yard.world.rpc_faults({"action": fault, "method": "eth_sendRawTransaction", "count": None})
    process = yard.spawn("apply", "--yes")
    end = time.monotonic() + 30
    rules = f"{yard.world.info.url}/sandbox/faults/rpc"
    while not any(rule["struck"] for rule in yard.world.http.get(rules).json()["rules"]):
        assert time.monotonic() < end, process.poll()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    yard.world.well()
    assert yard.world.nonce(yard.operator.address) == sent
    did(yard)
    assert since(yard, yard.since) == {"transfer": 3, "approve": 3, "activateMachine": 3}
    assert yard.world.nonce(yard.operator.address) == 1
