"""Pairings, session tokens, delegation policies and what an agent may then do."""

from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from services_harness import AGENT, STRANGER, Client, FakeChain, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("services"), FakeChain()) as running:
        yield running


@pytest.fixture
def client(server: Client) -> Iterator[Client]:
    yield server
    server.chain.down = False
    server.call("DELETE", "/sandbox/faults/services")


def pairings(machine: Any) -> str:
    return f"/machines/{machine['id']}/agent-pairings"


def execute(client: Client, token: str, service: str, *, expect: int, **body: Any) -> Any:
    path = f"/market/services/{service}/execute"
    return client.api("POST", path, body, expect=expect, headers={"x-agent-pairing-token": token})


def test_challenge_names_machine_and_agent(client: Client) -> None:
    machine = client.machine()
    body = {"agentAddress": AGENT.address.lower(), "agentProvider": "openai", "agentRole": "buyer"}
    challenge = client.api("POST", f"{pairings(machine)}/challenges", body, expect=201)
    lines = challenge["message"].split("\n")
    assert lines[0] == "peaq Machine Markets: prove control of an agent wallet for a machine"
    did = f"did:pkh:eip155:1:{AGENT.address}"
    assert challenge["agentDid"] == did and challenge["agentAddress"] == AGENT.address
    for line in (
        f"Machine: {machine['id']}",
        f"Machine Identity: {machine['identityRef']}",
        f"Agent Address: {AGENT.address}",
        f"Agent DID: {did}",
        "Provider: openai",
        "Role: buyer",
    ):
        assert line in lines


@pytest.mark.parametrize(
    "fields",
    [
        {"agentAddress": "0x12"},
        {"agentAddress": AGENT.address.swapcase().replace("0X", "0x")},
        {"agentProvider": ""},
        {"agentDid": f"did:pkh:eip155:1:{STRANGER.address}"},
        {"agentDid": f"did:pkh:eip155:1:{AGENT.address.lower()}"},
        {"agentDid": AGENT.address},
        {"extra": 1},
    ],
)
def test_bad_challenge_fields(client: Client, fields: dict[str, Any]) -> None:
    machine = client.machine()
    body = {"agentAddress": AGENT.address, "agentProvider": "a", "agentRole": "r", **fields}
    code = client.api("POST", f"{pairings(machine)}/challenges", body, expect=400)
    assert code == "VALIDATION_ERROR"


def test_token_carries_the_documented_claims(client: Client) -> None:
    machine = client.machine()
    pairing = client.pair(machine["id"], description="night shift")
    claims = jwt.decode(pairing["pairingToken"], options={"verify_signature": False})
    assert claims["machineId"] == machine["id"] and claims["pairingId"] == pairing["id"]
    assert claims["sessionId"] == pairing["sessionId"] and claims["jti"] == pairing["sessionTokenId"]
    assert claims["agentAddress"] == AGENT.address and claims["agentDid"] == pairing["agentDid"]
    assert len(claims["delegationPolicyHash"]) == 64 and claims["exp"] - claims["iat"] == 3600
    assert jwt.get_unverified_header(pairing["pairingToken"])["alg"] == "HS256"
    assert pairing["verification"]["signerAddress"] == AGENT.address
    assert pairing["delegationPolicy"] == {
        "allowedSkillKeys": [],
        "deniedSkillKeys": [],
        "allowedServiceIds": [],
        "deniedServiceIds": [],
        "perTransactionLimit": None,
        "dailySpendLimit": None,
        "currency": None,
    }
    (listed,) = client.api("GET", pairings(machine), expect=200)["items"]
    assert "pairingToken" not in listed and listed["hasAuthToken"] is True


def test_proof_rules(client: Client) -> None:
    machine = client.machine()
    path = pairings(machine)
    body = client.pairing_body(machine["id"])
    without = {name: value for name, value in body.items() if name != "agentProof"}
    assert client.api("POST", path, without, expect=400) == "AGENT_PAIRING_PROOF_REQUIRED"
    wrong = body | {"agentProof": client.agent_proof(machine["id"], signer=STRANGER)}
    assert client.api("POST", path, wrong, expect=403) == "AGENT_PAIRING_PROOF_INVALID"
    other_role = body | {"agentProof": client.agent_proof(machine["id"], agentRole="trader")}
    assert client.api("POST", path, other_role, expect=403) == "AGENT_PAIRING_PROOF_INVALID"
    other_machine = body | {"agentProof": client.agent_proof(client.machine()["id"])}
    assert client.api("POST", path, other_machine, expect=403) == "AGENT_PAIRING_PROOF_INVALID"
    client.faults(challengeTtlSeconds=-1)
    late = body | {"agentProof": client.agent_proof(machine["id"])}
    assert client.api("POST", path, late, expect=410) == "AGENT_PAIRING_PROOF_EXPIRED"
    client.api("POST", path, body, expect=201)


def test_machine_must_be_active_bonded_and_verified(client: Client) -> None:
    draft = client.draft()
    agent = {"agentAddress": AGENT.address, "agentProvider": "a", "agentRole": "r"}
    path = pairings(draft)
    assert client.api("POST", f"{path}/challenges", agent, expect=409) == "MACHINE_NOT_ACTIVE"

    account = client.account()
    fact = client.chain.add_machine(account, bonded=False)
    machine = client.machine(account)
    body = client.pairing_body(machine["id"])
    assert client.api("POST", pairings(machine), body, expect=409) == "MACHINE_NOT_ACTIVATED"
    client.chain.change(fact.machine_id, bonded=True)
    client.chain.change(fact.machine_id, wallet=STRANGER.address)
    assert client.api("POST", pairings(machine), body, expect=409) == "MACHINE_NOT_ACTIVATED"
    client.chain.change(fact.machine_id, wallet=account.address)
    client.api("POST", pairings(machine), body, expect=201)

    client.faults(requireIdentityProof=False)
    bare = {"displayName": "x", "ownerId": "o", "machineType": "t", "runtimeProfile": "r"}
    unverified = client.api("POST", "/machines", bare, expect=201)
    client.call("POST", "/sandbox/faults/services", {"machineStatus": {unverified["id"]: "active"}})
    code = client.api("POST", f"{pairings(unverified)}/challenges", agent, expect=400)
    assert code == "MACHINE_IDENTITY_PROOF_REQUIRED"


def test_one_live_pairing_per_agent(client: Client) -> None:
    machine = client.machine()
    first = client.pair(machine["id"])
    body = client.pairing_body(machine["id"])
    assert client.api("POST", pairings(machine), body, expect=409) == "AGENT_PAIRING_UNAVAILABLE"
    client.pair(machine["id"], STRANGER)
    client.api("DELETE", f"{pairings(machine)}/{first['id']}", expect=204)
    second = client.pair(machine["id"])
    client.faults(uniqueAgentPerMachine=False)
    client.pair(machine["id"])
    everyone = client.api("GET", pairings(machine), expect=200)["items"]
    assert [p["status"] for p in everyone] == ["revoked", "active", "active", "active"]
    client.faults(revokedListed=False)
    live = client.api("GET", f"{pairings(machine)}?limit=1", expect=200)
    assert live["items"][0]["agentAddress"] == STRANGER.address
    following = client.api("GET", f"{pairings(machine)}?limit=1&cursor={live['nextCursor']}", expect=200)
    assert following["items"][0]["id"] == second["id"]


def test_patch_rules(client: Client) -> None:
    machine = client.machine()
    pairing = client.pair(machine["id"])
    path = f"{pairings(machine)}/{pairing['id']}"
    token = pairing.pop("pairingToken")
    assert client.api("PATCH", path, {}, expect=200) == pairing
    for name, value in (("agentAddress", STRANGER.address), ("agentDid", "x"), ("machineId", "m")):
        assert client.api("PATCH", path, {name: value}, expect=400) == "VALIDATION_ERROR"
    described = client.api("PATCH", path, {"description": "day shift"}, expect=200)
    assert described["updatedAt"] > pairing["updatedAt"]
    client.search(token, expect=201)

    policy = {"perTransactionLimit": 5.0, "currency": "USD", "allowedSkillKeys": ["exa-search", "walrus-store"]}
    changed = client.api("PATCH", path, {"delegationPolicy": policy}, expect=200)
    assert changed["delegationPolicy"]["deniedSkillKeys"] == []
    assert changed["sessionId"] == pairing["sessionId"] and changed["hasAuthToken"] is True
    assert client.search(token, expect=401) == "AGENT_AUTH_INVALID"
    replaced = client.api("PATCH", path, {"delegationPolicy": {"perTransactionLimit": None}}, expect=200)
    assert replaced["delegationPolicy"] == pairing["delegationPolicy"]
    client.search(token, expect=201)  # the policy is again the one the token was issued for


BAD_POLICIES: list[dict[str, Any]] = [
    {"perTransactionLimit": "5"},
    {"perTransactionLimit": -1},
    {"dailySpendLimit": True},
    {"allowedSkillKeys": "x"},
    {"deniedServiceIds": [1]},
    {"currency": 1},
    {"weekly": 1},
]


@pytest.mark.parametrize("policy", BAD_POLICIES)
def test_bad_policies(client: Client, policy: dict[str, Any]) -> None:
    machine = client.machine()
    path = f"{pairings(machine)}/{client.pair(machine['id'])['id']}"
    assert client.api("PATCH", path, {"delegationPolicy": policy}, expect=400) == "VALIDATION_ERROR"


def test_the_order_of_a_list_does_not_void_a_token(client: Client) -> None:
    machine = client.machine()
    keys = ["exa-search", "walrus-store"]
    pairing = client.pair(machine["id"], delegationPolicy={"allowedSkillKeys": keys, "dailySpendLimit": 5})
    same = {"allowedSkillKeys": keys[::-1], "dailySpendLimit": 5.0}
    client.api("PATCH", f"{pairings(machine)}/{pairing['id']}", {"delegationPolicy": same}, expect=200)
    client.search(pairing["pairingToken"], expect=201)


def test_pause_and_resume_and_revoke(client: Client) -> None:
    machine = client.machine()
    pairing = client.pair(machine["id"])
    path, token = f"{pairings(machine)}/{pairing['id']}", pairing["pairingToken"]
    client.api("PATCH", path, {"status": "paused"}, expect=200)
    assert client.search(token, expect=409) == "AGENT_PAIRING_INACTIVE"
    session = {"agentProof": client.agent_proof(machine["id"])}
    assert client.api("POST", f"{path}/sessions", session, expect=409) == "AGENT_PAIRING_INACTIVE"
    client.api("PATCH", path, {"status": "active"}, expect=200)
    client.search(token, expect=201)
    assert client.api("PATCH", path, {"status": "revoked"}, expect=200)["hasAuthToken"] is False
    assert client.api("PATCH", path, {"status": "active"}, expect=409) == "AGENT_PAIRING_INACTIVE"
    client.api("DELETE", path, expect=204)
    assert client.search(token, expect=409) == "AGENT_PAIRING_INACTIVE"


def test_revoking_needs_no_chain_but_editing_does(client: Client) -> None:
    machine = client.machine()
    pairing = client.pair(machine["id"])
    path = f"{pairings(machine)}/{pairing['id']}"
    client.chain.down = True
    code = client.api("PATCH", path, {"status": "paused"}, expect=503)
    assert code == "PEAQOS_IDENTITY_UNAVAILABLE"
    client.api("DELETE", path, expect=204)


def test_session_challenge_must_name_the_current_binding(client: Client) -> None:
    machine = client.machine()
    pairing = client.pair(machine["id"])
    path = f"{pairings(machine)}/{pairing['id']}"
    client.api("PATCH", path, {"agentRole": "trader"}, expect=200)
    assert client.api("POST", f"{path}/sessions", {}, expect=400) == "AGENT_PAIRING_PROOF_REQUIRED"
    stale = {"agentProof": client.agent_proof(machine["id"], agentRole="ops")}
    assert client.api("POST", f"{path}/sessions", stale, expect=403) == "AGENT_PAIRING_PROOF_INVALID"
    fresh = {"agentProof": client.agent_proof(machine["id"], agentRole="trader")}
    rotated = client.api("POST", f"{path}/sessions", fresh, expect=201)
    assert client.api("POST", f"{path}/sessions", fresh, expect=403) == "AGENT_PAIRING_PROOF_INVALID"
    assert client.search(pairing["pairingToken"], expect=401) == "AGENT_AUTH_INVALID"
    client.search(rotated["pairingToken"], expect=201)


def test_a_session_may_bump_updated_at(client: Client) -> None:
    machine = client.machine()
    pairing = client.pair(machine["id"])
    client.faults(sessionBumpsUpdatedAt=True)
    body = {"agentProof": client.agent_proof(machine["id"])}
    path = f"{pairings(machine)}/{pairing['id']}/sessions"
    rotated = client.api("POST", path, body, expect=201)
    assert rotated["updatedAt"] == rotated["sessionIssuedAt"] > pairing["updatedAt"]


def test_bad_tokens(client: Client) -> None:
    assert client.api("POST", "/market/search", {}, expect=401) == "AGENT_AUTH_REQUIRED"
    assert client.search("nonsense", expect=401) == "AGENT_AUTH_INVALID"
    machine = client.machine()
    pairing = client.pair(machine["id"])
    token = pairing["pairingToken"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert client.search(jwt.encode(claims, "x" * 64, algorithm="HS256"), expect=401) == "AGENT_AUTH_INVALID"
    assert client.search(token, expect=401, machineId=client.machine()["id"]) == "AGENT_AUTH_INVALID"
    assert client.search(token, expect=403, agentPairingId="pair_x") == "AGENT_PAIRING_REQUIRED"
    client.faults(sessionTtlSeconds=0)
    body = {"agentProof": client.agent_proof(machine["id"])}
    expired = client.api("POST", f"{pairings(machine)}/{pairing['id']}/sessions", body, expect=201)
    assert client.search(expired["pairingToken"], expect=401) == "AGENT_AUTH_EXPIRED"


def test_a_token_needs_its_machine(client: Client) -> None:
    account = client.account_with_machine()
    machine = client.machine(account)
    token = client.pair(machine["id"])["pairingToken"]
    del client.chain.dids[account.address, "machineId"]
    assert client.search(token, expect=409) == "MACHINE_NOT_ACTIVATED"
    client.api("DELETE", f"/machines/{machine['id']}", expect=204)
    assert client.search(token, expect=409) == "MACHINE_NOT_ACTIVE"


def test_catalogue_reads_check_a_token_only_if_sent(client: Client) -> None:
    assert len(client.api("GET", "/market/services", expect=200)["items"]) == 8
    (storage,) = client.api("GET", "/market/services?serviceType=storage.object", expect=200)["items"]
    assert client.api("GET", f"/market/services/{storage['id']}", expect=200) == storage
    bad = {"x-agent-pairing-token": "bad"}
    code = client.api("GET", "/market/services", expect=401, headers=bad)
    assert code == "AGENT_AUTH_INVALID"
    machine = client.machine()
    good = {"x-agent-pairing-token": client.pair(machine["id"])["pairingToken"]}
    client.api("GET", f"/market/services?machineId={machine['id']}", expect=200, headers=good)
    code = client.api("GET", "/market/services?machineId=mach_x", expect=401, headers=good)
    assert code == "AGENT_AUTH_INVALID"


def test_delegation_policy_is_enforced(client: Client) -> None:
    machine = client.machine()
    policy = {"deniedSkillKeys": ["exa-search"], "perTransactionLimit": 4, "dailySpendLimit": 5}
    pairing = client.pair(machine["id"], delegationPolicy=policy)
    token = pairing["pairingToken"]
    assert client.search(token, expect=403, service_type="commerce") == "AGENT_POLICY_DENIED"
    assert execute(client, token, "svc_exa_search", expect=403) == "AGENT_POLICY_DENIED"
    assert execute(client, token, "svc_pyth_price", expect=409, operation="x") == "EXECUTION_UNSUPPORTED"
    assert execute(client, token, "svc_akash_compute", expect=202)["execution"]["statusCode"] == 202
    for _ in range(2):
        assert execute(client, token, "svc_walrus_store", expect=200)["execution"]["statusCode"] == 200
    assert execute(client, token, "svc_walrus_store", expect=403) == "AGENT_DAILY_LIMIT_EXCEEDED"

    small = client.pair(machine["id"], STRANGER, delegationPolicy={"perTransactionLimit": 1, "currency": "USD"})
    code = execute(client, small["pairingToken"], "svc_walrus_store", expect=403)
    assert code == "AGENT_SPEND_LIMIT_EXCEEDED"


def test_machine_policy_is_enforced(client: Client) -> None:
    policy = client.api("POST", "/policies", {"name": "native", "nativeOnly": True}, expect=201)
    machine = client.machine(policyIds=[policy["id"]])
    token = client.pair(machine["id"])["pairingToken"]
    assert client.search(token, expect=403, service_type="compute") == "AGENT_POLICY_DENIED"
    nothing = client.search(token, expect=201, requiredCapabilities=["nothing-has-this"])
    assert nothing["status"] == "no_match"
    assert client.api("GET", f"/market/searches/{nothing['id']}", expect=200) == nothing


def test_pairing_auth_can_be_off(client: Client) -> None:
    machine = client.machine()
    pairing = client.pair(machine["id"])
    client.faults(requirePairingAuth=False)
    body = {"serviceType": "storage", "agentPairingId": pairing["id"]}
    client.api("POST", "/market/search", body, expect=201)
    body["agentPairingId"] = "pair_x"
    assert client.api("POST", "/market/search", body, expect=403) == "AGENT_PAIRING_REQUIRED"
