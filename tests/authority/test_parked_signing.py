"""Machines whose keys are elsewhere: exported, signed there, sent from here; and everything that must be refused."""

import json
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e_harness import Ran, World, Yard, writes
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
    assert [w["attribute"] for w in first["writes"]] == list(OWN)
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


