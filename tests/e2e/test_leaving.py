"""Machines that leave: taken out of the file, pruned, retired, protected, and never all at once unasked."""

from collections.abc import Callable

import pytest
from e2e_harness import AT, Yard

MakeYard = Callable[..., Yard]
DEACTIVATED = 4


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    yard = new_yard(3)
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    return yard


def remove(yard: Yard, name: str) -> None:
    yard.manifest["machines"].remove(yard.machine(name))


def status(yard: Yard, name: str) -> int:
    number = yard.world.machine_id(yard.accounts[name].address)
    return int(yard.world.read(AT.identity_registry, "machineStatus(uint256)", number, returns="uint8"))


def stake(yard: Yard, name: str) -> int:
    number = yard.world.machine_id(yard.accounts[name].address)
    return int(yard.world.read(AT.identity_staking, "getStake(uint256)", number))


def published(yard: Yard) -> set[int]:
    text = yard.world.attribute(yard.operator.address, "machines") or "[]"
    return {int(number) for number in text.strip("[]").split(",") if number.strip()}


def ids(yard: Yard, *names: str) -> set[int]:
    return {yard.world.machine_id(yard.accounts[name].address) for name in names}


def record(yard: Yard, number: str) -> str:
    """Status of a record by its id, which no list shows when it is archived."""
    return str(yard.world.markets("GET", f"/machines/{number}").json()["item"]["status"])


def living(yard: Yard, number: str) -> list[str]:
    """Pairings of the record that are not revoked."""
    pairings = yard.world.items(f"/machines/{number}/agent-pairings")
    return [pairing["id"] for pairing in pairings if pairing["status"] != "revoked"]


def record_id(yard: Yard, name: str) -> str:
    (found,) = yard.records()[name]
    return str(found["id"])


def actions(yard: Yard, *options: str) -> dict[str, str]:
    """What a plan does or shows beyond what is as declared."""
    ran = yard.run("plan", "--output", "json", *options)
    assert ran.code == 0, ran.said
    return {c["address"]: c["action"] for c in ran.data["changes"] if c["action"] != "no-op"}


def test_a_machine_taken_out_of_the_file_is_shown_and_left_alone(yard: Yard) -> None:
    remove(yard, "air-003")
    before = yard.footprint()
    found = actions(yard)
    assert {address.partition("id:")[0]: action for address, action in found.items()} == {
        "agent_pairing/air-003/": "unmanaged",
        "machine_record/air-003": "unmanaged",
        "machine_identity/air-003": "unmanaged",
    }
    assert yard.run("drift").code == 0
    plan = yard.run("plan")
    assert "the bond stays locked for ever" in plan.out.replace("\n", " ")
    assert plan.out.splitlines()[-1].endswith("3 not in the manifest.")
    assert "3 resources of 1 machine are not in the manifest" in yard.run("status").out
    assert yard.run("apply", "--yes").code == 0
    assert yard.footprint() == before


def test_prune_removes_each_sort_by_itself(yard: Yard) -> None:
    number = record_id(yard, "air-003")
    remove(yard, "air-003")
    bond, tokens = stake(yard, "air-003"), yard.token("air-003")
    yard.manifest["formerKeys"] = {"file": "keys/{name}.key"}
    yard.manifest["prune"] = ["pairings"]
    assert yard.run("apply", "--yes").code == 0
    assert (living(yard, number), record(yard, number)) == ([], "active")
    assert yard.search(tokens) != 201

    yard.manifest["prune"] = ["pairings", "records"]
    assert yard.run("apply", "--yes").code == 0
    assert (record(yard, number), status(yard, "air-003")) == ("archived", 1)
    assert published(yard) == ids(yard, "air-001", "air-002", "air-003")

    yard.manifest["prune"] = ["pairings", "records", "identities"]
    plan = yard.run("plan")
    assert "deactivate (not in the manifest; the bond stays locked for ever)" in plan.out.replace("\n", " ")
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    assert (status(yard, "air-003"), stake(yard, "air-003")) == (DEACTIVATED, bond)
    assert published(yard) == ids(yard, "air-001", "air-002")
    assert actions(yard) == {}
    assert actions(yard, "--scan") == {}
    yard.check_quiet()
    del yard.manifest["prune"]
    assert actions(yard) == {}


def test_prune_of_all_happens_in_order_in_one_apply(yard: Yard) -> None:
    number = record_id(yard, "air-003")
    remove(yard, "air-003")
    yard.manifest |= {"formerKeys": {"file": "keys/{name}.key"}, "prune": ["pairings", "records", "identities"]}
    applied = yard.run("apply", "--yes", "--output", "json")
    assert applied.code == 0, applied.said
    order = [outcome["address"].partition("/")[0] for outcome in applied.data["result"]["outcomes"]]
    assert order == ["agent_pairing", "machine_record", "machine_identity", "operator_did"]
    assert (record(yard, number), status(yard, "air-003")) == ("archived", DEACTIVATED)
    yard.check_quiet()


def test_without_its_key_a_former_machine_is_parked_and_no_longer_published(yard: Yard) -> None:
    number = record_id(yard, "air-003")
    remove(yard, "air-003")
    yard.manifest["prune"] = ["pairings", "records", "identities"]
    assert yard.run("apply", "--yes").code == 0
    assert (record(yard, number), status(yard, "air-003")) == ("archived", 1)
    assert published(yard) == ids(yard, "air-001", "air-002")
    assert actions(yard) == {"machine_identity/air-003": "parked"}
    yard.check_quiet()


def test_the_journal_is_not_needed_to_know_who_left(yard: Yard) -> None:
    remove(yard, "air-003")
    yard.journal.unlink()
    assert actions(yard)["machine_identity/air-003"] == "unmanaged"


def test_scan_finds_a_machine_that_nothing_names_any_more(yard: Yard) -> None:
    remove(yard, "air-003")
    yard.manifest["prune"] = ["pairings", "records", "identities"]
    assert yard.run("apply", "--yes").code == 0
    yard.journal.unlink()
    yard.manifest["prune"] = []
    assert actions(yard) == {}
    address = yard.accounts["air-003"].address.lower()
    assert actions(yard, "--scan") == {f"machine_identity/{address[:6]}..{address[-4:]}": "unmanaged"}
    assert yard.run("drift", "--scan").code == 0


def test_a_retired_machine_leaves_in_order_and_may_come_back(yard: Yard) -> None:
    number = record_id(yard, "air-002")
    bond = stake(yard, "air-002")
    yard.machine("air-002")["state"] = "retired"
    plan = yard.run("plan")
    assert "deactivate (retired; the bond stays locked for ever)" in plan.out.replace("\n", " ")
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    assert (record(yard, number), living(yard, number)) == ("archived", [])
    assert (status(yard, "air-002"), stake(yard, "air-002")) == (DEACTIVATED, bond)
    assert published(yard) == ids(yard, "air-001", "air-003")
    yard.check_quiet()

    yard.machine("air-002")["state"] = "active"
    yard.world.service_faults(archivedListed=True)
    blocked = {
        c["address"]: c["reason"]
        for c in yard.run("plan", "--output", "json").data["changes"]
        if c["action"] == "blocked"
    }
    assert "no documented way back" in blocked["machine_record/air-002"]
    yard.world.service_faults(archivedListed=False, archivedBlocksIdentity=False)
    back = yard.run("apply", "--yes")
    assert back.code == 0, back.said
    assert status(yard, "air-002") == 1
    assert published(yard) == ids(yard, "air-001", "air-002", "air-003")
    assert record(yard, record_id(yard, "air-002")) == "active"


def test_a_machine_with_an_empty_wallet_is_given_what_leaving_costs(yard: Yard) -> None:
    address = yard.accounts["air-002"].address
    yard.world.fund(address, 0)
    yard.machine("air-002")["state"] = "retired"
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    assert status(yard, "air-002") == DEACTIVATED
    assert yard.world.balance(address) < 10**16
    yard.check_quiet()


def test_without_funding_an_empty_wallet_is_told(yard: Yard) -> None:
    del yard.manifest["v1"]["funding"]
    yard.world.fund(yard.accounts["air-002"].address, 0)
    yard.machine("air-002")["state"] = "retired"
    refused = yard.run("apply", "--yes")
    assert refused.code == 4
    assert "machine/air-002" in refused.said
    assert "send at least" in refused.said


def test_who_never_was_registered_has_nothing_to_retire(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    for machine in yard.manifest["machines"]:
        machine["state"] = "retired"
    before = yard.footprint()
    plan = yard.run("plan", "--detailed-exitcode")
    assert plan.code == 0, plan.said
    assert yard.run("apply", "--yes").code == 0
    assert yard.footprint() == before


def test_a_protected_machine_stays_until_its_protection_is_taken_out(yard: Yard) -> None:
    machine = yard.machine("air-002")
    machine |= {"state": "retired", "protect": True}
    before = yard.footprint()
    plan = yard.run("plan", "--output", "json", "--detailed-exitcode")
    assert plan.code == 2
    blocked = {c["address"]: c["reason"] for c in plan.data["changes"] if c["action"] == "blocked"}
    assert set(blocked) == {
        "agent_pairing/air-002/ops",
        "machine_record/air-002",
        "machine_identity/air-002",
    }
    line = next(n for n, text in enumerate(yard.file.read_text().splitlines(), 1) if '"protect"' in text)
    assert f"protected by `protect: true` at {yard.file}:{line}" in blocked["machine_record/air-002"]
    assert yard.run("apply", "--yes").code == 5
    assert yard.footprint() == before
    assert status(yard, "air-002") == 1


def test_protection_holds_against_deactivation_and_may_be_a_default(yard: Yard) -> None:
    yard.manifest["defaults"]["protect"] = True
    yard.machine("air-001")["v1"] = {"status": "deactivated"}
    assert actions(yard)["machine_identity/air-001"] == "blocked"
    yard.machine("air-001")["protect"] = False
    assert actions(yard) == {"machine_identity/air-001": "update"}


def test_an_emptied_manifest_removes_nothing_unasked(yard: Yard) -> None:
    yard.manifest |= {
        "machines": [], "formerKeys": {"file": "keys/{name}.key"}, "prune": ["pairings", "records", "identities"]
    }  # fmt: skip
    before = yard.footprint()
    refused = yard.run("apply", "--yes")
    assert refused.code == 4, refused.said
    assert "a manifest without machines removes nothing unasked" in refused.said.replace("\n", " ")
    assert "--max-removals 9" in refused.said
    assert yard.footprint() == before
    assert yard.run("apply", "--yes", "--max-removals", "8").code == 4
    applied = yard.run("apply", "--yes", "--max-removals", "9")
    assert applied.code == 0, applied.said
    assert {status(yard, name) for name in yard.accounts} == {DEACTIVATED}
    assert published(yard) == set()
    yard.check_quiet()


def test_a_share_is_held_to_and_the_flag_passes(yard: Yard) -> None:
    yard.manifest["guards"] = {"maxRemovals": "5%"}
    yard.machine("air-003")["state"] = "retired"
    plan = yard.run("plan", "--output", "json")
    (refusal,) = plan.data["refusals"]
    assert refusal["code"] == "guard.max_removals"
    assert refusal["hint"].startswith("pass --max-removals 3")
    assert yard.run("plan", "--output", "json", "--max-removals", "3").data["refusals"] == []
    assert yard.run("apply", "--yes").code == 4
    assert yard.run("apply", "--yes", "--max-removals", "3").code == 0


def test_many_that_left_are_one_block_of_the_plan(new_yard: MakeYard) -> None:
    yard = new_yard(8)
    assert yard.run("apply", "--yes").code == 0
    del yard.manifest["machines"][1:]
    out = yard.run("plan").out
    assert "air-002 … air-008 (7 alike, each:)" in out
    assert len(out.splitlines()) < 12, out
