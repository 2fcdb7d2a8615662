"""Fault switches and rules: each does to the wire what it says, as often as it says."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from services_harness import API, Client, FakeChain, serving

FAULTS = "/sandbox/faults/services"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("services"), FakeChain()) as running:
        yield running


@pytest.fixture
def client(server: Client) -> Iterator[Client]:
    yield server
    server.call("DELETE", FAULTS)


def names(client: Client) -> list[str]:
    return [policy["name"] for policy in client.api("GET", "/policies", expect=200)["items"]]


def post(client: Client, name: str) -> httpx.Response:
    return client.call("POST", f"{API}/policies", {"name": name})


def test_status_rule_counts_and_skips(client: Client) -> None:
    rule = {"action": "status", "path": "/markets/*/policies", "status": 502, "code": "BOOM", "skip": 1, "count": 2}
    client.faults(rule)
    answers = [client.call("GET", f"{API}/policies") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 502, 502, 200]
    assert answers[1].json()["error"]["code"] == "BOOM"


def test_rules_match_method_and_path_in_order(client: Client) -> None:
    client.faults(
        {"action": "status", "method": "POST", "status": 500},
        {"action": "status", "path": "/mcr/*", "status": 503, "count": -1},
    )
    assert client.call("GET", f"{API}/policies").status_code == 200
    for _ in range(3):
        response = client.call("GET", "/mcr/health")
        assert response.status_code == 503 and "detail" in response.json()
    assert post(client, "a").status_code == 500
    assert client.call("GET", FAULTS).json()["rules"][0]["count"] == 0


def test_drop_before_handling_leaves_no_trace(client: Client) -> None:
    client.faults({"action": "dropBefore", "method": "POST"})
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        post(client, "never-arrived")
    assert "never-arrived" not in names(client)


def test_drop_after_handling_has_done_the_work(client: Client) -> None:
    client.faults({"action": "dropAfter", "method": "POST"})
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        post(client, "arrived")
    assert "arrived" in names(client)


def test_rate_limit_delay_and_garbage(client: Client) -> None:
    client.faults(
        {"action": "rateLimit", "retryAfter": 7},
        {"action": "delay", "delayMs": 150},
        {"action": "garbage", "status": 502},
        {"action": "status", "path": "/gas-station/*", "code": "RATE_LIMITED", "status": 429},
    )
    limited = client.call("GET", f"{API}/policies")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")
    started = time.monotonic()
    assert client.call("GET", f"{API}/policies").status_code == 200
    assert time.monotonic() - started >= 0.15
    garbage = client.call("GET", f"{API}/policies")
    assert garbage.status_code == 502 and garbage.text.startswith("<html>")
    gas = client.call("POST", "/gas-station/faucet/fund", {})
    assert gas.json()["code"] == "RATE_LIMITED"


BAD: list[dict[str, Any]] = [
    {"switches": {"nope": 1}},
    {"switches": {"mcrLagMs": "1"}},
    {"switches": {"strictFastify": 1}},
    {"rules": [{"action": "explode"}]},
    {"rules": [{}]},
    {"rules": [{"action": "delay", "delayMs": "1"}]},
    {"rules": [1]},
    {"rules": {}},
    {"machineStatus": {"mach_x": "blocked"}},
    {"other": 1},
]


@pytest.mark.parametrize("body", BAD)
def test_mistakes_change_nothing(client: Client, body: dict[str, Any]) -> None:
    before = client.call("GET", FAULTS).json()
    response = client.call("POST", FAULTS, {"switches": {"mcrLagMs": 5}} | body)
    assert response.status_code in (400, 404)
    assert client.call("GET", FAULTS).json() == before


def test_reset(client: Client) -> None:
    before = client.call("GET", FAULTS).json()
    client.faults({"action": "delay"}, mcrLagMs=5)
    assert client.call("GET", FAULTS).json()["switches"]["mcrLagMs"] == 5
    assert client.call("DELETE", FAULTS).json() == before
