"""Runs the workflows of a repository as GitHub's runners do: the real steps, each job on an empty machine of its own.

What the actions of others do (checkout, artefacts, cache) is done here in a few lines; every `run:` is run by bash.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from reconciler.cli.kits import kit

ROOT = Path(__file__).parents[2]
NAMES = re.compile(r"\b(?:github|inputs|needs|runner|secrets|steps)(?:\.[\w-]+)+")
ENDPOINTS = ("PEAQOS_RPC_URL", "PEAQOS_ORCHESTRATION_URL", "PEAQOS_MCR_API_URL")
AUTHOR = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
SECONDS = 120
Context = Mapping[str, Any]


def git(folder: Path, *arguments: str) -> str:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(
        ["git", *AUTHOR, "-C", str(folder), *arguments], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def evaluated(text: str, context: Context) -> Any:
    """An expression of GitHub's, of the few kinds that the kits use."""

    def value(found: re.Match[str]) -> str:
        at: Any = context
        for part in found[0].split("."):
            at = at.get(part, "") if isinstance(at, Mapping) else ""
        return repr(at)

    words = NAMES.sub(value, text).replace("&&", " and ").replace("||", " or ").replace("always()", "True")
    return eval(words, {"__builtins__": {}})


def filled(value: Any, context: Context) -> str:
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(evaluated(found[1].strip(), context)), str(value))


@dataclass
class Job:
    """How a job ended."""

    outcome: str = "success"
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    """Exit code of each step that ran, by its name."""


@dataclass
class Forge:
    """A bare repository, and what a forge keeps beside it. `environ` is what every runner has, `secrets` what it is
    asked for by name."""

    folder: Path
    environ: dict[str, str]
    secrets: dict[str, str]
    api: str = ""
    cached: dict[str, Path] = field(default_factory=dict)
    interfere: Callable[["subprocess.Popen[bytes]", Path], None] | None = None
    """Called with the process of the step `apply` as it begins, and its machine."""
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def origin(self) -> Path:
        return self.folder / "origin.git"

    def start(self) -> Path:
        """The working copy of a person; its first commit has the kit."""
        self.folder.mkdir(exist_ok=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.origin)], check=True)
        desk = self.folder / "desk"
        subprocess.run(["git", "clone", "-q", str(self.origin), str(desk)], check=True, capture_output=True)
        git(desk, "checkout", "-q", "-b", "main")
        for name, text in kit("github", "peaq").items():
            (desk / name).parent.mkdir(parents=True, exist_ok=True)
            (desk / name).write_text(text)
        return desk

    def run(self, file: str, sha: str, event: Mapping[str, Any], *, artefacts: Path, secrets: bool = True) -> "Run":
        number = next(self.numbers)
        return Run(self, file, sha, dict(event), artefacts, self.secrets if secrets else {}, number)


@dataclass
class Run:
    """One run of a workflow: its jobs, one after the other."""

    forge: Forge
    file: str
    sha: str
    event: dict[str, Any]
    artefacts: Path
    secrets: dict[str, str]
    number: int
    attempts: Any = field(default_factory=lambda: count(1))

    @property
    def workflow(self) -> dict[str, Any]:
        text = git(self.forge.origin, "show", f"{self.sha}:.github/workflows/{self.file}")
        found: dict[str, Any] = YAML(typ="safe").load(text)
        return found

    def all(self) -> dict[str, Job]:
        """Every job that is due."""
        done: dict[str, Job] = {}
        for name, job in self.workflow["jobs"].items():
            needs = [job["needs"]] if "needs" in job else []
            if all(done[need].outcome == "success" for need in needs if need in done) and set(needs) <= done.keys():
                context = self._context(done)
                if "if" not in job or evaluated(job["if"], context):
                    done[name] = self.job(name, done)
        return done

    def job(self, name: str, done: Mapping[str, Job]) -> Job:
        machine = Machine(self, self.forge.folder / f"run-{self.number}-{next(self.attempts)}-{name}")
        machine.context = self._context(done)
        try:
            return machine.run(self.workflow["jobs"][name])
        finally:
            # Nothing but artefacts and cache outlives a runner.
            shutil.rmtree(machine.folder)

    def _context(self, done: Mapping[str, Job]) -> dict[str, Any]:
        github = {
            "run_id": str(self.number), "run_attempt": str(next(self.attempts)), "ref": "refs/heads/main",
            "ref_name": "main", "token": "ghs_token", "event": {"repository": {"default_branch": "main"}, **self.event},
        }  # fmt: skip
        needs = {name: {"outputs": job.outputs} for name, job in done.items()}
        return {"github": github, "needs": needs, "secrets": self.secrets, "steps": {}, "inputs": {}}


class Machine:
    """An ephemeral runner."""

    def __init__(self, run: Run, folder: Path) -> None:
        self._run, self.folder = run, folder
        self.context: dict[str, Any] = {}
        self._steps = count(1)
        for name in ("work", "temp", "home", "bin"):
            (folder / name).mkdir(parents=True)
        shim = folder / "bin" / "fleetctl"
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler "$@"\n')
        shim.chmod(0o755)

    def run(self, job: Mapping[str, Any]) -> Job:
        ended = Job()
        self.context = {**self.context, "runner": {"temp": str(self.folder / "temp")}, "steps": {}}
        self._all(job["steps"], self.context, {}, ended)
        ended.outputs = {name: filled(value, self.context) for name, value in job.get("outputs", {}).items()}
        return ended

    def _all(self, steps: Any, context: dict[str, Any], environ: dict[str, str], ended: Job) -> None:
        for step in steps:
            condition = step.get("if", "")
            due = ended.outcome == "success" or "always()" in condition
            known = {"outcome": "skipped", "outputs": {}}
            if due and (not condition or evaluated(condition, context)):
                before, ended.outcome = ended.outcome, "success"
                outputs = self._step(step, context, environ, ended)
                known = {"outcome": ended.outcome, "outputs": outputs}
                ended.outcome = "failure" if "failure" in (before, ended.outcome) else "success"
            if "id" in step:
                context["steps"][step["id"]] = known

    def _step(self, step: Any, context: dict[str, Any], environ: dict[str, str], ended: Job) -> dict[str, str]:
        given = {name: filled(value, context) for name, value in step.get("with", {}).items()}
        environ = environ | {name: filled(value, context) for name, value in step.get("env", {}).items()}
        uses = step.get("uses", "").split("@")[0]
        if uses.startswith("./"):
            return self._composite(self.folder / "work" / uses, given, environ, ended)
        if uses:
            OTHERS[uses](self, self._run, given)
            return {}
        return self._bash(step, context, environ, ended)

    def _composite(self, place: Path, given: dict[str, str], environ: dict[str, str], ended: Job) -> dict[str, str]:
        action = YAML(typ="safe").load((place / "action.yml").read_text())
        inputs = {name: str(given.pop(name, each.get("default", ""))) for name, each in action["inputs"].items()}
        assert not given, f"no such inputs: {given}"
        context = {**self.context, "inputs": inputs, "secrets": {}, "steps": {}}
        self._all(action["runs"]["steps"], context, environ | {"GITHUB_ACTION_PATH": str(place)}, ended)
        return {name: filled(each["value"], context) for name, each in action["outputs"].items()}

    def _bash(self, step: Any, context: Context, environ: dict[str, str], ended: Job) -> dict[str, str]:
        number, temp = next(self._steps), self.folder / "temp"
        script, output, log = temp / f"{number}.sh", temp / f"output-{number}", temp / f"log-{number}"
        script.write_text(filled(step["run"], context))
        output.touch()
        cwd = self.folder / "work" / filled(step.get("working-directory", "."), context)
        with log.open("wb") as said:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)], cwd=cwd, stdin=subprocess.DEVNULL,
                stdout=said, stderr=subprocess.STDOUT, env=self._environ(output) | environ, start_new_session=True,
            )  # fmt: skip
            if step.get("id") == "apply" and self._run.forge.interfere:
                self._run.forge.interfere(process, self.folder)
            code = process.wait(SECONDS)
        # As a shell tells of a process that a signal ended.
        code = code if code >= 0 else 128 - code
        ended.log += log.read_text()
        ended.codes[step.get("name", step["run"])] = code
        ended.outcome = "failure" if code else "success"
        return dict(line.split("=", 1) for line in output.read_text().splitlines())

    def _environ(self, output: Path) -> dict[str, str]:
        event = self.folder / "temp" / "event.json"
        event.write_text(json.dumps(self._run.event))
        return self._run.forge.environ | {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "GITHUB_ACTIONS": "true",
            "HOME": str(self.folder / "home"), "XDG_STATE_HOME": str(self.folder / "home" / "state"),
            "RUNNER_TEMP": str(self.folder / "temp"), "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.folder / "temp" / "summary.md"), "GITHUB_EVENT_PATH": str(event),
            "GITHUB_API_URL": self._run.forge.api, "GITHUB_REPOSITORY": "acme/fleet", "GITHUB_RUN_ID": "7",
            "GITHUB_SERVER_URL": "https://github.example",
        }  # fmt: skip


def _checkout(machine: Machine, run: Run, given: dict[str, str]) -> None:
    work = machine.folder / "work"
    subprocess.run(["git", "clone", "-q", str(run.forge.origin), str(work)], check=True, capture_output=True)
    git(work, "checkout", "-q", given.get("ref") or run.sha)


def _upload(machine: Machine, run: Run, given: dict[str, str]) -> None:
    source, target = machine.folder / "work" / given["path"], run.artefacts / given["name"]
    shutil.rmtree(target, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists() or given.get("if-no-files-found") != "ignore":
        target.mkdir(parents=True)
        shutil.copy(source, target)


def _download(machine: Machine, run: Run, given: dict[str, str]) -> None:
    target = machine.folder / "work" / given.get("path", ".")
    shutil.copytree(run.artefacts / given["name"], target, dirs_exist_ok=True)


def _restore(machine: Machine, run: Run, given: dict[str, str]) -> None:
    for key, kept in reversed(run.forge.cached.items()):
        if key.startswith(given["restore-keys"]):
            shutil.copy(kept, machine.folder / "work" / given["path"])
            return


def _save(machine: Machine, run: Run, given: dict[str, str]) -> None:
    source, kept = machine.folder / "work" / given["path"], run.forge.folder / f"cache-{len(run.forge.cached)}"
    if source.exists():
        assert given["key"] not in run.forge.cached, "a cache is never written twice"
        shutil.copy(source, kept)
        run.forge.cached[given["key"]] = kept


OTHERS: dict[str, Callable[[Machine, Run, dict[str, str]], None]] = {
    "actions/checkout": _checkout,
    "actions/setup-python": lambda machine, run, given: None,
    "actions/upload-artifact": _upload,
    "actions/download-artifact": _download,
    "actions/cache/restore": _restore,
    "actions/cache/save": _save,
}


def signalling(number: signal.Signals, seconds: float) -> Callable[["subprocess.Popen[bytes]", Path], None]:
    """Cancels the run, as GitHub does, so many seconds after the first transaction was signed: the shell alone."""

    def cancel(process: "subprocess.Popen[bytes]", folder: Path) -> None:
        events, end = folder / "temp" / "fleet-events.jsonl", time.monotonic() + SECONDS
        while "transaction_signed" not in (events.read_text() if events.exists() else ""):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(seconds)
        process.send_signal(number)

    return cancel
