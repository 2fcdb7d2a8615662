"""A run about a part of the fleet: what is left out, suspended, ignored or held back stays exactly as it is."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from e2e_harness import Ran, Yard

from reconciler.cli.options import Options
from reconciler.core.value import replace

MakeYard = Callable[..., Yard]


def changes(ran: Ran) -> dict[str, str]:
    return {change["address"]: change["action"] for change in ran.data["changes"]}


def test_only_one_machine_and_then_the_rest(new_yard: MakeYard) -> None:
    yard = new_yard(3)
    yard.machine("air-002")["labels"] = {"site": "berlin"}
    plan = yard.run("plan", "--only", "air-001", "--output", "json")
    assert {address.partition("/")[2].partition("/")[0] for address in changes(plan)} == {"v1", "default", "air-001"}
    assert plan.data["leftOut"]["machine_did/air-003"] == "--only"
    assert "operator_did/default" in plan.data["leftOut"]
    assert any("operator_identity/default" in notice and "come along" in notice for notice in plan.data["notices"])

    first = yard.run("apply", "--yes", "--only", "label=site=berlin")
    assert first.code == 0, first.said
    assert first.out.splitlines()[-1].endswith("; 15 left out by --only."), first.out
    assert {name for name, found in yard.records().items() if found} == {"air-002"}
    assert yard.world.attribute(yard.operator.address, "machines") is None

    drift = yard.run("drift", "--only", "air-002")
    assert drift.code == 0, drift.said
    assert "No drift: 9 resources are as declared; 15 left out by --only." in drift.out
    assert yard.run("drift").code == 2
    status = yard.run("status", "--only", "air-002", "--output", "json")
    assert [(m["name"], m["sync"]) for m in status.data["machines"]] == [("air-002", "Synced")]

    rest = yard.run("apply", "--yes", "--skip", "air-002")
    assert rest.code == 0, rest.said
    yard.check_converged()
    ids = {yard.world.machine_id(account.address) for account in yard.accounts.values()}
    assert set(json.loads(yard.world.attribute(yard.operator.address, "machines") or "[]")) == ids
    yard.check_quiet()


def test_a_part_never_unpublishes_revokes_or_removes(new_yard: MakeYard) -> None:
    yard = new_yard(3)
    yard.manifest["prune"] = ["pairings"]
    assert yard.run("apply", "--yes").code == 0
    published = yard.world.attribute(yard.operator.address, "machines")
    before = yard.footprint()
    for chosen in (
        ("--only", "air-001"),
        ("--skip", "air-001"),
        ("--only", "kind=operator_did"),
        ("--skip", "kind=machine_identity"),
        ("--skip", "machine=air-*"),
        ("--only", "kind=agent_pairing"),
        ("--skip", "kind=session_token"),
        ("--only", "kind=machine_record", "--skip", "air-002"),
    ):
        ran = yard.run("apply", "--yes", *chosen)
        assert ran.code == 0, ran.said
        assert "left out by" in ran.out
        assert yard.footprint() == before, (chosen, ran.said)
    assert yard.world.attribute(yard.operator.address, "machines") == published
    # What was left out of the manifest itself is pruned where it is chosen, and only there.
    yard.machine("air-001")["pairings"] = []
    yard.machine("air-002")["pairings"] = []
    assert yard.run("apply", "--yes", "--only", "air-002").code == 0
    states = {
        name: [p["status"] for p in yard.world.items(f"/machines/{found[0]['id']}/agent-pairings")]
        for name, found in yard.records().items()
    }
    assert states == {"air-001": ["active"], "air-002": ["revoked"], "air-003": ["active"]}


def test_what_needs_something_skipped_is_not_done(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    ran = yard.run("apply", "--yes", "--skip", "kind=machine_did")
    assert ran.code == 5, ran.said
    assert "needs machine_did/air-001, which is left out by --skip" in ran.out
    assert yard.records()["air-001"] == []
    assert yard.world.machine_id(yard.accounts["air-001"].address)
    assert yard.run("apply", "--yes").code == 0
    yard.check_converged()


def test_what_an_earlier_apply_sent_for_others_is_still_wanted(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    assert yard.run("apply", "--yes", "--only", "kind=operator_identity").code == 0
    yard.world.rpc_faults({"action": "dropBefore", "method": "eth_sendRawTransaction", "count": None})
    lost = yard.run("apply", "--yes", "--only", "air-001", "--timeout", "3")
    assert lost.code == 6, lost.said
    yard.world.well()
    ran = yard.run("apply", "--yes", "--only", "air-002")
    assert ran.code == 0, ran.said
    yard.check_converged("air-002")
    calls = yard.effects()
    assert calls["registerFor", yard.accounts["air-001"].address.lower()] == 1
    assert calls["transfer", yard.operator.address.lower()] == 0, "what was signed for air-001 was burnt"
    assert yard.run("apply", "--yes").code == 0
    yard.check_converged()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["plan", "--only", "air-01"], 3, "did you mean `air-001`?"),
        (["apply", "--yes", "--skip", "kind=machine_recrd"], 3, "did you mean `machine_record`?"),
        (["drift", "--only", "knd=x"], 64, "did you mean `kind`?"),
        (["status", "--only", "file=sites/*"], 3, "there are these files: fleet.yaml"),
    ],
)
def test_what_names_nothing_is_told(new_yard: MakeYard, arguments: list[str], code: int, said: str) -> None:
    yard = new_yard(1)
    before = yard.footprint()
    ran = yard.run(*arguments)
    assert ran.code == code, ran.said
    assert said in ran.err
    assert yard.footprint() == before


def test_a_suspended_machine_stays_as_it_is(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    assert yard.run("apply", "--yes").code == 0
    published = yard.world.attribute(yard.operator.address, "machines")
    for name in ("air-001", "air-002"):
        yard.machine(name)["market"] = {"displayName": f"new {name}"}
    yard.machine("air-001")["suspended"] = True
    yard.add("air-003")["suspended"] = True
    plan = yard.run("plan", "--output=json")
    assert changes(plan)["machine_record/air-001"] == "parked"
    assert changes(plan)["machine_record/air-002"] == "update"
    assert changes(plan)["machine_identity/air-003"] == "parked"
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    assert "2 machine(s) suspended in the manifest; nothing of them is changed: air-001, air-003" in ran.out
    assert {name: [r["displayName"] for r in found] for name, found in yard.records().items()} == {
        "air-001": ["air-001"], "air-002": ["new air-002"], "air-003": []
    }  # fmt: skip
    assert yard.world.attribute(yard.operator.address, "machines") == published
    assert yard.run("drift").code == 0
    status = yard.run("status", "--output=json")
    assert [m["sync"] for m in status.data["machines"]] == ["Suspended", "Synced", "Suspended"]
    for machine in yard.manifest["machines"]:
        machine.pop("suspended", None)
    assert yard.run("drift").code == 2
    assert yard.run("apply", "--yes").code == 0
    yard.check_converged()


def test_ignored_fields_are_left_to_others(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.machine("air-001")["v1"] = {"attributes": {"firmware": "1", "shell": "a"}}
    yard.manifest["ignore"] = ["machine_record.displayName", "agent_pairing.delegationPolicy.dailySpendLimit"]
    yard.manifest["defaults"]["ignore"] = ["machine_did.attributes.firmware"]
    assert yard.run("apply", "--yes").code == 0
    (record,) = yard.records()["air-001"]
    assert record["displayName"] == "air-001"
    assert yard.world.attribute(yard.accounts["air-001"].address, "firmware") == "1"

    def policy() -> dict[str, Any]:
        (pairing,) = yard.world.items(f"/machines/{record['id']}/agent-pairings")
        found: dict[str, Any] = pairing["delegationPolicy"]
        return found

    yard.machine("air-001")["market"] = {"displayName": "mine", "capabilities": ["price-feed", "new"]}
    yard.machine("air-001")["v1"] = {"attributes": {"firmware": "2", "shell": "b"}}
    yard.manifest["delegationPolicies"]["small"] |= {"dailySpendLimit": 20, "perTransactionLimit": 4}
    plan = yard.run("plan", "-v")
    assert "ignored: firmware: 1" in plan.out
    assert "; 3 differences ignored" in plan.out
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    account = yard.accounts["air-001"].address
    assert [yard.world.attribute(account, name) for name in ("firmware", "shell")] == ["1", "b"]
    (record,) = yard.records()["air-001"]
    assert (record["displayName"], record["capabilities"]) == ("air-001", ["price-feed", "new"])
    assert (policy()["dailySpendLimit"], policy()["perTransactionLimit"]) == (30, 4)
    assert yard.search(yard.token("air-001")) == 201
    quiet = yard.run("drift")
    assert quiet.code == 0, quiet.said
    assert "3 differences ignored" in quiet.out
    yard.check_quiet()


class ShiftedClock:
    """Runs as any clock does, from another moment on."""

    def __init__(self, inner: Any, begin: float) -> None:
        self._inner, self._ahead = inner, begin - time.time()

    def now(self) -> float:
        return float(self._inner.now()) + self._ahead

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def run_at(yard: Yard, moment: str, *arguments: str) -> Ran:
    """As `fleetctl ARGUMENTS` at another moment, in UTC."""
    begin = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    yard.save()
    shifted = Options(around=lambda world: replace(world, clock=ShiftedClock(world.clock, begin)))
    return yard.run_as_is(*arguments, options=shifted)


def test_an_apply_waits_for_its_window(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.manifest["windows"] = [{"allow": "0 22 * * 1-5", "for": "2h", "timeZone": "Europe/Berlin"}]
    before = yard.footprint()
    noon = "2026-06-01 12:00"
    refused = run_at(yard, noon, "apply", "--yes", "--output", "json")
    assert refused.code == 4, refused.said
    said = refused.data["error"]
    assert "closed until 2026-06-01 22:00 Europe/Berlin, in 8 h 0 min" in said["message"]
    assert "--ignore-windows" in said["hint"]
    plan = run_at(yard, noon, "plan", "--output", "json")
    assert plan.code == 0
    assert [refusal["code"] for refusal in plan.data["refusals"]] == ["guard.window"]
    assert run_at(yard, noon, "drift").code == 2
    assert yard.footprint() == before
    ran = run_at(yard, "2026-06-01 21:59", "apply", "--yes")
    assert ran.code == 0, ran.said
    assert "the maintenance window is open until 2026-06-02 00:00 Europe/Berlin" in ran.out
    yard.check_converged()
    # Nothing to do is no offence at any time.
    assert run_at(yard, noon, "apply", "--yes").code == 0
    yard.add("air-002")
    assert run_at(yard, noon, "apply", "--yes", "--ignore-windows").code == 0
    yard.check_converged()


def test_a_window_of_some_machines_holds_only_them(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    yard.machine("air-002")["labels"] = {"site": "berlin"}
    yard.manifest["windows"] = [{"deny": "0 8 * * *", "for": "8h", "labels": {"site": "berlin"}}]
    ran = run_at(yard, "2026-06-01 12:00", "apply", "--yes")
    assert ran.code == 0, ran.said
    assert "held back: its maintenance window is closed until 2026-06-01 16:00 UTC" in ran.out
    yard.check_converged("air-001")
    assert yard.records()["air-002"] == []
    assert run_at(yard, "2026-06-01 12:00", "drift").code == 2
    assert run_at(yard, "2026-06-01 16:00", "apply", "--yes").code == 0
    yard.check_converged()
