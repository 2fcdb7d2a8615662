"""The life of pairings: made, edited, paused, made anew, and those that nobody declared."""

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from authority_harness import Serve
from e2e_harness import Yard
from eth_account import Account
from eth_account.messages import encode_defunct

from reconciler.adapters.journal_store import JournalStore
from reconciler.core.delegation import fingerprint
from reconciler.core.ports import Receipt

MakeYard = Callable[..., Yard]
Pairing = dict[str, Any]


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    """A machine with two agents."""
    yard = new_yard(1)
    night = Account.create()
    yard.write_key("night", night)
    agent = {"address": night.address.lower(), "provider": "openai", "key": {"file": "keys/night.key"}}
    yard.manifest["agents"]["night"] = agent
    yard.machine("air-001")["pairings"].append({"agent": "night", "role": "trader"})
    assert yard.run("apply", "--yes").code == 0
    return yard


def pairings(yard: Yard) -> list[Pairing]:
    (record,) = yard.records()["air-001"]
    return yard.world.items(f"/machines/{record['id']}/agent-pairings")


def of(yard: Yard, address: str) -> Pairing:
    (found,) = [p for p in pairings(yard) if p["agentAddress"] == address and p["status"] != "revoked"]
    return found


def events(yard: Yard) -> Counter[str]:
    return Counter({name: n for name, n in yard.audit("air-001").items() if name.startswith("agent-pairing.")})


def pair_out_of_band(yard: Yard) -> str:
    """Somebody pairs another agent; its address."""
    agent = Account.create()
    (record,) = yard.records()["air-001"]
    base = f"/machines/{record['id']}/agent-pairings"
    who = {"agentAddress": agent.address, "agentProvider": "teneo", "agentRole": "guest"}
    challenge = yard.world.markets("POST", f"{base}/challenges", who).json()["item"]
    signature = agent.sign_message(encode_defunct(text=challenge["message"])).signature.to_0x_hex()
    proof = {"challengeId": challenge["challengeId"], "signature": signature}
    assert yard.world.markets("POST", base, {**who, "agentProof": proof}).status_code == 201
    return agent.address


def test_every_edit_is_one_patch_and_then_quiet(yard: Yard) -> None:
    entry = yard.machine("air-001")["pairings"][0]
    token = yard.token("air-001")
    before = events(yard)
    entry |= {"role": "buyer", "description": "buys weather"}
    yard.manifest["agents"]["ops"]["provider"] = "virtuals"
    assert yard.run("apply", "--yes").code == 0
    pairing = of(yard, yard.agent.address)
    assert [pairing[k] for k in ("agentRole", "description", "agentProvider")] == ["buyer", "buys weather", "virtuals"]
    assert yard.search(token) == 201, "what is no policy ends no session"
    entry["paused"] = True
    assert yard.run("apply", "--yes").code == 0
    assert of(yard, yard.agent.address)["status"] == "paused"
    assert yard.search(token) != 201
    entry["paused"] = False
    assert yard.run("apply", "--yes", "--allow-widening").code == 0
    assert yard.search(token) == 201
    assert events(yard) - before == {"agent-pairing.updated": 3}
    yard.check_quiet()


def test_a_policy_is_replaced_whole(yard: Yard) -> None:
    small = yard.manifest["delegationPolicies"]["small"]
    del small["dailySpendLimit"], small["currency"]
    assert yard.run("apply", "--yes", "--allow-widening").code == 0
    policy = of(yard, yard.agent.address)["delegationPolicy"]
    assert (policy["perTransactionLimit"], policy["dailySpendLimit"], policy["currency"]) == (5, None, None)
    small["perTransactionLimit"] = 5.0
    yard.check_quiet()


def test_the_journal_knows_a_token_without_holding_it(yard: Yard) -> None:
    def receipt() -> Receipt:
        found = JournalStore.read_only(yard.journal).receipt("air-001/ops")
        assert found is not None
        return found

    first, token, pairing = receipt(), yard.token("air-001"), of(yard, yard.agent.address)
    assert first.digest == hashlib.sha256(token.encode()).hexdigest()
    assert (first.last_four, first.pairing_id) == (token[-4:], pairing["id"])
    assert first.expires_at == pairing["sessionExpiresAt"]
    assert first.policy == fingerprint(pairing)
    assert token.encode() not in yard.journal.read_bytes()
    yard.manifest["delegationPolicies"]["small"]["dailySpendLimit"] = 29
    assert yard.run("apply", "--yes").code == 0
    assert receipt().policy == fingerprint(of(yard, yard.agent.address)) != first.policy
    yard.machine("air-001")["pairings"][0]["role"] = "buyer"
    assert yard.run("apply", "--yes").code == 0
    assert receipt().policy == fingerprint(of(yard, yard.agent.address))
    yard.check_quiet()


def test_another_did_is_a_new_pairing(yard: Yard) -> None:
    old = of(yard, yard.agent.address)
    assert old["agentDid"] == f"did:pkh:eip155:1:{yard.agent.address}"
    yard.manifest["agents"]["ops"]["did"] = old["agentDid"].lower()
    yard.check_quiet()
    yard.manifest["agents"]["ops"]["did"] = f"did:pkh:eip155:3338:{yard.agent.address.lower()}"
    plan = yard.run("plan")
    assert "-/+ agent_pairing/ops" in plan.out, plan.out
    assert "forces replacement" in plan.out
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    new = of(yard, yard.agent.address)
    assert new["agentDid"] == f"did:pkh:eip155:3338:{yard.agent.address}"
    assert [p["status"] for p in pairings(yard) if p["id"] == old["id"]] == ["revoked"]
    assert yard.search(yard.token("air-001")) == 201
    yard.check_quiet()


def test_a_did_names_its_own_agent(yard: Yard) -> None:
    yard.manifest["agents"]["ops"]["did"] = f"did:pkh:eip155:1:{yard.operator.address}"
    ran = yard.run("validate")
    assert ran.code == 3
    assert "this is the DID of another address" in ran.err
    assert yard.agent.address in ran.err


def test_nobody_is_revoked_unless_pruned(yard: Yard) -> None:
    stranger = pair_out_of_band(yard)
    yard.machine("air-001")["pairings"].pop()  # night is no longer declared
    plan = yard.run("plan", "--detailed-exitcode")
    assert plan.code == 0, plan.said
    assert f"agent {stranger} (teneo, guest) is paired and not in the manifest" in plan.out.replace("\n", " ")
    assert plan.out.splitlines()[-1].endswith("resources are as declared; 2 not in the manifest.")
    before = events(yard)
    assert yard.run("apply", "--yes").code == 0
    assert events(yard) == before
    found = yard.run("plan", "--output", "json").data
    assert found["summary"]["unmanaged"] == 2
    shown = [change["reason"] for change in found["changes"] if change["action"] == "unmanaged"]
    assert any(stranger in reason for reason in shown)

    yard.manifest["prune"] = ["pairings"]
    plan = yard.run("plan", "--detailed-exitcode")
    assert plan.code == 2
    assert plan.out.splitlines()[-1] == "Plan: 0 to add, 0 to change, 2 to remove"
    yard.manifest["guards"] = {"maxRemovals": 1}
    assert yard.run("apply", "--yes").code == 4
    del yard.manifest["guards"]
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    assert [p["agentAddress"] for p in pairings(yard) if p["status"] != "revoked"] == [yard.agent.address]
    assert events(yard) - before == {"agent-pairing.revoked": 2}
    assert yard.search(yard.token("air-001")) == 201
    yard.check_quiet()


def test_only_what_can_be_pruned_may_be_named(yard: Yard) -> None:
    yard.manifest["prune"] = ["pairing"]
    ran = yard.run("validate")
    assert ran.code == 3
    assert "pairings" in ran.err


def test_what_cannot_be_seen_is_not_revoked(yard: Yard) -> None:
    pair_out_of_band(yard)
    yard.manifest["prune"] = ["pairings"]
    path = "/markets/api/v1/machines/*/agent-pairings*"
    yard.world.service_faults({"action": "status", "method": "GET", "path": path, "count": 100})
    ran = yard.run("plan", "--output", "json")
    assert ran.code == 1
    assert ran.data["summary"]["delete"] == 0
    told = "what the manifest does not name cannot be read at 1 place(s), first the pairings of air-001"
    assert any(notice.startswith(told) for notice in ran.data["notices"]), ran.data["notices"]


def test_pages_are_followed_to_the_last(yard: Yard, serve: Serve) -> None:
    """The service behind one that gives a single item a page."""
    pair_out_of_band(yard)
    asked: list[str] = []

    def one_by_one(method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        asked.append(path)
        url = yard.world.info.markets_url + path.replace("limit=500", "limit=1")
        answer = httpx.request(method, url, headers={"x-api-key": headers["x-api-key"]}, trust_env=False)
        return answer.status_code, answer.json()

    yard.manifest["services"]["markets"]["url"] = serve(one_by_one)
    plan = yard.run("plan", "--detailed-exitcode", "--output", "json")
    assert plan.code == 0, plan.said
    assert plan.data["summary"]["unmanaged"] == 1
    assert sum("agent-pairings" in path for path in asked) == 3
