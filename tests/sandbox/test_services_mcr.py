"""The MCR API: resolution, windows, visibility, limits and errors in FastAPI's shape."""

import json
from collections.abc import Iterator

import pytest
from services_harness import OPERATOR, Client, FakeChain, serving


@pytest.fixture
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("services"), FakeChain()) as running:
        yield running


def detail(client: Client, path: str, status: int) -> str:
    response = client.call("GET", f"/mcr{path}")
    assert response.status_code == status, response.text
    return response.json()["detail"]


def test_scorecard(client: Client) -> None:
    account = client.account()
    fact = client.chain.add_machine(account)
    did = f"did:peaq:{account.address.lower()}"
    body = client.call("GET", f"/mcr/mcr/{did}").json()
    assert body["did"] == did and body["machine_id"] == fact.machine_id
    assert (body["mcr"], body["mcr_score"], body["bond_status"]) == ("Provisioned", 0, "bonded")
    assert client.call("GET", f"/mcr/mcr/{account.address}").json()["did"] == f"did:peaq:{account.address}"
    client.chain.change(fact.machine_id, bonded=False)
    assert client.call("GET", f"/mcr/mcr/{did}").json()["mcr"] == "NR"


def test_errors(client: Client) -> None:
    assert detail(client, "/mcr/did:peaq:042", 400) == "Invalid Ethereum address format"
    assert detail(client, "/mcr/", 400) == "Empty DID"
    account = client.account()
    client.chain.add_machine(account, bind=False)
    for path in ("mcr", "machine"):
        assert detail(client, f"/{path}/did:peaq:{account.address}", 404) == "Machine not found"
    assert detail(client, "/machines/99", 404) == "Machine wallet not found"
    assert detail(client, "/metadata/99", 404) == "Machine not found"
    client.chain.down = True
    assert "unavailable" in detail(client, f"/mcr/{account.address}", 503)
    assert detail(client, "/ready", 503) == "down"
    assert client.call("GET", "/mcr/health").status_code == 200


def test_profile_follows_visibility(client: Client) -> None:
    account = client.account()
    fact = client.chain.add_machine(account)
    did, dids = f"did:peaq:{account.address}", client.chain.dids
    dids[account.address, "data_api"] = "https://data.example.com"
    dids[account.address, "operator"] = ""
    body = client.call("GET", f"/mcr/machine/{did}").json()
    assert body["name"] == f"Machine #{fact.token_id}" and body["schema_version"] == "1.0"
    peaqos = body["peaqos"]
    assert peaqos["data_visibility"] == "private" and peaqos["data_api"] == "https://data.example.com"
    assert peaqos["operator"] is None and peaqos["documentation_url"] is None

    dids[account.address, "operator"] = f"did:peaq:{OPERATOR.address}"
    dids[account.address, "documentation_url"] = "https://docs.example.com"
    for visibility, shown in (("onchain", "event_data"), ("public", "partner_data_error"), ("odd", "data_api")):
        dids[account.address, "data_visibility"] = visibility
        peaqos = client.call("GET", f"/mcr/machine/{did}").json()["peaqos"]
        assert {"event_data", "partner_data_error", "data_api"} & set(peaqos) == {shown}
    assert peaqos["operator"] == f"did:peaq:{OPERATOR.address}"
    assert client.call("GET", f"/mcr/metadata/{fact.token_id}").json()["peaqos"] == peaqos
    client.chain.change(fact.machine_id, token_id=0)
    assert client.call("GET", f"/mcr/machine/{did}").json()["name"] == "Machine (no NFT)"
    card = client.call("GET", f"/mcr/machines/{fact.machine_id}").json()
    assert card["active"] is True and card["operator"] == OPERATOR.address


def test_fleet_reads_the_first_hundred_ids(client: Client) -> None:
    for _ in range(3):
        client.chain.add_machine(client.account())
    path = f"/mcr/operator/did:peaq:{OPERATOR.address}/machines"
    empty = client.call("GET", path).json()
    assert empty["machines"] == [] and empty["pagination"] == {"offset": 0, "limit": 20, "total": 0}
    published = [1, "x", 999, 2, True, *range(1000, 1097), 3]
    client.chain.dids[OPERATOR.address, "machines"] = json.dumps(published)
    body = client.call("GET", f"{path}?limit=2").json()
    # 999 is not registered: it counts in the total and shortens its page.
    assert [m["machine_id"] for m in body["machines"]] == [1] and body["pagination"]["total"] == 100
    assert [m["machine_id"] for m in client.call("GET", f"{path}?offset=2&limit=1").json()["machines"]] == [2]
    client.faults(mcrFirstHundred=False)
    body = client.call("GET", f"{path}?offset=100").json()
    assert [m["machine_id"] for m in body["machines"]] == [3] and body["pagination"]["total"] == 101
    for query in ("limit=21", "limit=0", "offset=-1", "limit=x"):
        response = client.call("GET", f"{path}?{query}")
        assert response.status_code == 422 and response.json()["detail"][0]["loc"][0] == "query"
    client.chain.dids[OPERATOR.address, "machines"] = "not json"
    assert client.call("GET", path).json()["pagination"]["total"] == 0


def test_rate_limit_and_cache_are_switches(client: Client) -> None:
    account = client.account()
    fact = client.chain.add_machine(account)
    path = f"/mcr/mcr/did:peaq:{account.address}"
    client.call("GET", path)
    client.chain.change(fact.machine_id, bonded=False)
    client.faults(mcrCacheSeconds=60)
    assert client.call("GET", path).json()["bond_status"] == "bonded"
    client.faults(mcrCacheSeconds=0, mcrRateLimitPerMinute=3)
    assert client.call("GET", path).json()["bond_status"] == "unbonded"
    limited = client.call("GET", path)
    assert limited.status_code == 429 and int(limited.headers["retry-after"]) > 0


def test_lag(client: Client) -> None:
    client.faults(mcrLagReads=1)
    account = client.account()
    client.chain.add_machine(account)
    path = f"/mcr/machine/did:peaq:{account.address}"
    assert [client.call("GET", path).status_code for _ in range(2)] == [404, 200]
