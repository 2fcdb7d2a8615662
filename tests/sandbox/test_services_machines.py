"""Machine records: proof rules, identity rules, visibility, status and paging."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from services_harness import API, OPERATOR, STRANGER, Client, FakeChain, serving, sign


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("services"), FakeChain()) as running:
        yield running


@pytest.fixture
def client(server: Client) -> Iterator[Client]:
    yield server
    server.chain.down = False
    server.call("DELETE", "/sandbox/faults/services")


def listed(client: Client) -> set[str]:
    return {machine["id"] for machine in client.api("GET", "/machines?limit=500", expect=200)["items"]}


def test_challenge_names_the_identity_and_who_may_sign(client: Client) -> None:
    account = client.account()
    client.chain.add_machine(account)
    ref = f"did:peaq:{account.address.lower()}"
    challenge = client.api("POST", "/machine-identity/challenges", {"identityRef": ref}, expect=201)
    lines = challenge["message"].split("\n")
    assert lines[0] == "peaq Machine Markets: prove control of a machine identity"
    assert f"Identity: {ref}" in lines
    assert f"Challenge: {challenge['challengeId']}" in lines
    assert f"Expires At: {challenge['expiresAt']}" in lines
    assert challenge["controllerAddresses"] == [account.address]
    assert challenge["verificationMethod"] == "eip191"


@pytest.mark.parametrize(
    "ref",
    ["did:peaq:042", "did:peaq:0x12", "peaqos:machine:my-bot", "", "0x" + "ab" * 20, f"peaqos:machine:{1 << 256}"],
)
def test_other_identity_forms_are_refused(client: Client, ref: str) -> None:
    code = client.api("POST", "/machine-identity/challenges", {"identityRef": ref}, expect=400)
    assert code == "VALIDATION_ERROR"


def test_alias_becomes_the_did(client: Client) -> None:
    account = client.account()
    fact = client.chain.add_machine(account)
    alias = f"peaqos:machine:{fact.machine_id}"
    body = client.draft_body(account) | {
        "identityRef": alias,
        "identityProof": client.identity_proof(alias, account),
    }
    assert client.api("POST", "/machines", body, expect=201)["identityRef"] == f"did:peaq:{account.address}"


def test_draft_holds_its_proof_and_becomes_active(client: Client) -> None:
    draft = client.draft(labels={"site.id": "berlin"}, capabilities=["price-feed"])
    assert draft["status"] == "draft" and draft["labels"] == {"site.id": "berlin"}
    proof = draft["identityProof"]
    assert proof["resolutionSource"] == "peaqos-mcr" and proof["method"] == "eip191"
    assert proof["signerAddress"] in draft["identityRef"]
    assert not {"address", "verifiedMs"} & set(draft)
    path = f"/machines/{draft['id']}"
    active = client.api("PATCH", path, {"status": "active"}, expect=200)
    assert active["status"] == "active" and active["identityProof"] == proof
    assert active["updatedAt"] > draft["updatedAt"]
    assert client.api("PATCH", path, {}, expect=200) == active
    edited = client.api("PATCH", path, {"labels": {"a": ""}, "capabilities": []}, expect=200)
    assert edited["labels"] == {"a": ""} and edited["capabilities"] == []


def test_proof_rules(client: Client) -> None:
    account = client.account()
    client.chain.add_machine(account)
    body = client.draft_body(account)
    ref = body["identityRef"]

    without = {name: value for name, value in body.items() if name != "identityProof"}
    assert client.api("POST", "/machines", without, expect=400) == "MACHINE_IDENTITY_PROOF_REQUIRED"
    stranger = body | {"identityProof": client.identity_proof(ref, STRANGER)}
    assert client.api("POST", "/machines", stranger, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"
    # The attempt has spent the challenge.
    assert client.api("POST", "/machines", stranger, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"
    malformed = body | {"identityProof": client.identity_proof(ref, account) | {"signature": "0x12"}}
    assert client.api("POST", "/machines", malformed, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"

    other = client.account()
    client.chain.add_machine(other)
    foreign = body | {"identityProof": client.identity_proof(f"did:peaq:{other.address}", account)}
    assert client.api("POST", "/machines", foreign, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"

    client.faults(challengeTtlSeconds=-1)
    late = body | {"identityProof": client.identity_proof(ref, account)}
    assert client.api("POST", "/machines", late, expect=410) == "MACHINE_IDENTITY_PROOF_EXPIRED"

    client.api("POST", "/machines", body, expect=201)
    used = client.draft_body(client.account_with_machine()) | {"identityProof": body["identityProof"]}
    assert client.api("POST", "/machines", used, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"


def test_message_must_be_signed_byte_for_byte(client: Client) -> None:
    account = client.account_with_machine()
    ref = f"did:peaq:{account.address}"
    challenge = client.api("POST", "/machine-identity/challenges", {"identityRef": ref}, expect=201)
    proof = {
        "challengeId": challenge["challengeId"],
        "signature": sign(account, challenge["message"] + "\n"),
    }
    body = client.draft_body(account) | {"identityProof": proof}
    assert client.api("POST", "/machines", body, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"


def test_operator_may_sign_only_when_switched_on(client: Client) -> None:
    account = client.account_with_machine()
    ref = f"did:peaq:{account.address}"
    body = client.draft_body(account) | {"identityProof": client.identity_proof(ref, OPERATOR)}
    assert client.api("POST", "/machines", body, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"
    client.faults(operatorIsController=True)
    body["identityProof"] = client.identity_proof(ref, OPERATOR)
    draft = client.api("POST", "/machines", body, expect=201)
    assert draft["identityProof"]["controllerAddresses"] == [account.address, OPERATOR.address]
    client.faults(operatorIsController=False)
    path = f"/machines/{draft['id']}"
    assert client.api("GET", path, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"
    assert client.api("PATCH", path, {"status": "active"}, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"
    assert draft["id"] not in listed(client)
    fresh = {"status": "active", "identityProof": client.identity_proof(ref, account)}
    assert client.api("PATCH", path, fresh, expect=200)["identityProof"]["signerAddress"] == account.address
    assert draft["id"] in listed(client)


def test_one_record_per_identity(client: Client) -> None:
    account = client.account_with_machine()
    draft = client.draft(account)
    again = client.draft_body(account)
    assert client.api("POST", "/machines", again, expect=409) == "MACHINE_IDENTITY_EXISTS"
    client.api("DELETE", f"/machines/{draft['id']}", expect=204)
    client.api("DELETE", f"/machines/{draft['id']}", expect=204)
    again = client.draft_body(account)
    assert client.api("POST", "/machines", again, expect=409) == "MACHINE_IDENTITY_EXISTS"
    assert client.api("GET", f"/machines/{draft['id']}", expect=200)["status"] == "archived"
    assert draft["id"] not in listed(client)
    client.faults(archivedListed=True)
    assert draft["id"] in listed(client)
    client.faults(archivedBlocksIdentity=False)
    client.draft(account)


def test_a_machine_that_no_longer_resolves_is_hidden(client: Client) -> None:
    account = client.account_with_machine()
    draft = client.draft(account)
    path = f"/machines/{draft['id']}"
    bound = client.chain.dids.pop((account.address, "machineId"))
    assert draft["id"] not in listed(client)
    assert client.api("GET", path, expect=409) == "MACHINE_NOT_ACTIVATED"
    assert client.api("PATCH", path, {"status": "active"}, expect=409) == "MACHINE_NOT_ACTIVATED"
    body = {"identityRef": draft["identityRef"]}
    assert client.api("POST", "/machine-identity/challenges", body, expect=409) == "MACHINE_NOT_ACTIVATED"
    client.chain.dids[account.address, "machineId"] = bound
    assert draft["id"] in listed(client)


def test_a_foreign_machine_id_on_a_did_resolves_to_nothing(client: Client) -> None:
    victim, thief = client.account_with_machine(), client.account()
    client.chain.dids[thief.address, "machineId"] = client.chain.dids[victim.address, "machineId"]
    body = {"identityRef": f"did:peaq:{thief.address}"}
    assert client.api("POST", "/machine-identity/challenges", body, expect=409) == "MACHINE_NOT_ACTIVATED"


def test_an_outage_is_not_absence(client: Client) -> None:
    machine = client.machine()
    client.chain.down = True
    path = f"/machines/{machine['id']}"
    assert client.api("GET", path, expect=503) == "PEAQOS_IDENTITY_UNAVAILABLE"
    assert client.api("GET", "/machines", expect=503) == "PEAQOS_IDENTITY_UNAVAILABLE"
    client.faults(listOmitsOnOutage=True)
    assert client.api("GET", "/machines", expect=200)["items"] == []
    client.chain.down = False
    client.faults(mcrUnavailable=True)
    assert client.api("GET", path, expect=503) == "PEAQOS_IDENTITY_UNAVAILABLE"


def test_lag_hides_only_what_is_bound_later(client: Client) -> None:
    old = client.machine()
    client.faults(mcrLagReads=2)
    account = client.account_with_machine()
    body = {"identityRef": f"did:peaq:{account.address}"}
    for _ in range(2):
        code = client.api("POST", "/machine-identity/challenges", body, expect=409)
        assert code == "MACHINE_NOT_ACTIVATED"
    client.api("POST", "/machine-identity/challenges", body, expect=201)
    client.api("GET", f"/machines/{old['id']}", expect=200)
    client.faults(mcrLagReads=0, mcrLagMs=60_000, unresolvedIsUnavailable=True)
    body = {"identityRef": f"did:peaq:{client.account_with_machine().address}"}
    code = client.api("POST", "/machine-identity/challenges", body, expect=503)
    assert code == "PEAQOS_IDENTITY_UNAVAILABLE"


def test_stored_proof_can_expire(client: Client) -> None:
    account = client.account_with_machine()
    draft = client.draft(account)
    client.faults(storedProofTtlSeconds=-1)
    path = f"/machines/{draft['id']}"
    client.api("GET", path, expect=200)
    assert client.api("PATCH", path, {"status": "active"}, expect=410) == "MACHINE_IDENTITY_PROOF_EXPIRED"
    proof = client.identity_proof(draft["identityRef"], account)
    client.api("PATCH", path, {"status": "active", "identityProof": proof}, expect=200)


def test_without_required_proof_a_draft_is_hidden_and_cannot_activate(client: Client) -> None:
    client.faults(requireIdentityProof=False)
    body = {"displayName": "x", "ownerId": "o", "machineType": "t", "runtimeProfile": "r"}
    draft = client.api("POST", "/machines", body, expect=201)
    assert draft["identityRef"] is None and draft["id"] not in listed(client)
    path = f"/machines/{draft['id']}"
    client.api("GET", path, expect=200)
    assert client.api("PATCH", path, {"status": "active"}, expect=409) == "MACHINE_NOT_ACTIVATED"


@pytest.mark.parametrize("status", ["draft", "degraded", "blocked", "archived"])
def test_only_draft_to_active_is_ours_to_do(client: Client, status: str) -> None:
    machine = client.machine()
    path = f"/machines/{machine['id']}"
    assert client.api("PATCH", path, {"status": status}, expect=400) == "VALIDATION_ERROR"
    body = {"machineStatus": {machine["id"]: "blocked"}}
    assert client.call("POST", "/sandbox/faults/services", body).status_code == 200
    assert client.api("PATCH", path, {"status": "active"}, expect=400) == "VALIDATION_ERROR"
    assert client.api("GET", path, expect=200)["status"] == "blocked"


def test_identity_ref_is_immutable(client: Client) -> None:
    account = client.account_with_machine()
    machine = client.machine(account)
    path = f"/machines/{machine['id']}"
    client.api("PATCH", path, {"identityRef": f"did:peaq:{account.address.lower()}"}, expect=200)
    other = {"identityRef": f"did:peaq:{STRANGER.address}"}
    assert client.api("PATCH", path, other, expect=409) == "MACHINE_IDENTITY_IMMUTABLE"
    client.api("DELETE", path, expect=204)
    assert client.api("PATCH", path, {"displayName": "x"}, expect=409) == "MACHINE_NOT_ACTIVE"


BAD_FIELDS: list[tuple[str, Any]] = [
    ("displayName", " "),
    ("ownerId", None),
    ("machineType", 7),
    ("capabilities", "price-feed"),
    ("capabilities", [1]),
    ("labels", {"a": 1}),
    ("labels", []),
    ("policyIds", ["pol_unknown"]),
    ("status", "active"),
    ("nonsense", 1),
    ("identityProof", {"challengeId": "x"}),
]


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS)
def test_bad_field_is_named(client: Client, name: str, value: Any) -> None:
    body = {"displayName": "x", "ownerId": "o", "machineType": "t", "runtimeProfile": "r", name: value}
    response = client.call("POST", f"{API}/machines", body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "VALIDATION_ERROR")
    assert error["details"]["field"].startswith(name)


def test_strictness_has_switches(client: Client) -> None:
    draft = client.draft()
    path = f"/machines/{draft['id']}"
    client.faults(rejectUnknownFields=False, rejectUnknownPolicyIds=False, rejectUnknownSkillKeys=True)
    body = {"nonsense": 1, "policyIds": ["pol_unknown"], "skillKeys": ["walrus-store"]}
    changed = client.api("PATCH", path, body, expect=200)
    assert changed["policyIds"] == ["pol_unknown"] and "nonsense" not in changed
    assert client.api("PATCH", path, {"skillKeys": ["nope"]}, expect=400) == "VALIDATION_ERROR"


def test_bodies_that_are_not_json_objects(client: Client) -> None:
    headers = {"content-type": "application/json"}
    for content in ("{", "[]", '{"displayName": NaN}'):
        answer = client.api("POST", "/machines", expect=400, content=content, headers=headers)
        assert answer == "VALIDATION_ERROR"
    answer = client.api("POST", "/machines", expect=415, content="{}", headers={"content-type": "text/plain"})
    assert answer == "VALIDATION_ERROR"


def test_bodyless_json_request_is_refused_only_by_a_strict_parser(client: Client) -> None:
    headers = {"content-type": "application/json"}
    first, second = client.draft(), client.draft()
    client.api("DELETE", f"/machines/{first['id']}", expect=204, headers=headers)
    client.faults(strictFastify=True)
    path = f"/machines/{second['id']}"
    assert client.api("DELETE", path, expect=400, headers=headers) == "VALIDATION_ERROR"
    client.api("GET", path, expect=200, headers=headers)
    client.api("DELETE", path, expect=204)


def test_unknown_things_are_not_found(client: Client) -> None:
    for method, path in (("GET", "/machines/mach_x"), ("PATCH", "/machines/mach_x"), ("GET", "/nowhere")):
        assert client.api(method, path, expect=404) == "NOT_FOUND"


def test_pages(tmp_path: Path) -> None:
    with serving(tmp_path, FakeChain()) as client:
        ids = [client.draft()["id"] for _ in range(5)]
        hidden = client.account_with_machine()
        client.draft(hidden)
        ids += [client.draft()["id"] for _ in range(2)]
        del client.chain.dids[hidden.address, "machineId"]

        seen: list[str] = []
        cursor: str | None = None
        sizes = []
        while True:
            query = "?limit=3" + (f"&cursor={cursor}" if cursor else "")
            page = client.api("GET", f"/machines{query}", expect=200)
            sizes.append(len(page["items"]))
            seen += [machine["id"] for machine in page["items"]]
            if "nextCursor" not in page:
                break
            cursor = page["nextCursor"]
        assert seen == ids and sizes == [3, 3, 1]
        assert "nextCursor" not in client.api("GET", "/machines?limit=7", expect=200)
        for query in ("limit=0", "limit=501", "limit=x", "limit=", "cursor=x", "cursor=", f"cursor={cursor}x"):
            assert client.api("GET", f"/machines?{query}", expect=400) == "VALIDATION_ERROR"
        assert client.api("GET", f"/policies?cursor={cursor}", expect=400) == "VALIDATION_ERROR"


def test_platform_key(tmp_path: Path) -> None:
    with serving(tmp_path, FakeChain(), api_key="right") as client:
        assert client.api("GET", "/machines", expect=401) == "AUTH_REQUIRED"
        assert client.api("GET", "/machines", expect=401, headers={"x-api-key": "wrong"}) == "AUTH_INVALID"
        assert client.api("GET", "/machines", expect=200, headers={"x-api-key": "right"})["items"] == []
        assert client.api("GET", "/health", expect=200) == {"ok": True}
        assert client.api("POST", "/market/search", {}, expect=401) == "AGENT_AUTH_REQUIRED"


def test_state_survives_a_restart(tmp_path: Path) -> None:
    chain = FakeChain()
    with serving(tmp_path, chain) as client:
        machine = client.machine()
        token = client.pair(machine["id"])["pairingToken"]
    with serving(tmp_path, chain) as client:
        assert client.api("GET", f"/machines/{machine['id']}", expect=200) == machine
        client.search(token, expect=201)
