"""From v1 to v2: successors that say whose place they take, old machines that leave only then, and nothing twice."""

import difflib
import json
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2e_harness import AT, World, Yard
from v2_fleet import REGISTRY, SUBSCRIPTION, TYPE, Chained, live_by_v2

MakeYard = Callable[..., Yard]
DEACTIVATED = 4
SEED = 20261121


def as_text(yard: Yard) -> None:
    """Writes the yard's manifest as a person would have."""
    top = [f"{key}: {json.dumps(value)}" for key, value in yard.manifest.items() if key != "machines"]
    lines = ["# The fleet of one test.", *top, "", "machines:", "  # All of them are in the north."]
    for machine in yard.manifest["machines"]:
        first, *rest = [f"{key}: {json.dumps(value)}" for key, value in machine.items()]
        lines += [f"  - {first}  # {machine['name']} stands by the door", *(f"    {line}" for line in rest)]
    yard.file.write_text("\n".join([*lines, "# The end.", ""]))


def running(yard: Yard) -> Yard:
    """With its machines applied, and its manifest as text."""
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    as_text(yard)
    return yard


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    return running(new_yard(2))


def subject(yard: Yard, name: str) -> str:
    account = yard.accounts[name].address.lower()
    registry = AT.identity_registry.lower()
    return f"peaqos:v1:{yard.world.info.chain_id}:{registry}:{yard.world.machine_id(account)}:{account}"


def successor(yard: Yard, name: str, more: str = "") -> Chained:
    said = (subject(yard, name) + more).encode()
    return Chained(yard.world, yard.world.read(REGISTRY, "computeTokenId(string,bytes)", TYPE, said))


def status(yard: Yard, name: str) -> int:
    number = yard.world.machine_id(yard.accounts[name].address)
    return int(yard.world.read(AT.identity_registry, "machineStatus(uint256)", number, returns="uint8"))


def pairings(yard: Yard, identity: str) -> list[dict[str, Any]]:
    """The living pairings of the record of this DID, or [] where there is none in service."""
    records = [r for r in yard.world.items("/machines") if r["identityRef"].lower() == identity.lower()]
    found = [p for r in records for p in yard.world.items(f"/machines/{r['id']}/agent-pairings")]
    return [pairing for pairing in found if pairing["status"] != "revoked"]


def old(yard: Yard, name: str) -> list[dict[str, Any]]:
    return pairings(yard, f"did:peaq:{yard.accounts[name].address}")


def new(yard: Yard, name: str, more: str = "") -> list[dict[str, Any]]:
    return pairings(yard, f"did:peaq:{successor(yard, name, more).id}")


def quiet(yard: Yard) -> None:
    before = yard.footprint()
    again, plan = yard.run_as_is("apply", "--yes"), yard.run_as_is("plan", "--detailed-exitcode")
    assert (again.code, plan.code) == (0, 0), again.said + plan.said
    assert yard.footprint() == before


def did(yard: Yard, *arguments: str) -> str:
    ran = yard.run_as_is(*arguments)
    assert ran.code == 0, ran.said
    return ran.out


def edit(yard: Yard, before: str, after: str) -> None:
    text = yard.file.read_text()
    assert before in text
    yard.file.write_text(text.replace(before, after))


def lost(before: str, after: str) -> list[str]:
    """Lines that are not there any more, or not in their order."""
    found: Iterator[str] = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in found if line.startswith("-")]


def test_without_write_nothing_is_changed(yard: Yard) -> None:
    before, text = yard.footprint(), yard.file.read_text()
    shown = yard.run_as_is("migrate", "plan", "--deactivate")
    assert shown.code == 0, shown.said
    assert (yard.footprint(), yard.file.read_text()) == (before, text)
    assert "+  - name: air-001-v2" in shown.out
    assert "+    state: retired" in shown.out
    assert shown.out.splitlines()[-1].startswith("Plan: 8 to add, 2 to change, 6 to remove"), shown.out
    assert "(1 bond + " in shown.out
    assert "Nothing was changed; --write does it." in shown.err
    data = yard.run_as_is("migrate", "plan", "--output", "json").data
    assert data["successors"] == {"air-001": "air-001-v2", "air-002": "air-002-v2"}
    assert (data["retired"], data["written"], data["plan"]["summary"]["create"]) == ([], False, 8)
    yard.check_discreet(shown)


def test_a_machine_lives_on_under_v2_and_then_leaves_v1(yard: Yard) -> None:
    text, names = yard.file.read_text(), ("air-001", "air-002")
    did(yard, "migrate", "plan", "--write")
    assert lost(text, yard.file.read_text()) == []
    assert "metadata" in yard.file.read_text(), "what a template would say of another name is written out"
    did(yard, "apply", "--yes")
    for name in names:
        machine = successor(yard, name)
        assert machine.owner == machine.controller == yard.operator.address.lower()
        assert machine.read(REGISTRY, "credentialSubjectOf", "bytes").decode() == subject(yard, name)
        assert machine.endpoints == {
            "#documentation": f"https://docs.example.com/{name}",
            "#predecessor": f"did:peaq:{yard.accounts[name].address}",
        }
        (former,), (latter,) = old(yard, name), new(yard, name)
        assert latter["delegationPolicy"] == former["delegationPolicy"]
        assert (status(yard, name), yard.search(yard.token(name)), yard.search(yard.token(f"{name}-v2"))) == (
            1,
            201,
            201,
        )
    quiet(yard)

    text = yard.file.read_text()
    again = yard.run_as_is("migrate", "plan", "--write")
    assert (again.code, yard.file.read_text()) == (0, text)
    assert "Note: air-001 and 1 more: there is a successor already\nNothing to migrate." in again.err

    did(yard, "migrate", "plan", "--deactivate", "--write")
    assert lost(text, yard.file.read_text()) == []
    plan = did(yard, "plan")
    assert "the bond stays locked for ever" in plan.replace("\n", " ")
    tokens = {name: yard.token(name) for name in names}
    did(yard, "apply", "--yes")
    for name in names:
        number = yard.world.machine_id(yard.accounts[name].address)
        assert (status(yard, name), old(yard, name)) == (DEACTIVATED, [])
        assert int(yard.world.read(AT.identity_staking, "getStake(uint256)", number)) > 0
        assert yard.search(tokens[name]) != 201
        assert len(new(yard, name)) == 1
        assert yard.search(yard.token(f"{name}-v2")) == 201
    assert yard.effects()["activateMachine", ""] == 2
    assert yard.world.attribute(yard.operator.address, "machines") == "[]"
    quiet(yard)


def test_the_link_is_kept_and_shown(yard: Yard) -> None:
    did(yard, "migrate", "plan", "--write", "--only", "air-001")
    explained = " ".join(did(yard, "plan", "--explain").split())
    was = f"did:peaq:{yard.accounts['air-001'].address}"
    assert f"successorOf: {was}" in explained
    did(yard, "apply", "--yes")
    with sqlite3.connect(yard.journal) as journal:
        dump = "\n".join(journal.iterdump())
    assert was in dump[dump.index("machine_activation/air-001-v2") :]
    machines = {m["name"]: m for m in yard.run_as_is("status", "--output", "json").data["machines"]}
    assert machines["air-001-v2"]["successorOf"] == was
    assert machines["air-001"]["successorOf"] is None
    assert "in place of" in did(yard, "status")
    assert "air-002-v2" not in machines


def test_what_is_in_the_way_of_a_successor_holds_the_old_machine(yard: Yard, new_yard: MakeYard) -> None:
    """Whoever knows a machine may be first: what it was to be is somebody else's then."""
    did(yard, "migrate", "plan", "--write", "--deactivate")
    before = yard.world.attribute(yard.operator.address, "machines")
    stranger = new_yard(0)
    live_by_v2(stranger, "mine", credentialSubject=subject(yard, "air-001"))
    assert stranger.run("apply", "--yes").code == 0

    plan = yard.run_as_is("plan", "--output", "json").data
    changes = {change["address"]: change for change in plan["changes"]}
    for address in ("agent_pairing/air-001/ops", "machine_record/air-001", "machine_identity/air-001"):
        assert changes[address]["action"] == "blocked", address
        assert changes[address]["reason"].startswith("waits for "), changes[address]["reason"]
    assert "waits for machine_activation/air-001-v2, which is blocked" in changes["agent_pairing/air-001/ops"]["reason"]
    applied = yard.run_as_is("apply", "--yes")
    assert applied.code == 5, applied.said
    assert (status(yard, "air-001"), len(old(yard, "air-001"))) == (1, 1)
    assert (status(yard, "air-002"), old(yard, "air-002"), len(new(yard, "air-002"))) == (DEACTIVATED, [], 1)
    assert yard.world.attribute(yard.operator.address, "machines") == before, "who stays is not taken off the list"

    edit(yard, subject(yard, "air-001"), subject(yard, "air-001") + "/2")
    did(yard, "apply", "--yes")
    assert (status(yard, "air-001"), old(yard, "air-001"), len(new(yard, "air-001", "/2"))) == (DEACTIVATED, [], 1)
    quiet(yard)


def test_a_successor_that_fails_on_its_way_holds_the_old_machine(yard: Yard) -> None:
    did(yard, "migrate", "plan", "--write", "--deactivate", "--only", "air-001")
    before = yard.world.attribute(yard.operator.address, "machines")
    yard.world.well()
    yard.world.service_faults(
        {"action": "status", "status": 403, "method": "POST", "path": "*/agent-pairings", "count": 1}
    )
    applied = yard.run_as_is("apply", "--yes")
    assert applied.code == 5, applied.said
    assert successor(yard, "air-001").owner == yard.operator.address.lower()
    assert (status(yard, "air-001"), len(old(yard, "air-001")), new(yard, "air-001")) == (1, 1, [])
    assert yard.world.attribute(yard.operator.address, "machines") == before
    yard.world.well()
    did(yard, "apply", "--yes")
    assert (status(yard, "air-001"), old(yard, "air-001"), len(new(yard, "air-001"))) == (DEACTIVATED, [], 1)
    assert yard.effects()["activateMachine", ""] == 1


def test_killed_at_any_instant(new_yard: MakeYard, slow_world: World) -> None:
    yard = running(new_yard(2, world=slow_world))
    did(yard, "migrate", "plan", "--write", "--deactivate")
    names, instants, killed = ("air-001", "air-002"), random.Random(SEED), 0
    for _ in range(8):
        process = _spawned(yard)
        time.sleep(instants.uniform(0.8, 2.4))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        for name in names:
            assert old(yard, name) or new(yard, name), "somebody is always in service"
            assert status(yard, name) == 1 or new(yard, name)
    assert killed >= 2
    ran = yard.finish(_spawned(yard))
    assert ran.code == 0, ran.said
    for name in names:
        (paid,) = {
            successor(yard, name).read(SUBSCRIPTION, "subscriptions", "(uint8,uint64,uint64,uint256,uint256)")[3]
        }
        assert paid == yard.world.read(SUBSCRIPTION, "requiredPeaqAmount(uint8)", 0)
        assert (status(yard, name), old(yard, name), len(new(yard, name))) == (DEACTIVATED, [], 1)
        assert yard.search(yard.token(f"{name}-v2")) == 201
    assert yard.effects()["activateMachine", ""] == 2
    assert yard.run_as_is("plan", "--detailed-exitcode").code == 0


def _spawned(yard: Yard) -> Any:
    """An apply of the manifest as it stands."""
    text = yard.file.read_text()
    yard.save, kept = (lambda: yard.file.write_text(text)), yard.save  # type: ignore[method-assign]
    try:
        return yard.spawn("apply", "--yes")
    finally:
        yard.save = kept  # type: ignore[method-assign]
