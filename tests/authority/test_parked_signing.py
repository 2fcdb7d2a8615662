"""Machines whose keys are elsewhere: exported, signed there, sent from here; and everything that must be refused."""

import json
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e_harness import Ran, World, Yard
from eth_account import Account

from reconciler.adapters.signing import read_signed
from reconciler.core.signing import SignedTransactions, SigningRequest

MakeYard = Callable[..., Yard]
DEVICE = "DEVICE_KEY"
OWN = ("machineId", "nftTokenId", "operator", "documentation_url")


class Parked:
    """A fleet whose machines sign for themselves, somewhere else."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.request, self.signed = yard.root / "request.json", yard.root / "signed.json"

    def account(self, name: str) -> Any:
        return self.yard.accounts[name]

    def apply(self, *options: str) -> Ran:
        return self.yard.run("apply", "--yes", *options)

    def ask(self, *options: str) -> Ran:
        return self.yard.run("sign-request", "--out", str(self.request), *options)

    def sign(self, name: str, *options: str, out: Path | None = None) -> Ran:
        """On the device: nothing of the fleet is there but the request."""
        before, self.yard.environ = self.yard.environ, {DEVICE: "0x" + bytes(self.account(name).key).hex()}
        self.yard.file.rename(aside := self.yard.root / "aside.yaml")
        try:
            where = ["--out", str(out or self.signed)]
            return self.yard.run_as_is("sign", str(self.request), "--key", f"env:{DEVICE}", *where, *options)
        finally:
            self.yard.environ = before
            aside.rename(self.yard.file)

    def exported(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.request.read_text())
        return found

    def rewrite(self, change: Callable[[dict[str, Any]], None], *, honest: bool = True) -> None:
        """Change the request, its digest too where the forger is thorough."""
        data = self.exported()
        change(data)
        request = SigningRequest.model_validate(data)
        self.request.write_text(request.text() if honest else json.dumps(data))


@pytest.fixture
def parked(new_yard: MakeYard) -> Parked:
    """Two machines with addresses only, applied as far as that goes. Outside of Machine Markets: see the guide."""
    yard = new_yard(0)
    for name in ("air-001", "air-002"):
        entry = yard.add(name, key=False)
        del entry["key"], entry["pairings"]
        entry["market"] = None
    yard.machine("air-001")["v1"] = {"attributes": {"firmware": "2.4.1"}}
    found = Parked(yard)
    ran = found.apply()
    assert ran.code == 0, ran.said
    assert "2 parked" in ran.out, ran.out
    return found


def test_from_parked_to_converged(parked: Parked) -> None:
    yard = parked.yard
    before = yard.footprint()
    ran = parked.ask()
    assert ran.code == 0, ran.said
    assert yard.footprint() == before
    request = parked.exported()
    assert [t["machine"] for t in request["transactions"]] == ["air-001", "air-002"]
    first = request["transactions"][0]
    number = str(yard.world.machine_id(parked.account("air-001").address))
    assert [w["attribute"] for w in first["writes"]] == [*OWN, "firmware"]
    assert {"action": "add", "attribute": "machineId", "value": number} in first["writes"]
    assert (request["chainId"], first["nonce"], first["value"]) == (yard.world.info.chain_id, 0, "0")

    outs = []
    for name in ("air-001", "air-002"):
        outs.append(yard.root / f"{name}.signed.json")
        ran = parked.sign(name, out=outs[-1])
        assert ran.code == 0, ran.said
        yard.check_discreet(ran)
        assert ran.out == ""
        machine_id = yard.world.machine_id(parked.account(name).address)
        assert f"add DID attribute 'machineId' = '{machine_id}'" in ran.err
        assert stat.S_IMODE(outs[-1].stat().st_mode) == 0o600
        (transaction,) = SignedTransactions.model_validate_json(outs[-1].read_text()).transactions
        assert read_signed(transaction.raw)[0] == parked.account(name).address
    assert yard.footprint() == before

    ran = parked.apply(*(part for out in outs for part in ("--signed", str(out))))
    assert ran.code == 0, ran.said
    assert "2 done" in ran.out
    assert "parked" not in ran.out
    for name in ("air-001", "air-002"):
        account = parked.account(name).address
        assert yard.world.attribute(account, "machineId") == str(yard.world.machine_id(account))
        for attribute in OWN:
            assert yard.effects()["add", f"{account.lower()} {attribute}"] == 1
    assert yard.run("plan", "--detailed-exitcode").code == 0
    yard.check_quiet()
    yard.check_quiet("--signed", str(outs[0]))  # what was used up is no harm


def to_elsewhere(data: dict[str, Any]) -> None:
    data["transactions"][0]["to"] = "0x" + "ab" * 20


def other_words(data: dict[str, Any]) -> None:
    data["transactions"][0]["writes"][0]["value"] = "1"


def more_bytes(data: dict[str, Any]) -> None:
    data["transactions"][0]["data"] += "00" * 32


def somebody_else(data: dict[str, Any]) -> None:
    data["transactions"][0]["data"] = data["transactions"][1]["data"]
    data["transactions"][0]["writes"] = data["transactions"][1]["writes"]


def with_coins(data: dict[str, Any]) -> None:
    data["transactions"][0]["value"] = "1"


def another_chain(data: dict[str, Any]) -> None:
    data["chainId"] = 3338


def test_a_device_signs_nothing_but_what_it_is_told(parked: Parked) -> None:
    assert parked.ask().code == 0
    good = parked.request.read_text()
    refusals = {
        to_elsewhere: "which is not the DID precompile",
        other_words: "the request says one thing and the bytes another",
        more_bytes: "more than the arguments",
        somebody_else: "not of the signer",
        with_coins: "a batch that is sent coins",
        another_chain: "sandbox is chain 31338; the request says 3338",
    }
    for change, why in refusals.items():
        parked.request.write_text(good)
        parked.rewrite(change)
        ran = parked.sign("air-001")
        assert ran.code == 3, (change, ran.said)
        assert why in ran.err, (change, ran.err)
        parked.request.write_text(good)
        parked.rewrite(change, honest=False)
        assert "its digest does not fit" in parked.sign("air-001").err
    parked.request.write_text(good)
    assert "for chain 31338, not 3338" in parked.sign("air-001", "--chain-id", "3338").err
    stranger = parked.yard.accounts["stranger"] = Account.create()
    ran = parked.sign("stranger")
    assert (ran.code, f"the key is that of {stranger.address}" in ran.err) == (3, True), ran.said
    # The key itself, given where its place belongs, is not repeated.
    key = "0x" + bytes(parked.account("air-001").key).hex()
    ran = parked.yard.run("sign", str(parked.request), "--key", key, "--out", str(parked.signed))
    assert ran.code == 64, ran.said
    assert key[2:] not in ran.said
    assert not parked.signed.exists()
    assert parked.sign("air-001", "--chain-id", "31338").code == 0


def change_raw(data: dict[str, Any], keys: dict[str, Any]) -> None:
    raw = data["transactions"][0]["raw"]
    data["transactions"][0]["raw"] = raw[:-8] + ("00000001" if raw[-8:] != "00000001" else "00000002")


def change_machine(data: dict[str, Any], keys: dict[str, Any]) -> None:
    data["transactions"][0]["machine"] = "air-002"


def change_chain(data: dict[str, Any], keys: dict[str, Any]) -> None:
    data["chainId"] = 3338


def sign_for_elsewhere(data: dict[str, Any], keys: dict[str, Any]) -> None:
    transaction = {"chainId": 1, "nonce": 0, "to": "0x" + "11" * 20, "value": 0, "data": "0x", "gas": 21000}
    signed = keys["air-001"].sign_transaction({**transaction, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1})
    data["transactions"][0]["raw"] = "0x" + bytes(signed.raw_transaction).hex()


def test_apply_takes_nothing_that_was_changed(parked: Parked) -> None:
    assert parked.ask().code == 0
    assert parked.sign("air-001").code == 0
    good, before = parked.signed.read_text(), parked.yard.footprint()
    for change in (change_raw, change_machine, change_chain, sign_for_elsewhere):
        data = json.loads(good)
        change(data, parked.yard.accounts)
        parked.signed.write_text(json.dumps(data))
        assert "its digest does not fit" in parked.apply("--signed", str(parked.signed)).err
        parked.signed.write_text(SignedTransactions.model_validate(data).text())
        ran = parked.apply("--signed", str(parked.signed))
        assert ran.code == 3, (change, ran.said)
        assert "Traceback" not in ran.said
        assert parked.yard.footprint() == before
    assert "is no SignedTransactions" in parked.apply("--signed", str(parked.request)).err
    parked.signed.write_text(good)
    parked.yard.manifest["guards"] = {"maxFee": "1 wei"}
    ran = parked.apply("--signed", str(parked.signed))
    assert (ran.code, "guards.maxFee" in ran.err) == (4, True), ran.said
    assert parked.yard.footprint() == before


def used_nonce(parked: Parked) -> str:
    parked.yard.world.send(parked.account("air-001"), parked.account("air-001").address)
    return "the account's next nonce is 1"


def other_wish(parked: Parked) -> str:
    parked.yard.machine("air-001")["metadata"] = {"documentationUrl": "https://new.example.com"}
    return "the plan wants something else written now"


@pytest.mark.parametrize("happened", [used_nonce, other_wish])
def test_what_is_stale_is_not_sent_and_stops_nobody(parked: Parked, happened: Callable[[Parked], str]) -> None:
    yard, air1, air2 = parked.yard, parked.account("air-001"), parked.account("air-002")
    assert parked.ask().code == 0
    second = yard.root / "second.json"
    assert parked.sign("air-001").code == parked.sign("air-002", out=second).code == 0
    why = happened(parked)
    ran = parked.apply("--signed", str(parked.signed), "--signed", str(second))
    assert ran.code == 5, ran.said
    assert f"what machine/air-001 signed (nonce 0) is stale: {why}" in ran.out
    assert "make a new request" in ran.out
    assert yard.world.attribute(air1.address, "machineId") is None
    assert yard.world.attribute(air2.address, "machineId") is not None
    assert parked.ask().code == 0
    assert [t["machine"] for t in parked.exported()["transactions"]] == ["air-001"]
    assert parked.sign("air-001").code == 0
    ran = parked.apply("--signed", str(parked.signed))
    assert ran.code == 0, ran.said
    assert yard.world.attribute(air1.address, "machineId") is not None
    yard.check_quiet()


def killed_when_sending(parked: Parked, fault: str) -> None:
    """Apply what was signed, and kill it when it hands the transaction over, to a node that hears it or does not."""
    world = parked.yard.world
    world.rpc_faults({"action": fault, "method": "eth_sendRawTransaction", "count": None})
    process = parked.yard.spawn("apply", "--yes", "--signed", str(parked.signed))
    end = time.monotonic() + 30
    while not struck(world, fault):
        assert time.monotonic() < end, process.poll()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    world.well()


def struck(world: World, fault: str) -> bool:
    rules = world.http.get(f"{world.info.url}/sandbox/faults/rpc").json()["rules"]
    return any(rule["action"] == fault and rule["struck"] for rule in rules)


@pytest.mark.parametrize(("fault", "sent"), [("dropBefore", 0), ("dropAfter", 1)])
@pytest.mark.parametrize("again", [False, True])
def test_killed_and_run_again_it_is_sent_once(parked: Parked, fault: str, sent: int, again: bool) -> None:
    yard, account = parked.yard, parked.account("air-001").address
    assert parked.ask("--machine", "air-001").code == 0
    assert parked.sign("air-001").code == 0
    killed_when_sending(parked, fault)
    assert yard.world.nonce(account) == sent
    ran = parked.apply(*(("--signed", str(parked.signed)) if again else ()))
    assert ran.code == 0, ran.said
    assert yard.effects()["add", f"{account.lower()} machineId"] == 1
    assert yard.world.nonce(account) == 1
    assert "1 parked" in ran.out  # the other one
    yard.check_quiet()


def test_bytes_that_nobody_wants_and_nobody_can_cancel_stop_nobody(parked: Parked) -> None:
    yard, account = parked.yard, parked.account("air-001").address
    assert parked.ask("--machine", "air-001").code == 0
    assert parked.sign("air-001").code == 0
    killed_when_sending(parked, "dropBefore")
    del yard.machine("air-001")["v1"]
    yard.add("air-003")["market"] = None
    del yard.machine("air-003")["pairings"]
    ran = parked.apply()
    assert ran.code == 0, ran.said
    assert "is not wanted any more" in ran.err
    assert (yard.world.nonce(account), yard.world.nonce(parked.account("air-003").address)) == (0, 1)
    assert parked.ask("--machine", "air-001").code == 0
    assert parked.sign("air-001").code == 0
    ran = parked.apply("--signed", str(parked.signed))
    assert ran.code == 0, ran.said
    assert yard.world.nonce(account) == 1
    assert parked.apply().code == 0
    yard.check_quiet()


def test_who_has_nothing_to_sign_yet_is_told_why(parked: Parked) -> None:
    yard = parked.yard
    entry = yard.add("air-003", key=False)
    del entry["key"], entry["pairings"]
    entry["market"] = None
    ran = parked.ask()
    assert ran.code == 5, ran.said
    assert "air-003  not exported: apply first" in ran.out
    assert len(parked.exported()["transactions"]) == 2
    assert parked.ask("--machine", "air-009").code == 3
    del yard.manifest["v1"]["funding"]
    ran = parked.ask("--machine", "air-001", "--fee-headroom", "1000")
    assert ran.code == 5, ran.said
    assert "send it the difference" in ran.out
    yard.world.fund(parked.account("air-001").address, 0.001)
    ran = parked.ask("--machine", "air-001")
    assert ran.code == 5, ran.said
    assert "air-001  not exported: blocked: InsufficientBalance" in ran.out
    yard.manifest["machines"] = yard.manifest["machines"][:2]
    assert parked.ask("--machine", "air-002").code == 0


def test_a_wallet_that_has_run_dry_is_filled_before_what_was_signed_is_sent(parked: Parked) -> None:
    yard, account = parked.yard, parked.account("air-001").address
    yard.world.fund(account, 0.001)
    ran = parked.ask("--machine", "air-001", "--output", "json")
    assert ran.code == 0, ran.said
    assert ran.data["transactions"] == parked.exported()["transactions"]
    assert ran.data["left"] == {}
    assert parked.sign("air-001").code == 0
    ran = parked.apply("--signed", str(parked.signed))
    assert ran.code == 0, ran.said
    assert yard.effects()["transfer", account.lower()] == 2
    assert yard.world.attribute(account, "machineId") is not None
    yard.check_quiet()


def test_call_by_call_where_batches_cannot_be_used(parked: Parked) -> None:
    assert parked.ask("--machine", "air-001", "--no-batch").code == 0
    nonces = [t["nonce"] for t in parked.exported()["transactions"]]
    assert nonces == list(range(len(OWN) + 1))
    assert parked.sign("air-001").code == 0
    ran = parked.apply("--no-batch", "--signed", str(parked.signed))
    assert ran.code == 0, ran.said
    assert parked.yard.world.nonce(parked.account("air-001").address) == len(OWN) + 1
    parked.yard.check_quiet()


def test_enrolment_waits_for_the_machines_own_key_and_is_no_failure(new_yard: MakeYard) -> None:
    """A challenge is short-lived, so it is never exported; see the guide."""
    parked = Parked(yard := new_yard(0))
    yard.add("air-001", key=False)
    assert parked.apply().code == 0
    assert parked.ask().code == 0
    assert parked.sign("air-001").code == 0
    ran = parked.apply("--signed", str(parked.signed))
    assert ran.code == 0, ran.said
    address = parked.account("air-001").address
    assert f"machine_record/air-001: parked: the challenge wants a signature of {address.lower()}" in ran.out, ran.out
    assert "1 done, 3 parked" in ran.out
    yard.write_key("air-001", parked.account("air-001"))
    ran = parked.apply()
    assert ran.code == 0, ran.said
    yard.check_converged()
