"""Who moved, on a real sandbox: the manifest, the world or both, and what is known without the record."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from e2e_harness import AT, Ran, Yard

from reconciler.sandbox.chain import calldata

MakeYard = Callable[..., Yard]
UPDATE = "updateAttribute(address,bytes,bytes,uint32)"


def moved(ran: Ran) -> dict[str, Any]:
    """By resource that moved as a whole, else by resource and field."""
    found: dict[str, Any] = {}
    for change in ran.data["changes"]:
        if change["moved"] is None:
            continue
        fields = {field["field"]: field["moved"] for field in change["fields"]}
        found |= {change["address"]: change["moved"]} if change["action"] != "update" else {change["address"]: fields}
    return found


def tamper(yard: Yard, machine: str, name: str, value: str) -> None:
    account = yard.accounts[machine]
    data = calldata(UPDATE, account.address, name.encode(), value.encode(), 0)
    yard.world.send(account, AT.did, data)


def pairing_path(yard: Yard, machine: str) -> str:
    (record,) = yard.records()[machine]
    (pairing,) = yard.world.items(f"/machines/{record['id']}/agent-pairings")
    return f"/machines/{record['id']}/agent-pairings/{pairing['id']}"


def memory(yard: Yard) -> dict[str, str]:
    with sqlite3.connect(yard.journal) as db:
        return dict(db.execute("select address, body from applied").fetchall())


def test_who_moved(new_yard: MakeYard) -> None:
    yard = new_yard(3)
    for machine in yard.manifest["machines"]:
        machine["v1"] = {"attributes": {"site": "berlin", "floor": "1"}}
    first = yard.run("drift", "--output", "json")
    assert first.code == 2, first.said
    assert {change["moved"] for change in first.data["changes"]} - {None} == {"unknown"}
    assert yard.run("apply", "--yes").code == 0
    calm = yard.run("drift")
    assert calm.code == 0, calm.said
    assert calm.out.startswith("No drift: "), calm.out
    before = memory(yard)
    assert len(before) == 1 + 1 + 1 + 3 * 7
    for secret in yard.secrets().values():
        assert secret.lower() not in json.dumps(before).lower()

    tamper(yard, "air-001", "site", "paris")
    tamper(yard, "air-002", "site", "paris")
    yard.machine("air-002")["v1"]["attributes"] = {"site": "rome", "floor": "2"}
    drift = yard.run("drift", "--output", "json")
    assert drift.code == 2, drift.said
    assert moved(drift) == {
        "machine_did/air-001": {"site": "world"},
        "machine_did/air-002": {"site": "both", "floor": "manifest"},
    }
    assert drift.data["moved"] == {"manifest": {"field": 1}, "world": {"field": 1}, "both": {"field": 1}, "unknown": {}}
    told = yard.run("drift")
    assert "site: paris → berlin  (the world moved)" in told.out
    assert "floor: 1 → 2  (the manifest moved)" in told.out
    assert "site: paris → rome  (both moved)" in told.out
    said = "Drift: 1 field moved in the world, 1 field moved in the manifest, 1 field moved in both."
    assert told.out.splitlines()[-1] == said
    assert "(the world moved)" in yard.run("plan").out
    assert memory(yard) == before

    assert yard.run("apply", "--yes").code == 0
    after = memory(yard)
    assert {name for name in after if after[name] != before[name]} == {"machine_did/air-002"}
    yard.check_quiet()


def test_who_moved_at_machine_markets(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    assert yard.run("apply", "--yes").code == 0
    path = pairing_path(yard, "air-001")
    assert yard.world.markets("PATCH", path, {"agentRole": "spy"}).status_code == 200
    assert yard.world.markets("DELETE", pairing_path(yard, "air-002")).status_code < 300
    drift = yard.run("drift", "--output", "json")
    assert moved(drift) == {
        "agent_pairing/air-001/ops": {"agentRole": "world"},
        "session_token/air-001/ops": {"token": "world"},
        "agent_pairing/air-002/ops": "world",
        "session_token/air-002/ops": "world",
    }
    yard.manifest["delegationPolicies"]["small"]["perTransactionLimit"] = 4
    drift = yard.run("drift", "--output", "json")
    assert moved(drift)["agent_pairing/air-001/ops"] == {
        "agentRole": "world",
        "delegationPolicy.perTransactionLimit": "manifest",
    }
    assert moved(drift)["agent_pairing/air-002/ops"] == "both"
    yard.add("air-003")
    drift = yard.run("drift", "--output", "json")
    assert {who for name, who in moved(drift).items() if "/air-003" in name and isinstance(who, str)} == {"manifest"}
    assert moved(drift)["operator_did/default"] == {"machines": "manifest"}


def test_without_the_record_it_is_unknown_and_comes_back(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    kept = memory(yard)
    with sqlite3.connect(yard.journal) as db:
        # As it is where an older fleetctl did what was done so far.
        db.execute("delete from applied")
    tamper(yard, "air-001", "documentation_url", "https://elsewhere.example.com")
    drift = yard.run("drift", "--output", "json")
    assert drift.code == 2, drift.said
    assert moved(drift) == {"machine_did/air-001": {"documentation_url": "unknown"}}
    assert "1 field moved, not known where" in yard.run("drift").out
    assert yard.run("apply", "--yes").code == 0
    assert memory(yard) == kept


def test_a_journal_of_a_newer_version_is_refused(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    with sqlite3.connect(yard.journal) as db:
        (version,) = db.execute("pragma user_version").fetchone()
        db.execute(f"pragma user_version = {version + 1}")
    ran = yard.run("drift")
    assert ran.code == 1
    assert "newer fleetctl" in ran.said


def test_drift_needs_no_key(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    tamper(yard, "air-001", "documentation_url", "https://elsewhere.example.com")
    yard.manifest["operator"]["address"] = yard.operator.address
    del yard.environ["PEAQOS_PRIVATE_KEY"]
    for path in (yard.root / "keys").iterdir():
        path.unlink()
    drift = yard.run("drift", "--output", "json")
    assert drift.code == 2, drift.said
    assert moved(drift) == {"machine_did/air-001": {"documentation_url": "world"}}
