"""Fleets that were made by apply and then forgotten: import finds them whole, and a plan of what it wrote is empty."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e_harness import AT, PEAQ, Ran, Yard
from eth_account import Account

from reconciler.sandbox.chain import calldata

MakeYard = Callable[..., Yard]


def odd_fleet(new_yard: MakeYard) -> Yard:
    """One machine of every sort there is."""
    yard = new_yard(2)
    buyer, auditor = Account.create(), Account.create()
    manifest = yard.manifest
    manifest["machinePolicies"] = {f"eu-{yard.name}": {"regionRules": ["eu"], "nativeOnly": True}}
    manifest["delegationPolicies"]["none"] = {"perTransactionLimit": 0, "dailySpendLimit": 0, "currency": "USD"}
    for name, account in (("buyer", buyer), ("auditor", auditor)):
        yard.write_key(name, account)
        manifest["agents"][name] = {
            "address": account.address, "provider": "openai", "key": {"file": f"keys/{name}.key"}
        }  # fmt: skip
    manifest["agents"]["auditor"]["did"] = f"did:pkh:eip155:3338:{auditor.address}"
    yard.machine("air-001").update(
        v1={"attributes": {"firmware": "2.4.1", "site": 'Berlin: "Mitte" #1'}, "dataVisibility": "public"},
        metadata={"dataApi": "https://data.example.com/1"},
        market={
            "displayName": "Größe 😀: # \u2028yes",
            "labels": {"site": "Zürich", "on": "no", "n": "1"},
            "policies": [f"eu-{yard.name}"],
            "skillKeys": ["pyth-price-feed"],
            "ownerId": "somebody else",
        },
        runtimeEndpoints={"qvac": {"endpointBaseUrl": "http://10.0.0.7:8080", "networkScope": "lan"}},
        pairings=[
            {"agent": "ops", "role": "ops", "delegationPolicy": "small", "description": "über: {all}"},
            {"agent": "buyer", "role": "buyer: 1", "delegationPolicy": "none", "paused": True},
            {"agent": "auditor", "role": "auditor"},
        ],
    )
    yard.add("bare")["pairings"] = []
    yard.machine("bare")["market"] = None
    yard.add("silent", key=False)["custody"] = "none"
    yard.machine("silent")["pairings"] = []
    yard.add("old")["pairings"] = []
    yard.add("off")
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    yard.machine("old")["market"] = {"status": "archived"}
    yard.machine("off")["v1"] = {"status": "deactivated"}
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    yard.check_quiet()
    return yard


def forgotten(yard: Yard) -> None:
    """Manifest, journal, tokens and keys are gone."""
    yard.root = yard.root.parent / f"{yard.name}-again"
    yard.root.mkdir()
    yard.environ = {name: value for name, value in yard.environ.items() if name != "PEAQOS_PRIVATE_KEY"}


def imported(yard: Yard, *whose: str) -> Ran:
    ran = yard.run_as_is("import", "--rpc", yard.world.info.rpc_url, *whose)
    assert ran.code == 0, ran.said
    assert "A plan of it is empty" in ran.err, ran.said
    return ran


def check_empty(yard: Yard) -> dict[str, Any]:
    """The plan of what was written; the world is left as it is by a look at it."""
    before = yard.world.head()
    plan = yard.run_as_is("plan", "--detailed-exitcode", "--output", "json")
    assert plan.code == 0, plan.said
    actions = {change["address"]: change["action"] for change in plan.data["changes"]}
    assert set(actions.values()) <= {"no-op", "parked"}, actions
    assert all(address.startswith("session_token/") for address, a in actions.items() if a == "parked"), actions
    assert yard.world.head() == before
    assert yard.run_as_is("validate").code == 0
    return actions


@pytest.mark.parametrize("whose", ["operator", "did", "address"])
def test_an_odd_fleet_is_imported_whole(new_yard: MakeYard, whose: str) -> None:
    yard = odd_fleet(new_yard)
    forgotten(yard)
    accounts = {name: account.address for name, account in yard.accounts.items()}
    selectors = {
        "operator": ["--operator", yard.operator.address.lower()],
        "did": ["--did", f"did:peaq:{yard.operator.address}"],
        "address": [word for address in accounts.values() for word in ("--address", address)],
    }
    ran = imported(yard, *selectors[whose])
    text = yard.file.read_text()
    assert all(address in text for address in accounts.values()), text
    for said in (
        "firmware", "2.4.1", "Mitte", "Größe 😀", "Zürich", "somebody else", "paused: true", "buyer: 1", "über: {all}",
        "did:pkh:eip155:3338", "custody: none", "status: archived", "status: deactivated", f"eu-{yard.name}", "nativeOnly",
        "10.0.0.7", "usd-30-a-day", "no-limits", "https://data.example.com/1", "PEAQOS_API_KEY",
    ):  # fmt: skip
        assert said in text, (said, text)
    assert "PEAQOS_PRIVATE_KEY" in text, "how to add a key"
    actions = check_empty(yard)
    assert {"machine_did/air-002", "runtime_endpoint/Gr-e-yes/qvac"} <= actions.keys() or text
    yard.check_discreet(ran)
    again = yard.run_as_is("import", *selectors[whose])
    assert again.code == 0, again.said
    assert "Nothing to import" in again.err
    assert yard.file.read_text() == text
