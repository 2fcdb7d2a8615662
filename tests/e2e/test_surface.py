"""What scripts and people get: JSON, streams, options, exit codes, and never a secret."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from e2e_harness import Ran, Yard

MakeYard = Callable[..., Yard]


def test_plan_as_json(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    ran = yard.run("plan", "--output", "json")
    assert ran.code == 0, ran.said
    assert ran.data["formatVersion"] == "1.1"
    assert set(ran.data) >= {"fleet", "network", "digest", "summary", "changes", "cost", "notices", "refusals"}
    assert ran.data["summary"]["create"] == 14
    assert ran.data["cost"]["operator/default"]["bond"] == str(3 * 10**18)
    assert all(isinstance(wei, str) for cost in ran.data["cost"].values() for wei in cost.values())
    assert "Never" not in ran.out
    again = yard.run("--output", "json", "plan")
    assert again.data["digest"] == ran.data["digest"]


def test_apply_and_errors_as_json(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    ran = yard.run("apply", "--yes", "--output=json")
    assert ran.code == ran.data["exitCode"] == 0, ran.said
    assert {o["outcome"] for o in ran.data["result"]["outcomes"]} == {"done"}
    _, transactions, _ = yard.world.effects(yard.senders(), yard.since)
    assert ran.data["result"]["transactions"] == transactions
    quiet = yard.run("apply", "--yes", "--output=json")
    assert quiet.data["result"] == {**quiet.data["result"], "outcomes": [], "transactions": 0, "writes": 0}

    refused = yard.run("apply", "--output=json")
    assert refused.code == refused.data["exitCode"] == 3
    yard.manifest["guards"] = {"maxSpend": "0.1 PEAQ"}
    yard.add("air-009")
    refused = yard.run("apply", "--yes", "--output", "json")
    assert refused.code == refused.data["exitCode"] == 4
    assert refused.data["error"]["code"] == "plan.unsafe"
    yard.manifest["machines"][0]["nam"] = 1
    refused = yard.run("plan", "--output", "json")
    assert refused.code == refused.data["exitCode"] == 3
    problem = refused.data["error"]["problems"][0]
    assert problem["line"] > 0
    assert "`nam`" in problem["message"]


def test_streams_colours_and_options_anywhere(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.save()
    plain = yard.run_as_is("plan", "--no-color")
    assert "\x1b" not in plain.said
    assert plain.out.splitlines()[-1].startswith("Plan: ")
    given = ["-f", str(yard.file)]
    environ = {"PATH": os.environ["PATH"], **yard.environ}
    for arguments in (["plan", *given], [*given, "plan"]):
        command = [sys.executable, "-m", "reconciler", *arguments]
        done = subprocess.run(
            command, env={**environ, "NO_COLOR": "1"}, text=True, capture_output=True, check=False, cwd=yard.root.parent
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == plain.out
    here = subprocess.run(
        [sys.executable, "-m", "reconciler", "plan", "-q"], env=environ, text=True, capture_output=True, check=False,
        cwd=yard.root,
    )  # fmt: skip
    assert (here.returncode, here.stdout, here.stderr) == (0, plain.out, "")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["plan", "--nonsense"], ["apply", "--timeout", "never"], ["keys", "x"]]
)
def test_a_mistyped_command_is_64(new_yard: MakeYard, arguments: list[str]) -> None:
    ran = new_yard(0).run(*arguments)
    assert ran.code == 64, ran.said
    assert ran.out == ""
    assert "Error: " in ran.err


def test_secrets_are_never_shown_nor_kept(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    yard.manifest["operator"]["totp"] = {"env": "PEAQOS_TOTP_SECRET"}
    ran: list[Ran] = [
        yard.run("validate", "-v", "--debug"),
        yard.run("plan", "-vv", "--debug"),
        yard.run("plan", "--output", "json"),
        yard.run("apply", "--yes", "-v", "--debug"),
    ]
    assert [r.code for r in ran] == [0, 0, 0, 0], ran[-1].said
    yard.manifest["delegationPolicies"]["small"]["dailySpendLimit"] = 20
    old = yard.secrets()
    ran.append(yard.run("apply", "--yes", "-v", "--debug", "--output", "json"))
    yard.environ["PEAQOS_API_KEY"] += "-wrong"
    ran.append(yard.run("apply", "--yes", "-v", "--debug"))
    assert [r.code for r in ran[4:]] == [0, 5]
    secrets = {**{f"old {name}": secret for name, secret in old.items()}, **yard.secrets()}
    assert len(set(secrets.values())) == 10
    state = b"".join(path.read_bytes() for path in yard.journal.parent.glob("journal.sqlite*"))
    locks = b"".join(path.read_bytes() for path in (yard.home / "state").rglob("*") if path.is_file())
    assert state
    for name, secret in secrets.items():
        assert secret.encode() not in state + locks, f"{name} is kept"
        if "key of" in name:
            assert bytes.fromhex(secret) not in state + locks, f"{name} is kept"
        for each in ran:
            assert secret.lower() not in each.said.lower(), f"{name} is shown"
    for path in (yard.journal, *yard.tokens().iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path
    assert json.loads(ran[2].out)["fleet"] == yard.name
