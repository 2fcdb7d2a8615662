"""Which machines get a successor and on what terms, and what is refused."""

import re
from collections.abc import Callable

import pytest
from e2e_harness import AT, Yard
from test_migrate import DEACTIVATED, as_text, did, edit, new, old, quiet, running, status, subject, successor

from reconciler.core.exits import Exit

MakeYard = Callable[..., Yard]


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    return running(new_yard(1))


def test_those_without_an_identity_of_ours_get_none_and_are_told(new_yard: MakeYard) -> None:
    yard, stranger = new_yard(2), new_yard(1)
    assert stranger.run("apply", "--yes").code == 0
    running(yard)
    yard.machine("air-002")["suspended"] = True
    yard.add("new")
    yard.add("theirs")["address"] = stranger.accounts["air-001"].address
    del yard.machine("theirs")["key"]
    as_text(yard)
    shown = yard.run_as_is("migrate", "plan", "--write")
    assert shown.code == 0, shown.said
    assert "Note: air-002: it is suspended\n" in shown.err
    assert "Note: new: it is not registered\n" in shown.err
    assert (
        f"note: theirs: it is registered by another operator, {stranger.operator.address.lower()}" in shown.err.lower()
    )
    assert re.findall(r"successorOf: (\S+)", yard.file.read_text()) == ["air-001"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--owner", "0x" + "1" * 40), Exit.USAGE, "--owner and --custody handover belong together"),
        (("--custody", "handover"), Exit.USAGE, "--owner and --custody handover belong together"),
        (("--custody", "handover", "--owner", "0x12"), Exit.USAGE, "'0x12' is not an address"),
        (("--name", "air-001"), Exit.INVALID, "the successor of air-001 cannot be called 'air-001'"),
        (("--name", "two", "--custody", "machine", "--machine-type", "x" * 3000), Exit.INVALID, "no such manifest"),
        (("--name", "no spaces"), Exit.INVALID, "say another --name with {name} in it"),
        (("--only", "air-009"), Exit.INVALID, "--only machine=air-009 matches nothing"),
    ],
)
def test_what_cannot_be_asked(yard: Yard, arguments: tuple[str, ...], code: int, said: str) -> None:
    text = yard.file.read_text()
    ran = yard.run_as_is("migrate", "plan", "--write", *arguments)
    assert ran.code == code, ran.said
    assert said in ran.err
    assert yard.file.read_text() == text


def test_a_chain_without_the_contracts_of_v2_is_told_before_anything_is_written(yard: Yard) -> None:
    contracts = {"identityRegistry": AT.identity_registry, "identityStaking": AT.identity_staking}
    contracts |= {"machineNft": AT.machine_nft}
    info = yard.world.info
    yard.manifest["network"] = {"rpcUrl": info.rpc_url, "chainId": info.chain_id, "contracts": contracts}
    yard.manifest["protocol"] = "v1"
    as_text(yard)
    text = yard.file.read_text()
    ran = yard.run_as_is("migrate", "plan", "--write")
    assert ran.code == Exit.INVALID, ran.said
    assert "no such manifest can be written: protocol v2 needs the addresses of infoDesk" in ran.err
    assert yard.file.read_text() == text


def test_what_the_chain_would_say_falsely_for_ever_is_never_written_there(yard: Yard) -> None:
    did(yard, "migrate", "plan", "--write", "--deactivate")
    right = subject(yard, "air-001")
    number = yard.world.machine_id(yard.accounts["air-001"].address)
    edit(yard, right, right.replace(f":{number}:", f":{number + 1}:"))
    applied = yard.run_as_is("apply", "--yes")
    assert applied.code == Exit.PARTLY, applied.said
    said = f"its credentialSubject says machine id {number + 1}, and air-001 is {number}"
    assert said in " ".join(applied.out.split())
    assert yard.effects()["activateMachine", ""] == 0
    assert (status(yard, "air-001"), len(old(yard, "air-001"))) == (1, 1)


def test_a_saved_plan_of_the_whole_of_it(yard: Yard) -> None:
    did(yard, "migrate", "plan", "--write", "--deactivate")
    did(yard, "plan", "--out", str(yard.root / "plan.json"))
    did(yard, "apply", str(yard.root / "plan.json"), "--yes")
    assert (status(yard, "air-001"), old(yard, "air-001"), len(new(yard, "air-001"))) == (DEACTIVATED, [], 1)
    again = did(yard, "apply", str(yard.root / "plan.json"), "--yes")
    assert "the saved plan is finished" in again
    quiet(yard)


def test_a_successor_that_owns_itself_has_a_key_of_its_own(yard: Yard) -> None:
    shown = yard.run_as_is("migrate", "plan", "--write", "--custody", "machine")
    assert shown.code == 0, shown.said
    assert "make their keys with `fleetctl keys generate`" in shown.err
    did(yard, "keys", "generate")
    found = re.search(r"name: air-001-v2\n +address: \"(0x\w{40})\"", yard.file.read_text())
    assert found, yard.file.read_text()
    yard.world.fund(found[1], 5)
    did(yard, "apply", "--yes")
    machine = successor(yard, "air-001")
    assert (machine.owner, machine.controller) == (found[1].lower(), yard.operator.address.lower())
    quiet(yard)


def test_a_machine_that_cannot_be_read_is_not_left_out_in_silence(yard: Yard) -> None:
    text = yard.file.read_text()
    yard.world.rpc_faults({"action": "error", "code": -32603, "message": "busy", "method": "eth_call", "count": None})
    ran = yard.run_as_is("migrate", "plan", "--write", "--timeout", "2")
    assert ran.code == Exit.ERROR, ran.said
    assert yard.file.read_text() == text
    assert "Traceback" not in ran.said
    yard.world.well()
    did(yard, "migrate", "plan", "--write")
