"""A fleet from nothing to running, and every change after that, counted where it arrives."""

import json
import time
from collections.abc import Callable

import pytest
from e2e_harness import Yard, writes

from reconciler.core.stamps import MOMENT

MakeYard = Callable[..., Yard]


def test_a_fleet_is_planned_applied_and_then_left_alone(new_yard: MakeYard) -> None:
    yard = new_yard(4)
    before = yard.footprint()
    plan = yard.run("plan", "--detailed-exitcode")
    assert plan.code == 2, plan.said
    assert plan.out.splitlines()[-1].startswith("Plan: 26 to add, 4 to change, 0 to remove; "), plan.out
    assert "5 bond" in plan.out
    assert yard.run("plan").code == 0
    assert yard.footprint() == before
    assert not yard.journal.exists()

    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    yard.check_converged()
    yard.check_quiet()


def test_four_machines_take_a_handful_of_blocks(new_yard: MakeYard) -> None:
    yard = new_yard(4)
    assert yard.run("apply", "--yes").code == 0
    _, transactions, failed = yard.world.effects(yard.senders(), yard.since)
    own = [yard.world.nonce(account.address) for account in yard.accounts.values()]
    assert own == [1, 1, 1, 1]
    assert transactions - 4 <= 4
    assert failed == 0


def test_a_fleet_grows(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    assert yard.run("apply", "--yes").code == 0
    old = {name: yard.world.nonce(account.address) for name, account in yard.accounts.items()}
    yard.add("air-101")
    yard.add("air-102")
    assert yard.run("apply", "--yes").code == 0
    yard.check_converged()
    assert old == {name: yard.world.nonce(yard.accounts[name].address) for name in old}
    ids = [yard.world.machine_id(account.address) for account in yard.accounts.values()]
    published = yard.world.attribute(yard.operator.address, "machines")
    assert published is not None
    assert sorted(map(int, published.strip("[]").split(","))) == sorted(ids)
    assert yard.effects()["update", f"{yard.operator.address.lower()} machines"] == 1
    yard.check_quiet()


def test_an_edited_url_is_exactly_one_update(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    assert yard.run("apply", "--yes").code == 0
    head, met = yard.world.head(), writes(yard.world)
    yard.machine("air-002")["metadata"] = {"documentationUrl": "https://new.example.com/2"}
    plan = yard.run("plan")
    assert plan.out.splitlines()[-1].startswith("Plan: 0 to add, 1 to change, 0 to remove; cost"), plan.out
    assert yard.run("apply", "--yes").code == 0
    account = yard.accounts["air-002"].address.lower()
    assert yard.effects(head) == {("update", f"{account} documentation_url"): 1}
    assert writes(yard.world) == {**met, "transactions": met["transactions"] + 1}
    assert yard.world.attribute(account, "documentation_url") == "https://new.example.com/2"
    yard.check_quiet()


def test_attributes_come_and_go(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    account = yard.accounts["air-001"].address.lower()
    head = yard.world.head()
    yard.machine("air-001")["v1"] = {"attributes": {"firmware": "2.4.1", "site": "berlin"}}
    assert yard.run("apply", "--yes").code == 0
    assert yard.effects(head) == {("add", f"{account} firmware"): 1, ("add", f"{account} site"): 1}
    head = yard.world.head()
    yard.machine("air-001")["v1"] = {"attributes": {"firmware": "2.5.0", "site": None}}
    assert yard.run("apply", "--yes").code == 0
    assert yard.effects(head) == {("update", f"{account} firmware"): 1, ("remove", f"{account} site"): 1}
    assert yard.world.attribute(account, "site") is None
    yard.check_quiet()


def test_a_policy_edit_is_one_patch_and_one_rotation_for_each_pairing(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    assert yard.run("apply", "--yes").code == 0
    old = {name: yard.token(name) for name in yard.accounts}
    met = writes(yard.world)
    yard.manifest["delegationPolicies"]["small"]["dailySpendLimit"] = 20
    plan = yard.run("plan")
    assert "2 tokens to rotate" in plan.out, plan.out
    assert yard.run("apply", "--yes").code == 0
    # A rotation is a challenge and a session: two POSTs.
    assert writes(yard.world) == {**met, "PATCH": met["PATCH"] + 2, "POST": met["POST"] + 4}
    for name, token in old.items():
        assert yard.audit(name)["agent-pairing.updated"] == 1
        assert yard.audit(name)["agent-pairing.session-issued"] == 1
        assert yard.search(token) == 401
        assert yard.search(yard.token(name)) == 201
        (record,) = yard.records()[name]
        (pairing,) = yard.world.items(f"/machines/{record['id']}/agent-pairings")
        assert pairing["delegationPolicy"]["dailySpendLimit"] == 20
    yard.check_quiet()


@pytest.mark.parametrize("pairings", [True, False])
def test_without_batch_every_call_is_a_transaction_of_its_own(new_yard: MakeYard, pairings: bool) -> None:
    yard = new_yard(2)
    if not pairings:
        for machine in yard.manifest["machines"]:
            del machine["pairings"]
    ran = yard.run("apply", "--yes", "--no-batch")
    assert ran.code == 0, ran.said
    calls, transactions, failed = yard.world.effects(yard.senders(), yard.since)
    assert transactions == sum(calls.values())
    assert failed == 0
    if pairings:
        yard.check_converged()
    yard.check_quiet("--no-batch")


@pytest.mark.parametrize("forget", [False, True])
def test_a_renamed_machine_changes_nothing(new_yard: MakeYard, forget: bool) -> None:
    yard = new_yard(2)
    assert yard.run("apply", "--yes").code == 0
    old = yard.token("air-001")
    machine = yard.machine("air-001")
    machine["name"] = "door-7"
    assert "display" in yard.run("plan", "-v").out, "without the entry a new name is a change"
    yard.manifest["moved"] = [{"from": "air-001", "to": "door-7"}]
    if forget:
        yard.journal.unlink()
        # Without it, what changes a pairing within a moment of its session is taken for what issued that.
        time.sleep(MOMENT)
    yard.check_quiet()
    assert "door-7\n" in yard.run("plan", "-v").out, "here it has its new name"
    yard.manifest["delegationPolicies"]["small"]["dailySpendLimit"] = 20
    assert yard.run("apply", "--yes").code == 0
    assert sorted(path.name for path in yard.tokens().iterdir()) == ["air-001.ops.token", "air-002.ops.token"]
    assert yard.token("air-001") != old
    assert yard.search(yard.token("air-001")) == 201
    yard.check_quiet()


def test_a_machine_in_another_file_changes_nothing(new_yard: MakeYard) -> None:
    yard = new_yard(3)
    assert yard.run("apply", "--yes").code == 0
    (yard.root / "site.yaml").write_text(json.dumps({"machines": [yard.manifest["machines"].pop(0)]}))
    yard.manifest["include"] = ["site.yaml"]
    yard.check_quiet()
