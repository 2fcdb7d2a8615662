"""The SDK of protocol v2, as it was published, against the sandbox's own contracts and services."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from interop_harness import PEAQ, Official, Refused, World

from reconciler.sandbox.config import PEAQ_CHAIN_ID
from reconciler.sandbox.lifecycle import running
from reconciler.sandbox.node import free_port

YEAR = 365 * 24 * 3600


def key_of(account: LocalAccount) -> str:
    return "0x" + bytes(account.key).hex()


@pytest.fixture(scope="module")
def official(agung: World, official_v2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Official]:
    environ = agung.environ(key_of(agung.operator()))
    with Official(official_v2, environ, tmp_path_factory.mktemp("minting"), ["minting"]) as found:
        yield found


def subject() -> str:
    return f"serial {Account.create().address}"


def test_a_machine_from_preview_to_renewal(agung: World, official: Official) -> None:
    controller, named = agung.operator(), subject()
    before = official.call("preview", subject=named, controller=controller.address)
    assert (before["bond_amount"], before["approval_required"]) == (PEAQ // 2, True)
    made = official.call("activate", subject=named, controller=controller.address)
    assert (made["id"], made["net"]) == (before["machine_id"], PEAQ // 2)
    state = official.call("state", machine_id=made["id"])
    assert (state["owner"], state["is_available"], state["home_chain_id"]) == (made["owner"], True, 1)
    assert state["controller"] == controller.address
    key = key_of(controller)
    assert official.call("suspend_and_resume", machine_id=made["id"], key=key) == [True, False]
    endpoints = [["#docs", "documentation", "https://docs.example.com/b"], ["#data", "data", "https://d.example.com"]]
    seen = official.call("set_endpoints", machine_id=made["id"], endpoints=endpoints, key=key)
    assert [list(endpoint.values()) for endpoint in seen] == endpoints
    renewed = official.call("renew", machine_id=made["id"], key=key)
    assert (renewed["after"] - renewed["before"], renewed["net"]) == (YEAR, PEAQ // 2)


def test_what_it_refuses(agung: World, official: Official) -> None:
    controller, named = agung.operator(), subject()
    made = official.call("activate", subject=named, controller=controller.address)
    with pytest.raises(Refused) as again:
        official.call("activate", subject=named, controller=controller.address)
    assert again.value.code == "CONTRACT_REVERTED"
    with pytest.raises(Refused) as missing:
        official.call("state", machine_id=7)
    assert missing.value.code == "MACHINE_NOT_FOUND"
    with pytest.raises(Refused) as barred:
        official.call("set_controller", machine_id=made["id"], controller=controller.address, key=key_of(controller))
    assert barred.value.code == "NOT_MACHINE_OWNER"
    stranger = agung.operator()
    with pytest.raises(Refused) as foreign:
        official.call("renew", machine_id=made["id"], key=key_of(stranger))
    assert foreign.value.code == "NOT_OWNER_OR_CONTROLLER"


def test_vouchers_pauses_and_a_missing_price(agung: World, official: Official) -> None:
    controller = agung.operator()
    owner = official.call("activate", subject=subject(), controller=controller.address)["owner"]
    agung.control("setVoucher", address=owner, wei=str(PEAQ // 5))
    made = official.call("activate", subject=subject(), controller=controller.address)
    assert made["net"] == PEAQ // 2 - PEAQ // 5
    agung.control("setPeaqPrice", usd="0")
    with pytest.raises(Refused) as priceless:
        official.call("preview", subject=subject(), controller=controller.address)
    agung.control("setPeaqPrice", usd=str(PEAQ // 25))
    assert priceless.value.code == "PRICE_NOT_AVAILABLE"
    agung.control("setTechnicalPausedGlobal", paused=True)
    with pytest.raises(Refused) as paused:
        official.call("activate", subject=subject(), controller=controller.address)
    agung.control("setTechnicalPausedGlobal", paused=False)
    assert paused.value.code == "TECHNICALLY_PAUSED"
    agung.control("setGeneralPaused", machineId=str(made["id"]), paused=True)
    state = official.call("state", machine_id=made["id"])
    assert (state["is_available"], state["pause_flags"]["is_general_paused"]) == (False, True)


@pytest.mark.parametrize("form", ["did:peaq:{}", "peaqos:machine:{}"])
def test_a_machine_and_its_agent_in_the_market(agung: World, official: Official, form: str) -> None:
    controller = agung.operator()
    made = official.call("activate", subject=subject(), controller=controller.address)
    did, machine_id = f"did:peaq:{made['id']}", str(made["id"])
    stranger = key_of(Account.create())
    with pytest.raises(Refused):
        official.call("enrol", machine_id=machine_id, reference=did, key=stranger)
    record = official.call("enrol", machine_id=machine_id, reference=form.format(made["id"]), key=key_of(controller))
    assert (record["status"], record["ref"], record["listed"]) == ("active", did, True)
    assert record["controllers"] == [controller.address]
    pairing = official.call("pair", record=record["id"], agent_key=key_of(Account.create()))
    assert pairing == {"status": "active", "ref": did, "token": True}


def test_its_rating_is_read_where_the_client_pins_peaq(official_v2: Path, tmp_path: Path) -> None:
    """Chain 3338 with new keys only: what is signed here would be valid there."""
    with running(tmp_path / "peaq", port=free_port(), chain_id=PEAQ_CHAIN_ID) as info, World(info) as peaq:
        operator = peaq.operator()
        home = tmp_path / "home"
        home.mkdir()
        with Official(official_v2, peaq.environ(key_of(operator)), home, ["minting"]) as official:
            owned = official.call("activate", subject=subject(), controller=Account.create().address)
            found = official.call("rate", machine_id=owned["id"])
    assert (found["card"]["mcr"], found["card"]["machine_id"]) == ("Provisioned", owned["id"])
    assert found["profile"]["peaqos"]["did"] == f"did:peaq:{owned['id']}"
    assert [machine["machine_id"] for machine in found["fleet"]["machines"]] == [owned["id"]]
