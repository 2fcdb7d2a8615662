"""Machines of protocol v2 that were made by apply and then forgotten: a plan of what import wrote is empty."""

import re
from collections.abc import Callable

import pytest
from e2e_harness import Yard
from eth_account import Account
from test_import import check_empty, forgotten, imported
from test_migrate import running
from v2_fleet import chained, live_by_v2

MakeYard = Callable[..., Yard]
METHODS = [
    {"id": "#a", "type": "Ed25519VerificationKey2020", "publicKeyMultibase": "z6Mka"},
    {"id": "#b", "type": "Ed25519VerificationKey2020", "publicKeyMultibase": "z6Mkb", "controller": "0x" + "7" * 40},
]


def odd_fleet(new_yard: MakeYard) -> Yard:
    """One machine of every sort there is."""
    yard = new_yard(0)
    live_by_v2(yard, "plain", "rich", "given", "bytes", "led")
    unique = yard.operator.address[2:].lower()
    yard.machine("rich")["v2"] = {
        **{"tier": "basic", "manufacturer": "0x" + "6" * 40, "paused": True},
        **{"verificationMethods": METHODS, "authentication": ["#b"]},
        "serviceEndpoints": [{"id": "#t", "type": "Telemetry", "url": "https://t.example.com/ü?a: b"}],
    }
    yard.machine("rich")["metadata"] = {"dataApi": "https://data.example.com/rich"}
    yard.machine("given")["v2"] = {"custody": "handover", "owner": Account.create().address}
    yard.machine("bytes")["v2"] = {"credentialSubject": {"hex": f"0x{unique}_{'00ff' * 6}"}}
    yard.machine("bytes")["metadata"] = {"documentationUrl": None}
    yard.machine("led")["v2"] = {"controller": "0x" + "5" * 40}
    yard.save()
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    yard.check_quiet()
    return yard


@pytest.mark.parametrize("whose", ["operator", "operator's did", "machines' dids"])
def test_an_odd_fleet_is_imported_whole(new_yard: MakeYard, whose: str) -> None:
    yard = odd_fleet(new_yard)
    numbers = {name: chained(yard, name).id for name in ("plain", "rich", "given")}
    forgotten(yard)
    selectors = {
        "operator": ["--operator", yard.operator.address.lower()],
        "operator's did": ["--did", f"did:peaq:{yard.operator.address}"],
        "machines' dids": [word for number in numbers.values() for word in ("--did", f"did:peaq:{number}")],
    }
    imported(yard, *selectors[whose])
    text = yard.file.read_text()
    assert "\nprotocol: v2\n" in text
    assert "address:" not in text.partition("machines:")[2]
    for said in ("tier: basic", "paused: true", "#t", "z6Mkb", "custody: handover", "https://data.example.com/rich"):
        assert said in text, text
    assert text.count("credentialSubject") == (3 if whose.startswith("machines") else 5)
    actions = check_empty(yard)
    assert sum(address.startswith("machine_activation/") for address in actions) >= 3


def test_machines_join_a_manifest_of_the_other_protocol(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "plain")
    yard.save()
    assert yard.run("apply", "--yes").code == 0
    number = chained(yard, "plain").id
    yard.file.write_text(
        "apiVersion: fleetctl/v1\nkind: Fleet\nname: ours\n"
        f'network: {{preset: sandbox, rpcUrl: "{yard.world.info.rpc_url}"}}\n'
        "operator: {key: {env: PEAQOS_PRIVATE_KEY}}\n"
        "defaults: {v1: {dataVisibility: public}, v2: {maxBond: 1 PEAQ, tier: pro}}\n"
    )
    ran = yard.run_as_is("import", "--did", f"did:peaq:{number}")
    assert ran.code == 0, ran.said
    entry = yard.file.read_text().partition("machines:")[2]
    assert "protocol: v2" in entry
    assert "v1" not in entry
    assert "tier: entry" in entry
    check_empty(yard)


def test_a_successor_is_imported_as_one(new_yard: MakeYard) -> None:
    yard = running(new_yard(2))
    first = yard.file.read_text()
    for command in (("migrate", "plan", "--write", "--only", "air-002"), ("apply", "--yes")):
        ran = yard.run_as_is(*command)
        assert ran.code == 0, ran.said
    # Into a manifest that names the old machines only, and into none.
    yard.file.write_text(first)
    assert yard.run_as_is("import", "--operator", yard.operator.address).code == 0
    assert re.findall(r"successorOf: (\S+)", yard.file.read_text()) == ["air-002"]
    assert "air-002: there is a successor already" in yard.run_as_is("migrate", "plan").said
    forgotten(yard)
    imported(yard, "--operator", yard.operator.address)
    assert re.findall(r"successorOf: (\S+)", yard.file.read_text()) == ["air-002"]
    check_empty(yard)


def test_where_a_node_searches_no_logs_the_mcr_api_is_asked(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    names = [f"m-{number:02}" for number in range(23)]
    live_by_v2(yard, *names)
    yard.machine("m-00")["v2"] = {"custody": "handover", "owner": Account.create().address}
    yard.save()
    assert yard.run("apply", "--yes").code == 0
    forgotten(yard)
    refused = {"action": "error", "code": -32614, "message": "block range is too large", "method": "eth_getLogs"}
    yard.world.rpc_faults({**refused, "count": None})
    ran = imported(yard, "--operator", yard.operator.address)
    assert "which may lag behind the chain" in ran.err.replace("\n", " "), ran.err
    # More than a page of them, and the one that it only controls.
    assert yard.file.read_text().count("credentialSubject") == len(names)
    check_empty(yard)
