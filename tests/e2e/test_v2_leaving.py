"""Machines of protocol v2 that were taken out of the file: shown, suspended where that is asked for, or left alone."""

from collections.abc import Callable

import pytest
from e2e_harness import Yard
from eth_account import Account
from test_leaving import actions, record, remove
from test_v2_services import enrolled
from v2_fleet import Chained, chained, did, live_by_v2, since

MakeYard = Callable[..., Yard]
ALL = ["pairings", "records", "identities"]


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    yard = new_yard(0)
    enrolled(yard, "a", "b", "c")
    did(yard)
    return yard


def short(machine: Chained) -> str:
    """What a machine is called that nobody knows the name of."""
    return f"{str(machine.id)[:6]}..{str(machine.id)[-4:]}"


def record_of(yard: Yard, machine: Chained) -> str:
    (found,) = [r for r in yard.world.items("/machines") if r["identityRef"] == f"did:peaq:{machine.id}"]
    return str(found["id"])


def test_it_is_shown_and_left_alone(yard: Yard) -> None:
    remove(yard, "c")
    before = yard.footprint()
    assert {address.partition("id:")[0]: action for address, action in actions(yard).items()} == {
        "agent_pairing/c/": "unmanaged",
        "machine_record/c": "unmanaged",
        "machine_activation/c": "unmanaged",
    }
    assert yard.run("drift").code == 0
    plan = yard.run("plan")
    assert "its bond stays locked" in plan.out.replace("\n", " "), plan.out
    assert "3 resources of 1 machine are not in the manifest" in yard.run("status").out
    assert yard.run("apply", "--yes").code == 0
    assert yard.footprint() == before


def test_prune_takes_it_out_of_service_in_order(yard: Yard) -> None:
    machine = chained(yard, "c")
    number = record_of(yard, machine)
    remove(yard, "c")
    yard.manifest["prune"] = ALL
    head = yard.world.head()
    applied = yard.run("apply", "--yes", "--output", "json")
    assert applied.code == 0, applied.said
    order = [outcome["address"].partition("/")[0] for outcome in applied.data["result"]["outcomes"]]
    assert order == ["agent_pairing", "machine_record", "machine_activation"]
    assert (record(yard, number), machine.paused) == ("archived", True)
    assert since(yard, head) == {"suspend": 1}
    assert actions(yard) == {} == actions(yard, "--scan")
    yard.check_quiet()


def test_scan_finds_what_nothing_names_any_more(new_yard: MakeYard) -> None:
    yard, customer = new_yard(0), Account.create()
    live_by_v2(yard, "a", "given", "kept")
    yard.machine("given")["v2"] = {"custody": "handover", "owner": customer.address}
    did(yard)
    kept, given = chained(yard, "kept"), chained(yard, "given")
    remove(yard, "kept")
    remove(yard, "given")
    assert actions(yard) == {"machine_activation/kept": "unmanaged", "machine_activation/given": "unmanaged"}
    yard.journal.unlink()
    assert actions(yard) == {}
    found = {f"machine_activation/{short(machine)}": "unmanaged" for machine in (kept, given)}
    assert actions(yard, "--scan") == found
    yard.manifest["prune"] = ALL
    applied = yard.run("apply", "--yes", "--scan")
    assert applied.code == 0, applied.said
    # Handed over, it is the customer's: nobody stops it behind their back.
    assert (kept.paused, given.paused) == (True, False)
    plan = yard.run("plan", "--scan")
    assert f"{customer.address.lower()} owns it, so it is left alone" in plan.out.replace("\n", " ").lower(), plan.out


def test_who_is_declared_anew_leaves_the_old_one_behind(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "a")
    did(yard)
    old = chained(yard, "a")
    yard.manifest["defaults"]["v2"]["credentialSubject"] = f"{yard.operator.address} anew {{name}}"
    assert actions(yard)[f"machine_activation/{short(old)}"] == "unmanaged"
