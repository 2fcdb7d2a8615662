"""Keys are made once, kept encrypted where that is wanted, and their addresses are never lost."""

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e_harness import Yard
from eth_account import Account
from ruamel.yaml import YAML

from reconciler.adapters.key_files import generate
from reconciler.adapters.secrets import Secrets
from reconciler.core.fleet import KeyRef, SecretRef

PASSWORD = "correct horse canary"


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encryption as in earnest costs a second for each key."""
    encrypt = Account.encrypt
    monkeypatch.setattr(Account, "encrypt", lambda key, password: encrypt(key, password, kdf="pbkdf2", iterations=10))


def without_addresses(yard: Yard, *names: str) -> None:
    """Machines whose keys are to be made into keystores."""
    for name in names:
        yard.add(name, key=False)
        entry = yard.machine(name)
        del entry["address"]
        entry["key"] = {"keystore": f"keys/{name}.json", "password": {"env": "MACHINE_PASSWORD"}}
    yard.environ["MACHINE_PASSWORD"] = PASSWORD


def addresses(yard: Yard) -> dict[str, str | None]:
    return {m["name"]: m.get("address") for m in written(yard)["machines"]}


def written(yard: Yard) -> Any:
    """The manifest as it is in its file."""
    return YAML(typ="safe", pure=True).load(yard.file.read_text())


def test_a_keystore_is_made_once_and_signs(new_yard: Callable[..., Yard]) -> None:
    yard = new_yard(0)
    without_addresses(yard, "air-001", "air-002")
    ran = yard.run("keys", "generate")
    assert ran.code == 0, ran.said
    found = addresses(yard)
    kept = {}
    for name, address in found.items():
        path = yard.root / "keys" / f"{name}.json"
        kept[name] = path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        key = Account.decrypt(kept[name], PASSWORD)
        assert Account.from_key(key).address == address
        assert bytes(key).hex() not in kept[name] + ran.said
        assert PASSWORD not in ran.said
        assert f"{name}  {address}  {path}" in ran.out
        yard.accounts[name] = Account.from_key(key)
    assert found["air-001"] != found["air-002"]

    assert "Nothing to make" in yard.run_as_is("keys", "generate").err
    yard.manifest = written(yard)
    del yard.machine("air-001")["address"]  # the address is lost, the key is not
    assert yard.run("keys", "generate").code == 0
    assert addresses(yard) == found
    assert {name: (yard.root / "keys" / f"{name}.json").read_text() for name in kept} == kept

    yard.manifest = written(yard)
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    yard.check_converged()


def test_without_the_password_nothing_is_made(new_yard: Callable[..., Yard]) -> None:
    yard = new_yard(0)
    without_addresses(yard, "air-001")
    del yard.environ["MACHINE_PASSWORD"]
    ran = yard.run("keys", "generate")
    assert ran.code == 3, ran.said
    assert "MACHINE_PASSWORD is not set" in ran.err
    assert not list((yard.root / "keys").glob("air*"))
    assert addresses(yard) == {"air-001": None}
    del yard.machine("air-001")["key"]["password"]
    ran = yard.run("keys", "generate")
    assert (ran.code, "password" in ran.err) == (3, True), ran.said
    assert not list((yard.root / "keys").glob("air*"))


def test_a_wrong_password_makes_no_second_key(new_yard: Callable[..., Yard]) -> None:
    yard = new_yard(0)
    without_addresses(yard, "air-001")
    path = yard.root / "keys" / "air-001.json"
    account = Account.create()
    path.write_text(json.dumps(Account.encrypt(account.key, "another")))
    path.chmod(0o600)
    before = path.read_text()
    ran = yard.run("keys", "generate")
    assert ran.code == 3, ran.said
    assert "does not open with its password" in ran.err
    assert (path.read_text(), addresses(yard)) == (before, {"air-001": None})


@pytest.mark.parametrize("keystore", [True, False])
def test_of_two_who_make_one_key_both_end_with_the_first(
    tmp_path: Path, keystore: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = {"keystore": "a.key", "password": SecretRef(env="PW")} if keystore else {"file": "a.key"}
    ref, secrets = KeyRef(**where), Secrets(tmp_path, {"PW": PASSWORD})  # type: ignore[arg-type]
    create, rivals = Account.create, []

    def overtaken() -> object:
        monkeypatch.setattr(Account, "create", create)
        rivals.append(generate(secrets, ref, "a"))
        return create()

    monkeypatch.setattr(Account, "create", overtaken)
    mine = generate(secrets, ref, "a")
    assert rivals == [mine]
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]


def test_addresses_are_recorded_even_if_nobody_reads_on(new_yard: Callable[..., Yard]) -> None:
    yard = new_yard(0)
    for number in range(300):
        name = f"air-{number:03}"
        yard.manifest["machines"].append({"name": name, "key": {"file": f"keys/{name}.key"}})
    process = yard.spawn("keys", "generate")
    head = subprocess.run(["head", "-1"], stdin=process.stdout, capture_output=True, text=True, check=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(30) == 0, said
    assert "Traceback" not in said
    found = addresses(yard)
    assert head.stdout.split()[:2] == ["air-000", found["air-000"]]
    for name, address in found.items():
        assert Account.from_key((yard.root / "keys" / f"{name}.key").read_text().strip()).address == address
