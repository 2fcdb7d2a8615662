"""Fleets that were made by apply and then forgotten: import finds them whole, and a plan of what it wrote is empty."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e_harness import AT, PEAQ, Ran, Yard
from eth_account import Account

from reconciler.sandbox.chain import calldata

EXAMPLE = Path(__file__).parents[2] / "examples" / "quickstart"
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
    yard.add("silent", key=False)["v1"] = {"custody": "none"}
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
    assert "A plan of it is empty" in ran.err or not ran.data["pending"], ran.said
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
    yard.world.service_faults(archivedListed=True)
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
        "did:pkh:eip155:3338", "custody: none", "status: archived", "status: deactivated", f"eu-{yard.name}", 
        "nativeOnly", "10.0.0.7", "usd-30-a-day", "no-limits", "https://data.example.com/1", "PEAQOS_API_KEY",
    ):  # fmt: skip
        assert said in text, (said, text)
    assert "PEAQOS_PRIVATE_KEY" in text, "how to add a key"
    actions = check_empty(yard)
    assert {"machine_did/air-002", "runtime_endpoint/Gro-e-yes/qvac", "machine_record/old"} <= actions.keys()
    yard.check_discreet(ran)
    again = yard.run_as_is("import", *selectors[whose])
    assert again.code == 0, again.said
    assert "Nothing to import" in again.err
    assert yard.file.read_text() == text


def test_the_quick_start_is_imported_whole(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    shutil.copytree(EXAMPLE, yard.root, dirs_exist_ok=True)
    assert yard.run_as_is("keys", "generate").code == 0
    applied = yard.run_as_is("apply", "--yes", "--allow-widening")
    assert applied.code == 0, applied.said
    forgotten(yard)
    imported(yard, "--operator", yard.operator.address)
    text = yard.file.read_text()
    assert text.count("\n  - name: air-") == 10
    assert "usd-20-a-day" in text
    check_empty(yard)


HAND_WRITTEN = """\
# Our fleet. Ask Ada before you touch it.
apiVersion: fleetctl/v1
kind: Fleet
name: ours   # the name of our fleet
network: {preset: sandbox, rpcUrl: "%(rpc)s"}
services:
  markets: {url: "${PEAQOS_ORCHESTRATION_URL}", apiKey: {env: PEAQOS_API_KEY}}
operator: {address: "%(operator)s"}   # no key on this machine
delegationPolicies:
  # what buyers may do
  small:
    currency: USD
    perTransactionLimit: 5
    allowedSkillKeys: [pyth-price-feed]
    dailySpendLimit: 30
defaults:
  metadata: {documentationUrl: "https://docs.example.com/{name}", dataApi: "https://nowhere.example.com/"}
  v1: {attributes: {site: hamburg}, dataVisibility: private}
  market: {machineType: robot, runtimeProfile: x, capabilities: [flying], labels: {floor: "1"}}
  runtimeEndpoints: {qvac: {endpointBaseUrl: "http://10.0.0.9:1"}}
%(machines)s
# The end.
"""
STYLES = {
    "block": 'machines:\n# the first\n- name: one\n  address: "%s"   # by the door\n  # nothing else yet\n',
    "indented": 'machines:\n    - address: "%s"\n      name: one\n\n\n# between\n',
    "flow": 'machines: [ # all of them\n  {name: one, address: "%s"}, # by the door\n  # nothing else yet\n]\n',
    "empty": "machines: []   # none yet (not %s)\n",
    "none": "# no machines yet (not %s)\n",
}


@pytest.mark.parametrize("style", STYLES)
def test_an_import_into_a_file_only_adds(new_yard: MakeYard, style: str) -> None:
    yard = new_yard(2)
    yard.machine("air-002")["market"] = {"labels": {"site": "x"}}
    yard.machine("air-002")["pairings"] = []
    yard.add("bare").update(market=None, pairings=[])
    assert yard.run("apply", "--yes").code == 0
    forgotten(yard)
    there = yard.accounts["air-001"].address
    values = {"rpc": yard.world.info.rpc_url, "operator": yard.operator.address, "machines": STYLES[style] % there}
    before = HAND_WRITTEN % values
    yard.file.write_text(before)
    ran = yard.run_as_is("import", "--operator", yard.operator.address)
    after = yard.file.read_text()
    left = iter(after.splitlines())
    if style == "empty":
        before = before.replace("machines: []", "machines: ") if "machines: [] " not in after else before
    assert all(line in left for line in before.splitlines()), "a line is gone, changed or moved\n" + after
    assert after.endswith("# The end.\n") or style in ("none", "empty")
    names = ["air-002", "bare"] if style in ("block", "indented", "flow") else ["air-001", "air-002", "bare"]
    assert json.loads(yard.run_as_is("plan", "--output", "json").out)
    said = f"Imported {len(names)} machines"
    assert said in ran.err, ran.said
    # `one` is what the hand-written entry says and not what is there; what was imported is as it is.
    pending = [line for line in ran.err.splitlines() if line.startswith("  ")]
    assert all("/one" in line for line in pending), ran.said
    assert ran.code == (2 if pending else 0)
    assert "small-2" not in after
    assert "delegationPolicy: small" in after or style in ("block", "indented", "flow")


def test_more_machines_than_any_index_shows_are_found_whole(new_yard: MakeYard) -> None:
    yard = new_yard(0, peaq=1000)
    accounts = [Account.create().address for _ in range(150)]
    yard.world.send(yard.operator, AT.identity_registry, calldata("register()"), PEAQ)
    for address in accounts:
        yard.world.send(yard.operator, AT.identity_registry, calldata("registerFor(address)", address), PEAQ)
        yard.world.send(
            yard.operator, AT.machine_nft,
            calldata("mint(uint256,address)", yard.world.machine_id(address), address),
        )  # fmt: skip
    forgotten(yard)
    imported(yard, "--operator", yard.operator.address)
    text = yard.file.read_text()
    assert text.count("\n  - name: machine-") == len(accounts)
    assert all(address in text for address in accounts)
    assert "publishFleet: false" in text
    check_empty(yard)


def test_what_cannot_be_read_is_an_error_and_nothing_is_written(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    forgotten(yard)
    for path in ("machines", "machines/*/agent-pairings", "machines/*/runtime-endpoints"):
        yard.world.service_faults(
            {"action": "status", "status": 503, "method": "GET", "path": f"/markets/api/v1/{path}", "count": 100}
        )
        ran = yard.run_as_is("import", "--rpc", yard.world.info.rpc_url, "--operator", yard.operator.address)
        assert ran.code == 1, (path, ran.said)
        assert "no answer from Machine Markets" in ran.err, ran.said
        assert not yard.file.exists()
        yard.world.well()


def test_logs_that_a_node_will_not_search_are_searched_in_parts_or_not_at_all(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.machine("air-001")["v1"] = {"attributes": {"firmware": "2.4.1", "site": "berlin"}}
    assert yard.run("apply", "--yes").code == 0
    forgotten(yard)
    refused = {"action": "error", "code": -32614, "message": "block range is too large", "method": "eth_getLogs"}
    yard.world.rpc_faults({**refused, "count": None})
    whose = ("--rpc", yard.world.info.rpc_url, "--operator", yard.operator.address)
    yard.world.service_faults({"action": "status", "status": 503, "method": "GET", "path": "/mcr/*", "count": 100})
    ran = yard.run_as_is("import", *whose)
    assert ran.code == 1
    assert "--protocol v1" in ran.err
    yard.world.service_faults()
    whose += ("--protocol", "v1")
    ran = yard.run_as_is("import", *whose)
    assert ran.code == 1
    assert "the logs of block" in ran.err
    assert "--attribute" in ran.err
    assert not yard.file.exists()
    ran = yard.run_as_is("import", *whose, "--attribute", "site", "--out", "-")
    assert ran.code == 0, ran.said
    assert "attributes: {site: berlin}" in ran.out
    assert not yard.file.exists()
    yard.world.well()
    yard.world.rpc_faults({**refused, "count": 3})
    imported(yard, "--operator", yard.operator.address)
    assert 'attributes: {firmware: "2.4.1", site: berlin}' in yard.file.read_text()
    check_empty(yard)


def test_a_machine_that_registered_itself_is_found_where_it_is_listed(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    account = yard.accounts["air-001"]
    yard.world.fund(account.address, 10)
    yard.world.send(account, AT.identity_registry, calldata("register()"), PEAQ)
    assert yard.run("apply", "--yes").code == 0
    forgotten(yard)
    imported(yard, "--operator", yard.operator.address)
    assert account.address in yard.file.read_text()
    assert "machine_did/air-001" in check_empty(yard)


def test_machines_of_two_operators_go_into_one_file(new_yard: MakeYard) -> None:
    one, two = new_yard(1), new_yard(1)
    for yard in (one, two):
        assert yard.run("apply", "--yes").code == 0
    forgotten(one)
    whose = [yard.accounts["air-001"].address for yard in (one, two)]
    ran = imported(one, "--address", whose[0], "--address", whose[1], "--output", "json")
    number = one.world.machine_id(whose[1])
    assert ran.data["machines"] == ["air-001", f"air-001-{number}"]
    text = one.file.read_text()
    assert "operator: operator-2" in text
    assert "anthropic-2: " in text
    assert text.count("usd-30-a-day:") == 1, "the same policy has one name"
    check_empty(one)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "say whose machines"),
        (["--operator", "0x12"], "not an address"),
        (["--did", "did:peaq:0x77"], "a DID is expected"),
        (["--operator", "0x" + "12" * 20, "--address", "0x" + "12" * 20], "say whose machines"),
    ],
)
def test_wrong_usage_is_told(new_yard: MakeYard, given: list[str], said: str) -> None:
    yard = new_yard(0)
    ran = yard.run_as_is("import", *given)
    assert ran.code == 64
    assert said in ran.err


def test_nobody_is_imported_twice_and_nothing_is_overwritten(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    other = Path(yard.root) / "other.yaml"
    other.write_text("# mine\n")
    ran = yard.run_as_is("import", "--operator", yard.operator.address, "--out", str(other))
    assert ran.code == 3
    assert other.read_text() == "# mine\n"
    ran = yard.run_as_is("import", "--rpc", yard.world.info.rpc_url, "--address", yard.operator.address)
    assert ran.code == 3
    assert "is not registered here" in ran.err
