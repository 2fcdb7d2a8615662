"""A machine's way through Machine Markets, over real HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from services_harness import AGENT, Client, FakeChain, serving


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path, FakeChain()) as running:
        yield running


def test_a_token_dies_with_the_policy_it_was_issued_for(client: Client) -> None:
    machine = client.machine()
    assert machine["status"] == "active"
    pairing = client.pair(machine["id"], delegationPolicy={"allowedSkillKeys": ["walrus-store"]})
    old = pairing["pairingToken"]
    found = client.search(old, expect=201)
    assert found["status"] == "completed" and found["quotes"][0]["skillKey"] == "walrus-store"

    path = f"/machines/{machine['id']}/agent-pairings/{pairing['id']}"
    changed = client.api("PATCH", path, {"delegationPolicy": {"deniedSkillKeys": ["exa-search"]}}, expect=200)
    assert "pairingToken" not in changed and changed["delegationPolicy"]["allowedSkillKeys"] == []
    assert client.search(old, expect=401) == "AGENT_AUTH_INVALID"

    rotated = client.api("POST", f"{path}/sessions", {"agentProof": client.agent_proof(machine["id"])}, expect=201)
    assert rotated["updatedAt"] == changed["updatedAt"]
    assert rotated["sessionIssuedAt"] > changed["updatedAt"]
    assert rotated["tokenLastFour"] == rotated["pairingToken"][-4:]
    client.search(rotated["pairingToken"], expect=201)
    assert client.search(old, expect=401) == "AGENT_AUTH_INVALID"

    client.api("DELETE", path, expect=204)
    assert client.search(rotated["pairingToken"], expect=409) == "AGENT_PAIRING_INACTIVE"
    (listed,) = client.api("GET", f"/machines/{machine['id']}/agent-pairings", expect=200)["items"]
    assert (listed["status"], listed["hasAuthToken"], listed["tokenLastFour"]) == ("revoked", False, None)
    assert listed["agentAddress"] == AGENT.address
