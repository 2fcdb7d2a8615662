"""A fleet that fleetctl took live, as the official SDK reads it: every value is what the manifest declares."""

import json
from typing import Any

import pytest
from eth_utils.crypto import keccak
from interop_harness import Applied, Official, Refused, World
from interop_manifests import MACHINES

CAREFUL: dict[str, Any] = {
    "allowed_skill_keys": ["pyth-price-feed"],
    "denied_skill_keys": [],
    "allowed_service_ids": [],
    "denied_service_ids": [],
    "per_transaction_limit": 5,
    "daily_spend_limit": 20,
    "currency": "USD",
}
GENEROUS: dict[str, Any] = {
    **CAREFUL,
    "allowed_skill_keys": [],
    "per_transaction_limit": 12.5,
    "daily_spend_limit": 80,
    "currency": "EUR",
}
OPS = ("ops", "anthropic", "ops", None, CAREFUL)
BUYER = ("buyer", "openai", "buyer", None, GENEROUS)
PAIRED = {"dock-1": [OPS], "dock-2": [OPS, ("buyer", "openai", "buyer", "buys data", GENEROUS)], "dock-3": [BUYER]}
"""Agent, provider, role, description and policy of each machine's pairings."""
FEED = "oracle.price-feed"


@pytest.fixture(scope="module")
def read(applied: tuple[Applied, Official]) -> Any:
    fleet, official = applied
    return official.call("read_fleet", machines={name: account.address for name, account in fleet.machines.items()})


def test_ids_on_the_chain_are_those_the_sdk_finds(world: World, applied: tuple[Applied, Official], read: Any) -> None:
    fleet, _ = applied
    registry = world.sandbox.contracts.identity_registry
    selector = "0x" + keccak(text="machineIdOfOwner(address)")[:4].hex()
    ids = {name: world.view(registry, selector, int(a.address, 16)) for name, a in fleet.machines.items()}
    assert all(ids.values())
    assert {name: machine["id"] for name, machine in read["machines"].items()} == ids
    assert read["operator"]["id"] == world.view(registry, selector, int(fleet.operator, 16)) > 0
    for name, machine in read["machines"].items():
        assert machine["token"] > 0
        assert machine["holder"] == fleet.machines[name].address


@pytest.mark.parametrize("name", MACHINES)
def test_six_attributes_are_as_declared(applied: tuple[Applied, Official], read: Any, name: str) -> None:
    fleet, _ = applied
    machine = read["machines"][name]
    assert machine["attributes"] == {
        "machineId": str(machine["id"]),
        "nftTokenId": str(machine["token"]),
        "operator": f"did:peaq:{fleet.operator}",
        "documentation_url": f"https://docs.example.com/{name}",
        "data_api": f"https://data.example.com/{name}",
        "data_visibility": "onchain" if name == "dock-3" else "public",
    }


def test_the_operator_publishes_exactly_this_fleet(applied: tuple[Applied, Official], read: Any) -> None:
    fleet, _ = applied
    operator, ids = read["operator"], {machine["id"] for machine in read["machines"].values()}
    listed = json.loads(operator["machines"])
    assert set(listed) == ids
    assert len(listed) == len(ids)
    assert operator["machineId"] == str(operator["id"])
    assert operator["mcr"]["operator_did"] == f"did:peaq:{fleet.operator}"
    dids = {f"did:peaq:{account.address}" for account in fleet.machines.values()}
    assert {machine["did"] for machine in operator["mcr"]["machines"]} == dids
    assert {machine["machine_id"] for machine in operator["mcr"]["machines"]} == ids


@pytest.mark.parametrize("name", MACHINES)
def test_mcr_resolves_each_machine(applied: tuple[Applied, Official], read: Any, name: str) -> None:
    fleet, _ = applied
    machine, did = read["machines"][name], f"did:peaq:{fleet.machines[name].address}"
    assert machine["mcr"]["did"] == did
    assert machine["mcr"]["machine_id"] == machine["id"]
    assert machine["mcr"]["bond_status"] == "bonded"
    profile = machine["profile"]["peaqos"]
    assert profile["machine_id"] == machine["id"]
    assert profile["did"] == did


@pytest.mark.parametrize("name", MACHINES)
def test_records_are_active_and_as_declared(applied: tuple[Applied, Official], read: Any, name: str) -> None:
    fleet, _ = applied
    record, policies = read["machines"][name]["record"], read["policies"]
    attached = ["docks-eu", "docks-cheap"] if name == "dock-2" else ["docks-eu"]
    declared = {
        "display_name": "The third dock" if name == "dock-3" else name,
        "status": "active",
        "owner_id": f"did:peaq:{fleet.operator}",
        "machine_type": "dock",
        "runtime_profile": "linux-arm64",
        "capabilities": ["price-feed"],
        "labels": {"site": "berlin"} if name == "dock-2" else {},
        "policy_ids": [policies[policy]["id"] for policy in attached],
        "identity_ref": f"did:peaq:{fleet.machines[name].address}",
    }
    assert {field: record[field] for field in declared} == declared
    assert record["identity_proof"]["signer_address"] == fleet.machines[name].address


def test_machine_policies_are_as_declared(read: Any) -> None:
    european, cheap = read["policies"]["docks-eu"], read["policies"]["docks-cheap"]
    assert (european["region_rules"], european["native_only"]) == (["eu"], True)
    assert cheap["budget_cap"] == {"currency": "USD", "amount": 40}


@pytest.mark.parametrize("name", MACHINES)
def test_pairings_carry_their_policies_and_a_session(applied: tuple[Applied, Official], read: Any, name: str) -> None:
    fleet, _ = applied
    pairings = {pairing["agent_address"]: pairing for pairing in read["machines"][name]["pairings"]}
    assert len(pairings) == len(read["machines"][name]["pairings"]) == len(PAIRED[name])
    for agent, provider, role, description, policy in PAIRED[name]:
        pairing = pairings[fleet.agents[agent].address]
        declared = {
            "agent_provider": provider,
            "agent_role": role,
            "description": description,
            "status": "active",
            "delegation_policy": policy,
            "has_auth_token": True,
            "token_last_four": _token(fleet, f"{name}/{agent}")[-4:],
        }
        assert {field: pairing[field] for field in declared} == declared
        assert pairing["verification"]["signer_address"] == fleet.agents[agent].address


def test_only_the_declared_endpoint_is_there(read: Any) -> None:
    assert [len(read["machines"][name]["endpoints"]) for name in MACHINES] == [1, 0, 0]
    (endpoint,) = read["machines"]["dock-1"]["endpoints"]
    assert endpoint["provider_key"] == "qvac"
    assert endpoint["endpoint_base_url"].rstrip("/") == "http://10.0.0.7:8080"
    assert endpoint["network_scope"] == "lan"


@pytest.mark.parametrize("pairing", ["dock-1/ops", "dock-2/ops", "dock-2/buyer", "dock-3/buyer"])
def test_every_stored_token_opens_the_market(applied: tuple[Applied, Official], read: Any, pairing: str) -> None:
    fleet, official = applied
    who = _who(fleet, read, pairing)
    found = official.call("search", **who, token=_token(fleet, pairing), service_type=FEED)
    assert found["status"] == "completed"
    assert found["quotes"]
    assert found["agent_pairing_id"] == who["pairing_id"]


def test_a_changed_policy_ends_the_old_token_and_the_new_one_is_stored(
    applied: tuple[Applied, Official], read: Any
) -> None:
    fleet, official = applied
    pairings = ("dock-2/buyer", "dock-3/buyer")
    who = {pairing: _who(fleet, read, pairing) for pairing in pairings}
    old = {pairing: _token(fleet, pairing) for pairing in pairings}
    untouched = _token(fleet, "dock-1/ops")
    fleet.fleetctl.edit("dailySpendLimit: 80", "dailySpendLimit: 70")
    try:
        result = fleet.fleetctl.apply()
        assert result["result"]["transactions"] == 0
        new = {pairing: _token(fleet, pairing) for pairing in pairings}
        for pairing in pairings:
            assert new[pairing] != old[pairing]
            with pytest.raises(Refused) as refused:
                official.call("search", **who[pairing], token=old[pairing], service_type=FEED)
            assert refused.value.code == "AGENT_AUTH_INVALID"
            found = official.call("search", **who[pairing], token=new[pairing], service_type=FEED)
            assert found["status"] == "completed"
        assert _token(fleet, "dock-1/ops") == untouched
        fleet.inside.plan(expect=0)
    finally:
        fleet.fleetctl.edit("dailySpendLimit: 70", "dailySpendLimit: 80")
        fleet.inside.apply("--allow-widening")


def _who(fleet: Applied, read: Any, pairing: str) -> dict[str, str]:
    machine, agent = pairing.split("/")
    pairings = {p["agent_address"]: p["id"] for p in read["machines"][machine]["pairings"]}
    return {
        "machine_id": read["machines"][machine]["record"]["id"],
        "pairing_id": pairings[fleet.agents[agent].address],
    }


def _token(fleet: Applied, pairing: str) -> str:
    path = fleet.fleetctl.token_file(pairing)
    assert path.stat().st_mode & 0o777 == 0o600
    return path.read_text().strip()
