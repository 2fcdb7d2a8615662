"""What comes before a plan: a new fleet, a shell that completes, a first line at once. No chain is needed."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_harness import heard

from reconciler.cli.kits import kit
from reconciler.cli.main import run

ROOT = Path(__file__).parents[2]
FLEETCTL = f'#!/bin/sh\nexec "{sys.executable}" -m reconciler "$@"\n'
STARTS = [["--help"], ["init", "new", "--yes"]]


def fleetctl(*arguments: str, cwd: Path | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reconciler", *arguments]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def good(directory: Path) -> None:
    manifest = str(directory / "fleet.yaml")
    assert run(["validate", "-f", manifest]) == 0
    assert run(["fmt", "--check", "-f", manifest]) == 0


@pytest.mark.parametrize("protocol", ["v1", "v2"])
@pytest.mark.parametrize("network", ["sandbox", "peaq", "agung"])
@pytest.mark.parametrize("name", ["007", "1e3", "no", "berlin-air", "null", "a.b"])
def test_a_new_fleet_is_valid_and_in_its_usual_form(tmp_path: Path, network: str, name: str, protocol: str) -> None:
    directory = tmp_path / "new"
    options = ["--name", name, "--network", network, "--protocol", protocol, "--ci", "github"]
    assert run(["init", str(directory), "--yes", *options]) == 0
    good(directory)
    assert (directory / "schemas/fleet.schema.json").read_text() == (ROOT / "schemas/fleet.schema.json").read_text()
    assert {".fleetctl/", "keys/", "secrets/"} <= set((directory / ".gitignore").read_text().split())
    written = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert set(kit("github", network)) <= written
    assert (".github/workflows/fleet-apply.yml" in written) == (network != "sandbox")


@pytest.mark.parametrize("table", [None, f"serial,address\nx1,0x{7:040x}\n", "serial,site\nx1,roof\n"])
@pytest.mark.parametrize(
    ("key", "protocol"), [("file:keys/a b.key", "v1"), ("keystore:keys/op.json", "v1"), ("env:KEY", "v2")]
)
def test_machines_come_from_a_table(tmp_path: Path, table: str | None, key: str, protocol: str) -> None:
    if table is not None:
        (tmp_path / "all.csv").write_text(table)
    options = ["--machines", "all.csv", "--operator-key", key, "--ci", "gitlab", "--protocol", protocol]
    assert run(["init", str(tmp_path), "--yes", *options]) == 0
    good(tmp_path)
    assert "ci/gitlab/check.gitlab-ci.yml" in (tmp_path / ".gitlab-ci.yml").read_text()
    assert table is None or (tmp_path / "all.csv").read_text() == table


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    for name in ("fleet.yaml", ".gitignore"):
        (tmp_path / name).write_text("mine\n")
    done = fleetctl("init", "--yes", cwd=tmp_path)
    assert done.returncode == 0
    assert "left alone fleet.yaml" in done.stderr
    assert [(tmp_path / name).read_text() for name in ("fleet.yaml", ".gitignore")] == ["mine\n", "mine\n"]


def test_quiet_is_quiet_and_json_is_json(tmp_path: Path) -> None:
    done = fleetctl("init", "--yes", "-q", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = fleetctl("validate", "--output", "json", cwd=tmp_path)
    assert done.stderr == ""
    counts = {"machines": 3, "agents": 0, "operators": 1}
    assert json.loads(done.stdout) == {"formatVersion": "1.0", "valid": True, **counts}


def test_without_a_terminal_it_asks_nothing(tmp_path: Path) -> None:
    assert fleetctl("init", cwd=tmp_path).returncode == 64
    assert fleetctl("init", "--yes", "--operator-key", "0x" + "1" * 64, cwd=tmp_path).returncode == 64
    assert not list(tmp_path.iterdir())


def test_init_says_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "schemas").touch()
    ran = fleetctl("init", "--yes", cwd=tmp_path)
    assert (ran.returncode, "cannot write schemas/fleet.schema.json: File exists" in ran.stderr) == (3, True), ran
    (tmp_path / "sensors.csv").write_bytes(b"\xff\xfe,\n")
    ran = fleetctl("init", "other", "--yes", "--machines", "../sensors.csv", cwd=tmp_path)
    assert (ran.returncode, "save it as CSV in UTF-8" in ran.stderr) == (3, True), ran
    assert not (tmp_path / "other").exists()


def test_on_a_terminal_it_asks_what_no_option_says(tmp_path: Path) -> None:
    main, other = pty.openpty()
    command = [sys.executable, "-m", "reconciler", "init", "--network", "sandbox"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=other, stdout=other, stderr=other) as asking:
        os.close(other)
        os.write(main, b"-bad-\nair\nv3\nv2\n\n2\nnone\n")
        assert asking.wait(60) == 0
    said = heard(main)
    assert "What is the fleet called?" in said
    assert "On which network" not in said
    assert said.count("By which protocol") == 2
    good(tmp_path)
    text = (tmp_path / "fleet.yaml").read_text()
    assert 'name: "air"' in text
    assert text.count("{name: machine-") == 2
    assert "protocol: v2" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["dri"], {"drift"}),
        (["rotate", "--mach"], {"--machine"}),
        (["rotate", "-f", "{fleet}", "--machine", "air-01"], {"air-010"}),
        (["-f", "{fleet}", "sign-request", "--machine", "air-002"], {"air-002"}),
        (["rotate", "-f", "/no/such", "--machine", "a"], set()),
        (["completion", ""], {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes(tmp_path: Path, words: list[str], expected: set[str]) -> None:
    (tmp_path / "fleetctl").write_text(FLEETCTL)
    (tmp_path / "fleetctl").chmod(0o755)
    typed = ["fleetctl", *(word.format(fleet=ROOT / "examples/quickstart/fleet.yaml") for word in words)]
    listed = " ".join(f"'{word}'" for word in typed)
    script = f"""
source <(fleetctl completion bash)
COMP_WORDS=({listed}); COMP_CWORD={len(typed) - 1}
_fleetctl_completion fleetctl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize(("shell", "sign"), [("zsh", "#compdef fleetctl"), ("fish", "complete --no-files")])
def test_other_shells_get_a_script(shell: str, sign: str) -> None:
    said = fleetctl("completion", shell).stdout
    assert sign in said
    assert f"_FLEETCTL_COMPLETE={shell}_complete" in said


@pytest.mark.parametrize("arguments", STARTS, ids=lambda arguments: arguments[0])
def test_what_starts_at_once_needs_no_model(tmp_path: Path, arguments: list[str]) -> None:
    program = f"""\
import sys
from reconciler.cli.kits import kit
from reconciler.cli.main import run
run({arguments!r})
assert not {{"pydantic", "rich", "httpx", "eth_abi", "deepdiff", "ruamel.yaml"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, timeout=60, check=True)


def test_the_first_line_of_a_plan_comes_before_its_libraries(tmp_path: Path) -> None:
    program = """\
import sys
import click
from reconciler.cli import main
def told(*_, **__):
    assert not {"pydantic", "httpx", "eth_abi", "rich"} & set(sys.modules)
    sys.exit(77)
click.echo = told
main.run(["plan", "-f", "some.yaml"])
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=60, check=False).returncode == 77


@pytest.mark.parametrize("arguments", [["-q", "plan"], ["plan", "-q"], ["plan", "-qf", "x.yaml"], ["validate"]])
def test_no_first_line_where_none_is_wanted(tmp_path: Path, arguments: list[str]) -> None:
    assert "Reading" not in fleetctl(*arguments, cwd=tmp_path).stderr
    assert "Reading fleet.yaml …" in fleetctl("plan", "--detailed-exitcode", cwd=tmp_path).stderr
