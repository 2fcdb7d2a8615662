"""Policies, skills, runtime endpoints, runtime agents, health and the audit trail."""

from collections.abc import Iterator
from typing import Any

import pytest
from services_harness import API, Client, FakeChain, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("services"), FakeChain()) as running:
        yield running


@pytest.fixture
def client(server: Client) -> Iterator[Client]:
    yield server
    server.chain.down = False
    server.call("DELETE", "/sandbox/faults/services")


def test_policies(client: Client) -> None:
    created = client.api("POST", "/policies", {"name": "eu-only", "regionRules": ["eu"]}, expect=201)
    assert created["budgetCap"] is None and created["nativeOnly"] is False
    path = f"/policies/{created['id']}"
    cap = {"currency": "USD", "amount": 20.5}
    changed = client.api("PATCH", path, {"budgetCap": cap, "nativeOnly": True}, expect=200)
    assert changed["budgetCap"] == cap and changed["regionRules"] == ["eu"]
    assert changed["updatedAt"] > created["updatedAt"]
    assert client.api("PATCH", path, {}, expect=200) == changed
    assert client.api("PATCH", path, {"budgetCap": None}, expect=200)["budgetCap"] is None
    assert created["id"] in {p["id"] for p in client.api("GET", "/policies", expect=200)["items"]}
    for bad in ({}, {"name": ""}, {"name": "x", "nativeOnly": 1}, {"name": "x", "budgetCap": {"amount": 1}}):
        assert client.api("POST", "/policies", bad, expect=400) == "VALIDATION_ERROR"
    assert client.api("GET", path, expect=404) == "NOT_FOUND"
    assert client.api("DELETE", path, expect=404) == "NOT_FOUND"


def test_skills(client: Client) -> None:
    skills = client.api("GET", "/skills?limit=5", expect=200)
    rest = client.api("GET", f"/skills?limit=5&cursor={skills['nextCursor']}", expect=200)
    keys = {skill["key"] for skill in skills["items"] + rest["items"]}
    assert len(keys) == 8 and {"pyth-price-feed", "walrus-store", "exa-search"} <= keys
    assert client.api("GET", "/skills/walrus-store", expect=200)["serviceTypes"] == ["storage.object"]
    assert client.api("GET", "/skills/walrus-store/manifest", expect=200)["key"] == "walrus-store"
    (own,) = client.api("GET", "/skills?direction=machine-offers", expect=200)["items"]
    assert own["key"] == "qvac-inference"
    assert client.api("GET", "/skills?scope=x", expect=400) == "VALIDATION_ERROR"
    assert client.api("GET", "/skills/x", expect=404) == "NOT_FOUND"
    body = {"enabled": False, "credentials": {"apiKey": "hidden-one"}}
    configured = client.call("PATCH", f"{API}/skills/walrus-store/config", body)
    assert configured.json()["item"]["hasCredentials"] is True and "hidden-one" not in configured.text


def test_runtime_endpoints(client: Client) -> None:
    machine = client.machine()
    base = f"/machines/{machine['id']}/runtime-endpoints"
    body = {
        "endpointBaseUrl": "http://10.0.0.7:8080/v1?x=1#y",
        "networkScope": "lan",
        "authType": "bearer",
        "authToken": "hidden-two",
    }
    created = client.api("PUT", f"{base}/QVAC", body, expect=201)
    assert created["providerKey"] == "qvac" and created["endpointBaseUrl"] == "http://10.0.0.7:8080"
    assert created["probePath"] == "/v1/models" and created["source"] == "manual"
    assert created["hasAuthToken"] is True and "hidden-two" not in str(created)
    replaced = client.api("PUT", f"{base}/qvac", {"endpointBaseUrl": "https://a.example"}, expect=200)
    assert replaced["id"] == created["id"] and replaced["createdAt"] == created["createdAt"]
    assert replaced["hasAuthToken"] is False and replaced["networkScope"] == "loopback"
    assert client.api("GET", f"{base}/Qvac", expect=200) == replaced
    assert client.api("GET", base, expect=200)["items"] == [replaced]
    assert (
        client.api("PUT", f"{base}/other", {"endpointBaseUrl": "http://[::1]:1"}, expect=201)["probePath"] == "/health"
    )
    client.api("DELETE", f"{base}/qvac", expect=204)
    assert client.api("DELETE", f"{base}/qvac", expect=404) == "NOT_FOUND"
    assert client.api("GET", f"{base}/qvac", expect=404) == "NOT_FOUND"


BAD_ENDPOINTS: list[dict[str, Any]] = [
    {},
    {"endpointBaseUrl": "ftp://x"},
    {"endpointBaseUrl": "http://user:pass@x"},
    {"endpointBaseUrl": "http://x:99999"},
    {"endpointBaseUrl": "http://x", "networkScope": "wan"},
    {"endpointBaseUrl": "http://x", "authType": "bearer"},
    {"endpointBaseUrl": "http://x", "probePath": "health"},
    {"endpointBaseUrl": "http://x", "source": "agent"},
]


@pytest.mark.parametrize("body", BAD_ENDPOINTS)
def test_bad_runtime_endpoints(client: Client, body: dict[str, Any]) -> None:
    path = f"/machines/{client.machine()['id']}/runtime-endpoints/qvac"
    assert client.api("PUT", path, body, expect=400) == "VALIDATION_ERROR"


def test_runtime_endpoints_need_an_active_verified_machine(client: Client) -> None:
    draft = client.draft()
    body = {"endpointBaseUrl": "http://x"}
    path = f"/machines/{draft['id']}/runtime-endpoints/qvac"
    assert client.api("PUT", path, body, expect=409) == "MACHINE_NOT_ACTIVE"
    account = client.account_with_machine()
    machine = client.machine(account)
    del client.chain.dids[account.address, "machineId"]
    path = f"/machines/{machine['id']}/runtime-endpoints/qvac"
    assert client.api("PUT", path, body, expect=409) == "MACHINE_NOT_ACTIVATED"


def test_runtime_agents(client: Client) -> None:
    machine = client.machine()
    base = f"/machines/{machine['id']}/agents"
    enrolled = client.api("POST", f"{base}/enrollment", {"label": "box"}, expect=201)
    token = enrolled.pop("provisioningToken")
    assert client.api("GET", base, expect=200)["items"] == [enrolled]
    beat = {
        "machineId": machine["id"],
        "agentId": enrolled["id"],
        "agentToken": token,
        "endpoints": [{"provider_key": "qvac", "endpoint_base_url": "http://127.0.0.1:1", "label": None}],
        "leaseTtlSeconds": None,
    }
    answer = client.api("POST", "/machine-agents/heartbeat", beat, expect=200)
    assert answer["endpoints"][0]["status"] == "active" and answer["leaseTtlSeconds"] == 120
    (endpoint,) = client.api("GET", f"/machines/{machine['id']}/runtime-endpoints", expect=200)["items"]
    assert endpoint["source"] == "agent" and endpoint["agentId"] == enrolled["id"]
    client.api("DELETE", f"{base}/{enrolled['id']}", expect=204)
    assert client.api("POST", "/machine-agents/heartbeat", beat, expect=401) == "AGENT_AUTH_INVALID"


def test_health_and_readiness(client: Client) -> None:
    assert client.call("GET", "/markets/health").json() == {"ok": True}
    assert client.api("GET", "/health", expect=200) == {"ok": True}
    assert client.api("GET", "/readiness", expect=200)["status"] == "ready"
    client.chain.down = True
    answer = client.api("GET", "/readiness", expect=200)
    assert answer["status"] == "not_ready"
    assert {"name": "mcr", "status": "fail", "message": "down"} in answer["checks"]


def test_audit_trail_names_resources_newest_first(client: Client) -> None:
    machine = client.machine()
    pairing = client.pair(machine["id"])
    events = client.api("GET", f"/audit-events?machineId={machine['id']}", expect=200)["items"]
    assert [event["type"] for event in events] == ["agent-pairing.created", "machine.updated", "machine.created"]
    assert pairing["pairingToken"] not in str(events)
    query = f"machineId={machine['id']}&resourceType=machine&limit=1"
    (newest,) = client.api("GET", f"/audit-events?{query}", expect=200)["items"]
    assert newest["type"] == "machine.updated" and newest["resourceId"] == machine["id"]
