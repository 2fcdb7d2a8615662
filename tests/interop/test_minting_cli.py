"""The command line of peaq's own packages for protocol v2, against the sandbox."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from interop_harness import World


@dataclass(frozen=True)
class Cli:
    program: Path
    environ: dict[str, str]
    home: Path

    def run(self, *arguments: str, expect: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            [str(self.program), *arguments], capture_output=True, text=True, timeout=120,
            env=self.environ, cwd=self.home, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == expect, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def activate(self, *options: str, expect: int = 0) -> dict[str, Any]:
        manufacturer = "0x" + "11" * 20
        given = ["--machine-type", "sensor", "--manufacturer", manufacturer, "--tier", "entry", "--skip-funding"]
        return self.run("activate", *given, "--did-document", "did.json", "--json", *options, expect=expect)


@pytest.fixture
def cli(agung: World, official_v2: Path, tmp_path: Path) -> Cli:
    key = "0x" + bytes(agung.operator().key).hex()
    private = {"HOME": str(tmp_path), "DO_NOT_TRACK": "1", "PATH": os.environ.get("PATH", "")}
    services = {
        "serviceEndpoints": [{"id": "#docs", "serviceType": "docs", "serviceEndpoint": "https://d.example.com"}]
    }
    document = {"verificationMethods": [], "authentication": [], **services}
    (tmp_path / "did.json").write_text(json.dumps(document))
    return Cli(official_v2.parent / "peaqos", {**agung.environ(key), **private}, tmp_path)


def test_activation_is_previewed_done_and_found_done(agung: World, cli: Cli) -> None:
    subject = ["--credential-subject-hex", Account.create().address]
    previewed = cli.activate(*subject, "--dry-run")
    done = cli.activate(*subject, "--yes")
    again = cli.activate(*subject, "--yes")
    answers = (previewed, done, again)
    assert [answer["status"] for answer in answers] == ["preview", "activated", "already_active"]
    assert len({answer["machine_id"] for answer in answers}) == 1
    status = cli.run("machine", "status", done["machine_id"], "--json")
    assert status["did_document"]["service_endpoints"][0]["service_endpoint"] == "https://d.example.com"
    assert (status["owner"], status["is_available"]) == (done["owner"], True)
    assert (status["subscription"]["status"], status["subscription"]["period_end"]) == ("active", done["period_end"])
    assert not any(status["pause_flags"].values())


def test_a_machine_that_pays_for_itself(agung: World, cli: Cli) -> None:
    machine = agung.operator()
    key = cli.home / "machine.key"
    key.touch(mode=0o600)
    key.write_text("0x" + bytes(machine.key).hex())
    given = ["--for", machine.address, "--machine-key", str(key)]
    done = cli.activate(*given, "--credential-subject-hex", Account.create().address, "--yes")
    assert (done["owner"], done["controller"] != done["owner"]) == (machine.address, True)
