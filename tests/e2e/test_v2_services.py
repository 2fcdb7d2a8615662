"""Machines of protocol v2 at Machine Markets: records, pairings and tokens under a DID that is no account's."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from e2e_harness import Yard
from eth_account import Account
from v2_fleet import REGISTRY, chained, did, live_by_v2, with_keys

from reconciler.sandbox.chain import calldata

MakeYard = Callable[..., Yard]
MARKET = {"machineType": "air-sensor", "runtimeProfile": "linux-arm64", "capabilities": ["price-feed"]}


def enrolled(yard: Yard, *names: str, **block: Any) -> None:
    """Machines with a record and a pairing each."""
    live_by_v2(yard, *names, **block)
    yard.manifest["defaults"]["market"] = MARKET
    for machine in yard.manifest["machines"]:
        machine["pairings"] = [{"agent": "ops", "role": "ops", "delegationPolicy": "small"}]


def record(yard: Yard, name: str) -> dict[str, Any]:
    """The one record of a machine."""
    (found,) = [r for r in yard.world.items("/machines") if r["identityRef"] == f"did:peaq:{chained(yard, name).id}"]
    return found


def pairings(yard: Yard, name: str) -> list[str]:
    found = yard.world.items(f"/machines/{record(yard, name)['id']}/agent-pairings")
    return [pairing["status"] for pairing in found]


@pytest.mark.parametrize("custody", ["operator", "machine", "handover"])
def test_whoever_owns_it_its_agent_works(new_yard: MakeYard, custody: str) -> None:
    yard = new_yard(0)
    owner = {"owner": Account.create().address} if custody == "handover" else {}
    enrolled(yard, "a", "b", custody=custody, **owner)
    if custody == "machine":
        with_keys(yard)
        for account in yard.accounts.values():
            yard.world.fund(account.address, 1)
    did(yard)
    for name in ("a", "b"):
        assert record(yard, name)["status"] == "active"
        assert pairings(yard, name) == ["active"]
        assert yard.search(yard.token(name)) == 201


def test_a_record_is_not_asked_for_before_its_machine_is_there(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    enrolled(yard, "a", maxBond="0.4 PEAQ")
    plan = {change["address"]: change for change in yard.run("plan", "--output", "json").data["changes"]}
    assert plan["machine_record/a"]["reason"] == "waits for machine_activation/a, which is blocked"
    yard.manifest["defaults"]["v2"].pop("maxBond")
    events = yard.root / "events.jsonl"
    assert yard.run("apply", "--yes", "--events", str(events)).code == 0
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    happened = [(line["type"], line.get("address")) for line in lines]
    made = happened.index(("apply_complete", "machine_activation/a"))
    assert made < happened.index(("apply_start", "machine_record/a"))


def test_a_controller_that_somebody_changed_is_put_back_before_the_record_is_asked_for(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    enrolled(yard, "a")
    did(yard)
    machine = chained(yard, "a")
    data = calldata("setController(uint256,address)", machine.id, Account.create().address)
    yard.world.send(yard.operator, REGISTRY, data)
    yard.manifest["delegationPolicies"]["small"]["dailySpendLimit"] = 31
    did(yard)  # a record is shown to nobody while another controls its machine
    assert machine.controller == yard.operator.address.lower()
    assert pairings(yard, "a") == ["active"]
    assert yard.search(yard.token("a")) == 201


def test_a_retired_machine_leaves_its_pairings_and_its_record(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    enrolled(yard, "a", "b")
    did(yard)
    token, number = yard.token("a"), record(yard, "a")["id"]
    yard.machine("a")["state"] = "retired"
    did(yard)
    assert yard.world.markets("GET", f"/machines/{number}").json()["item"]["status"] == "archived"
    assert yard.search(token) != 201
    assert (chained(yard, "a").paused, chained(yard, "b").paused) == (True, False)
    assert yard.search(yard.token("b")) == 201


def test_what_is_protected_is_not_retired(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    enrolled(yard, "a")
    did(yard)
    yard.machine("a").update({"state": "retired", "protect": True})
    before = yard.footprint()
    applied = yard.run("apply", "--yes")
    assert applied.code == 5, applied.said
    assert yard.footprint() == before
    yard.machine("a").update({"state": "active"})
    yard.machine("a")["v2"] |= {"paused": True}
    assert yard.run("apply", "--yes").code == 5
    assert yard.footprint() == before


def test_what_is_suspended_or_ignored_is_left(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    enrolled(yard, "a", "b", "c")
    did(yard)
    before = yard.footprint()
    for name in ("a", "b"):
        yard.machine(name)["v2"] |= {"paused": True}
    yard.machine("a").update({"suspended": True})
    yard.machine("b").update({"ignore": ["operation.paused"]})
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    assert yard.footprint() == before
