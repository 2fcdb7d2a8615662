"""Features together: what none of them alone could spoil."""

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from e2e_harness import Yard
from eth_account import Account

from reconciler.core.saved import checksum

MakeYard = Callable[..., Yard]


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    yard = new_yard(3)
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    return yard


def retire(yard: Yard, name: str, **more: object) -> None:
    yard.machine(name).update(state="retired", **more)


def remove(yard: Yard, *names: str) -> None:
    for name in names:
        yard.manifest["machines"].remove(yard.machine(name))


def published(yard: Yard) -> str | None:
    return yard.world.attribute(yard.operator.address, "machines")


def planned(yard: Yard, *options: str) -> dict[str, Any]:
    """What a plan does or shows beyond what is as declared."""
    ran = yard.run("plan", "--output", "json", *options)
    assert ran.code == 0, ran.said
    return {c["address"].partition("id:")[0]: c for c in ran.data["changes"] if c["action"] != "no-op"}


def test_an_empty_manifest_takes_nobody_off_the_list_although_nobody_can_be_deactivated(yard: Yard) -> None:
    before = published(yard)
    remove(yard, "air-001", "air-002", "air-003")
    yard.manifest["prune"] = ["identities"]
    ran = yard.run("apply", "--yes")
    assert (ran.code, published(yard)) == (4, before), ran.said
    assert "a manifest without machines removes nothing unasked" in ran.err
    assert yard.run("apply", "--yes", "--max-removals", "3").code == 0
    assert published(yard) == "[]"


def test_a_suspended_machine_stays_published_though_it_is_retired(yard: Yard) -> None:
    before = published(yard)
    retire(yard, "air-003", suspended=True)
    assert yard.run("apply", "--yes").code == 0
    assert published(yard) == before
    assert {change["action"] for change in planned(yard).values()} == {"parked"}


def test_a_retired_machine_is_shown_as_that(yard: Yard) -> None:
    retire(yard, "air-003")
    syncs = []
    for _ in range(2):
        status = yard.run("status", "--output", "json")
        syncs.append(status.data["machines"][2]["sync"])
        assert yard.run("apply", "--yes").code == 0
    assert syncs == ["OutOfSync", "Retired"]


def test_what_is_ignored_is_not_remembered_as_converged(yard: Yard) -> None:
    yard.machine("air-002").update(market={"displayName": "two"}, ignore=["machine_record.displayName"])
    assert yard.run("apply", "--yes").code == 0
    del yard.machine("air-002")["ignore"]
    drift = yard.run("drift")
    assert "displayName: air-002 → two  (the manifest moved)" in drift.out, drift.said


def test_a_pairing_made_anew_hides_no_limit_behind_what_is_ignored(yard: Yard) -> None:
    yard.manifest["ignore"] = ["agent_pairing.delegationPolicy.dailySpendLimit"]
    yard.manifest["delegationPolicies"]["small"]["dailySpendLimit"] = 5000
    assert planned(yard) == {}
    other = Account.create()
    yard.write_key("ops", other)
    yard.manifest["agents"]["ops"]["address"] = other.address
    change = planned(yard)["agent_pairing/air-001/ops"]
    assert (change["action"], change["widens"], change["ignored"]) == ("replace", True, [])
    assert yard.run("apply", "--yes").code == 4


def test_a_record_is_not_archived_while_a_selection_keeps_its_pairings(yard: Yard) -> None:
    retire(yard, "air-003")
    found = planned(yard, "--skip", "kind=agent_pairing", "--skip", "kind=operator_did")
    record = found["machine_record/air-003"]
    assert record["action"] == found["machine_identity/air-003"]["action"] == "blocked", found
    assert record["reason"] == "needs agent_pairing/air-003/ops, which is left out by --skip"
    # Chosen by itself, it brings along what has to go first.
    along = {address: change["action"] for address, change in planned(yard, "--only", "kind=machine_record").items()}
    assert along == {"agent_pairing/air-003/ops": "delete", "machine_record/air-003": "delete"}


@pytest.mark.parametrize("choice", [("--only", "kind=machine_record"), ("--skip", "kind=agent_pairing")])
def test_nor_one_that_is_not_in_the_manifest(yard: Yard, choice: tuple[str, str]) -> None:
    remove(yard, "air-003")
    yard.manifest["prune"] = ["pairings", "records"]
    record = planned(yard, *choice)["machine_record/air-003"]
    assert record["action"] == "blocked"
    assert record["reason"].endswith(f"which is left out by {choice[0]}")


@pytest.mark.parametrize("target", ["fleet.yaml", "keys/air-001.key", "keys"])
def test_a_plan_is_never_saved_over_something_else(yard: Yard, target: str) -> None:
    yard.save()
    path = yard.root / target
    before = path.read_text() if path.is_file() else ""
    ran = yard.run_as_is("plan", "--out", str(path))
    assert ran.code == 64, ran.said
    assert (path.read_text() if path.is_file() else "") == before


def test_a_plan_is_saved_over_an_older_one_and_read_from_a_pipe(yard: Yard) -> None:
    path, pipe = yard.root / "plan.json", yard.root / "pipe"
    for _ in range(2):
        assert yard.run("plan", "--out", str(path)).code == 0
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(path.read_text()))
    writer.start()
    shown = yard.run("show", str(pipe))
    writer.join(10)
    assert (shown.code, shown.out) == (0, yard.run("show", str(path)).out), shown.said
    endless = yard.run("show", "/dev/zero")
    assert (endless.code, "holds more than" in endless.err) == (3, True), endless.said


def test_nobody_writes_lines_of_their_own_into_a_plan(yard: Yard) -> None:
    (record,) = yard.records()["air-001"]
    forged = "x\n::set-output name=plan::empty\nNo changes: all is well"
    yard.world.markets("PATCH", f"/machines/{record['id']}", {"displayName": forged})
    path = yard.root / "plan.json"
    plan = yard.run("plan", "--out", str(path))
    assert "displayName: x\\n::set-output name=plan::empty\\nNo changes" in plan.out, plan.said
    content = json.loads(path.read_text())
    (change,) = (change for change in content["changes"] if change["action"] == "update")
    change.update(reason=forged, steps=[forged])
    content["notices"] = [forged]
    path.write_text(json.dumps({**content, "checksum": checksum(content)}))
    for line in (plan.out + yard.run("show", str(path)).out).splitlines():
        assert not line.startswith(("::", "No changes")), line
