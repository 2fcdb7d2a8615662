"""GitLab's jobs: the lines of the template, as GitLab's runner gives them to bash, on machines that keep nothing."""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ci_harness import ENDPOINTS, ROOT, git
from e2e_harness import Yard
from forge_double import forge_double
from ruamel.yaml import YAML

from reconciler.cli.kits import kit

JOBS = YAML(typ="safe").load((ROOT / "ci/gitlab/fleetctl.gitlab-ci.yml").read_text())
PREDEFINED = {"CI_PROJECT_ID": "5", "CI_COMMIT_SHA": "abc", "GITLAB_CI": "true", "FLEETCTL_GITLAB_TOKEN": "glpat-x"}


def job(name: str) -> dict[str, Any]:
    """With what it extends."""
    own = JOBS[name]
    base = job(own["extends"]) if "extends" in own else {}
    return {**base, **own, "variables": {**base.get("variables", {}), **own.get("variables", {})}}


class Runner:
    def __init__(self, yard: Yard, url: str) -> None:
        self.yard, self.desk, self.shelf = yard, yard.root / "desk", yard.root / "shelf"
        self.desk.mkdir()
        self.shelf.mkdir()
        self.environ = {name: yard.environ[name] for name in ENDPOINTS} | PREDEFINED | {"CI_API_V4_URL": url}
        subprocess.run(["git", "init", "-q", "-b", "main", str(self.desk)], check=True)
        for name, text in kit("gitlab", "peaq").items():
            (self.desk / name).parent.mkdir(parents=True, exist_ok=True)
            (self.desk / name).write_text(text)

    def run(self, name: str, **variables: str) -> tuple[int, str]:
        """Exit code and log of a job; its artefacts and cache are on the shelf, where the next job finds them."""
        told, machine = job(name), self.yard.root / "machine"
        (self.desk / "fleet.yaml").write_text(json.dumps(self.yard.manifest, indent=1))
        git(self.desk, "add", "-A")
        git(self.desk, "commit", "-q", "--allow-empty", "-m", "Change")
        subprocess.run(["git", "clone", "-q", str(self.desk), str(machine)], check=True)
        shutil.copytree(self.shelf, machine, dirs_exist_ok=True)
        environ = self.environ | told["variables"] | variables | self._own(machine)
        code, log = self._bash([*told["before_script"], *told["script"]], machine, environ)
        _, after = self._bash(told.get("after_script", []), machine, environ)
        for path in [*told.get("artifacts", {}).get("paths", []), *told.get("cache", {}).get("paths", [])]:
            kept = machine / path
            if kept.is_dir():
                shutil.copytree(kept, self.shelf / path, dirs_exist_ok=True)
            elif kept.exists():
                shutil.copy(kept, self.shelf / path)
        shutil.rmtree(machine)
        return code, log + after

    def _own(self, machine: Path) -> dict[str, str]:
        shim = machine / ".bin" / "fleetctl"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler "$@"\n')
        shim.chmod(0o755)
        home = {"HOME": str(machine), "XDG_STATE_HOME": str(machine / ".state")}
        return {**home, "PATH": f"{shim.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    @staticmethod
    def _bash(lines: list[str], machine: Path, environ: dict[str, str]) -> tuple[int, str]:
        script = "\n".join(["set -eo pipefail", *lines, ""])
        done = subprocess.run(
            ["bash"], input=script, cwd=machine, env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        return done.returncode, done.stdout + done.stderr


def test_planned_applied_and_watched(new_yard: Callable[..., Yard]) -> None:
    yard = new_yard(1)
    yard.manifest["operator"]["address"] = yard.operator.address
    yard.manifest["tokens"] = {"sink": {"directory": str(yard.tokens())}}
    yard.manifest["agents"]["ops"]["key"] = {"file": str(yard.root / "keys/ops.key")}
    yard.machine("air-001")["key"] = {"file": str(yard.root / "keys/air-001.key")}
    secrets = {name: yard.environ[name] for name in ("PEAQOS_API_KEY", "PEAQOS_PRIVATE_KEY")}
    reads = {"PEAQOS_API_KEY": secrets["PEAQOS_API_KEY"]}
    secrets["FLEETCTL_STATE_KEY"] = "correct horse battery staple"
    with forge_double() as double:
        double.objects |= {"user": {"id": 1}, "projects/5/merge_requests/3": {"state": "opened", "sha": "abc"}}
        runner = Runner(yard, double.url)
        # A merge request, without a secret of the fleet's.
        code, log = runner.run("fleet plan", CI_MERGE_REQUEST_IID="3")
        assert code == 0, log
        (note,) = double.lists["projects/5/merge_requests/3/notes"]
        assert note["body"].startswith(f"<!-- fleetctl:plan:{yard.name} -->")
        assert ET.parse(runner.shelf / "fleet-report/plan.junit").getroot().iter("testcase")
        # The default branch.
        code, log = runner.run("fleet plan of the default branch", **reads)
        assert code == 0, log
        code, log = runner.run("fleet apply", **secrets)
        assert code == 0, log
        assert "Applied, or nothing was left to do." in log
        assert (runner.shelf / "fleet-state.enc").exists()
        yard.check_converged()
        (record,) = yard.records()["air-001"]
        pairings = f"/machines/{record['id']}/agent-pairings"
        block, paired = yard.world.head(), yard.world.items(pairings)
        code, log = runner.run("fleet apply", **secrets)
        assert code == 0, log
        assert "no state of an earlier run" not in log
        assert not yard.effects(block)
        assert yard.world.items(pairings) == paired
        # A schedule.
        code, log = runner.run("fleet drift", **reads)
        assert code == 0, log
        yard.world.markets("PATCH", f"/machines/{record['id']}", {"displayName": "theirs"})
        code, log = runner.run("fleet drift", **reads)
        assert (code, len(double.lists["projects/5/issues"])) == (0, 1), log
        for secret in secrets.values():
            assert secret not in log
