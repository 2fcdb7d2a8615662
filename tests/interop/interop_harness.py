"""Two programs that know nothing of each other, fleetctl and the SDK, each a process, and the world they share."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock

import httpx
import interop_manifests
from eth_account import Account
from eth_account.signers.local import LocalAccount

from reconciler.cli.main import run
from reconciler.sandbox.info import SandboxInfo

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).parent / "scripts" / "worker.py"
V1_SCRIPTS = ("founding", "reading", "changing")
PEAQ = 10**18
PLENTY = 10**6
SERVICE_FAULTS = "/sandbox/faults/services"
METHODS = ("POST", "PUT", "PATCH", "DELETE")
Json = dict[str, Any]


class Refused(Exception):
    """What the SDK raised."""

    def __init__(self, kind: str, code: str, message: str) -> None:
        super().__init__(f"{kind}: {code}: {message}")
        self.code = code


class World(AbstractContextManager["World"]):
    """The sandbox as an onlooker sees it: neither with our code nor with the SDK."""

    def __init__(self, sandbox: SandboxInfo) -> None:
        self.sandbox = sandbox
        self._http = httpx.Client(timeout=30, trust_env=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def operator(self) -> LocalAccount:
        """A new account with means."""
        account: LocalAccount = Account.create()
        self.set_balance(account.address, 100 * PEAQ)
        return account

    def environ(self, operator_key: str) -> dict[str, str]:
        return {**self.sandbox.env(), "PEAQOS_PRIVATE_KEY": operator_key}

    def set_balance(self, address: str, wei: int) -> None:
        self.control("setBalance", address=address, wei=str(wei))

    def control(self, operation: str, **arguments: Any) -> None:
        body = {"op": operation, **arguments}
        self._http.post(f"{self.sandbox.url}/sandbox/control", json=body).raise_for_status()

    def balance(self, address: str) -> int:
        return int(self._rpc("eth_getBalance", address, "latest"), 16)

    def view(self, contract: str, selector: str, *words: int) -> int:
        """One word answered by a call with word arguments."""
        data = selector + b"".join(word.to_bytes(32, "big") for word in words).hex()
        return int(self._rpc("eth_call", {"to": contract, "data": data}, "latest"), 16)

    def state(self, accounts: Iterable[str]) -> Json:
        """All that a write would move: nonces, the head of the chain, the audit trail of the services."""
        return {
            "nonces": {a: int(self._rpc("eth_getTransactionCount", a, "pending"), 16) for a in accounts},
            "block": int(self._rpc("eth_blockNumber"), 16),
            "audit": [event["id"] for event in self.audit()],
        }

    def audit(self) -> list[Json]:
        """The newest 500 events, newest first."""
        url = f"{self.sandbox.markets_url}/api/v1/audit-events"
        answer = self._http.get(url, params={"limit": 500}, headers={"x-api-key": self.sandbox.api_key})
        answer.raise_for_status()
        items: list[Json] = answer.json()["items"]
        return items

    def count_requests(self) -> None:
        """From now on the service counts the requests that are not reads, refused ones and challenges too."""
        rules = [
            {"action": "delay", "method": method, "path": "/markets/*", "count": PLENTY, "delayMs": 0}
            for method in METHODS
        ]
        self._http.post(f"{self.sandbox.url}{SERVICE_FAULTS}", json={"rules": rules}).raise_for_status()

    def counted(self) -> int:
        """How many there were, and counts no more."""
        url = f"{self.sandbox.url}{SERVICE_FAULTS}"
        rules = self._http.get(url).raise_for_status().json()["rules"]
        self._http.delete(url).raise_for_status()
        assert len(rules) == len(METHODS)
        return sum(PLENTY - rule["count"] for rule in rules)

    def _rpc(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self._http.post(self.sandbox.rpc_url, json=body).raise_for_status().json()
        assert "result" in answer, answer
        return answer["result"]


class Official(AbstractContextManager["Official"]):
    """A process of the SDK's environment: JSON lines in and out, the SDK as it was published."""

    def __init__(self, python: Path, environ: dict[str, str], home: Path, scripts: Sequence[str] = V1_SCRIPTS) -> None:
        private = {"HOME": str(home), "DO_NOT_TRACK": "1", "PATH": os.environ.get("PATH", "")}
        self._errors = (home / "stderr.txt").open("w+")
        self._process = subprocess.Popen(
            [str(python), str(WORKER), *scripts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            text=True, env={**environ, **private}, cwd=home,
        )  # fmt: skip

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def call(self, operation: str, **arguments: Any) -> Any:
        """What the operation of scripts/ returns; raises Refused with the SDK's error."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([operation, arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"the SDK's process ended in {operation}:\n{self._errors.read()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(**answer["error"])
        return answer["result"]


class Fleetctl:
    """The command line as a user runs it, in a directory and home of its own."""

    def __init__(self, directory: Path, environ: dict[str, str], *, inside: bool = False) -> None:
        """`inside`: in this process, where many runs would otherwise spend their time on starting."""
        self.directory = directory
        private = {"HOME": str(directory / "home"), "XDG_STATE_HOME": str(directory / "state")}
        base = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        self.environ = {**base, **environ, **private}
        self._inside = inside

    @property
    def manifest(self) -> Path:
        return self.directory / "fleet.yaml"

    def here(self) -> "Fleetctl":
        """The same directory and environment, in this process."""
        return Fleetctl(self.directory, self.environ, inside=True)

    def run(self, *arguments: str, expect: int = 0) -> str:
        """What it answered on stdout."""
        code, answer, talk = (self._here if self._inside else self._process)(arguments)
        assert code == expect, f"{arguments} ended with {code}:\n{answer}\n{talk}"
        return answer

    def _process(self, arguments: Sequence[str]) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", *arguments], capture_output=True, text=True, timeout=120,
            cwd=self.directory, env=self.environ, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def _here(self, arguments: Sequence[str]) -> tuple[int, str, str]:
        answer, talk = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environ, clear=True),
            contextlib.redirect_stdout(answer),
            contextlib.redirect_stderr(talk),
        ):
            code = run(["--file", str(self.manifest), *arguments])
        return code, answer.getvalue(), talk.getvalue()

    def plan(self, *, expect: int) -> Json:
        plan: Json = json.loads(self.run("plan", "--output", "json", "--detailed-exitcode", expect=expect))
        return plan

    def apply(self, *options: str) -> Json:
        result: Json = json.loads(self.run("apply", "--yes", "--output", "json", *options))
        return result

    def edit(self, old: str, new: str) -> None:
        text = self.manifest.read_text()
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        self.manifest.write_text(text.replace(old, new))

    def token_file(self, pairing: str) -> Path:
        return self.directory / "secrets" / f"{pairing.replace('/', '.')}.token"


def differences(plan: Json) -> dict[str, tuple[str, list[str]]]:
    """Action and fields of everything a plan does not leave alone, by address."""
    return {
        change["address"]: (change["action"], sorted(field["field"] for field in change["fields"]))
        for change in plan["changes"]
        if change["action"] != "no-op"
    }


def write_key(directory: Path, name: str, key: str) -> None:
    (directory / "keys").mkdir(mode=0o700, exist_ok=True)
    path = directory / "keys" / f"{name}.key"
    path.touch(mode=0o600)
    path.write_text(key + "\n")


@dataclass(frozen=True)
class Applied:
    """A fleet of fleetctl's making: names to accounts, and what its manifest declares."""

    fleetctl: Fleetctl
    inside: Fleetctl
    """The same, in the tests' own process."""
    operator: str
    operator_key: str
    machines: dict[str, LocalAccount]
    agents: dict[str, LocalAccount]
    result: Json

    @property
    def accounts(self) -> list[str]:
        return [self.operator, *(account.address for account in (*self.machines.values(), *self.agents.values()))]


def apply_fleet(world: World, directory: Path) -> Applied:
    operator = world.operator()
    key = "0x" + bytes(operator.key).hex()
    fleetctl = Fleetctl(directory, world.environ(key))
    fleetctl.manifest.write_text(interop_manifests.APPLIED)
    fleetctl.run("keys", "generate")
    result = fleetctl.apply()
    accounts = {path.stem: Account.from_key(path.read_text().strip()) for path in (directory / "keys").iterdir()}
    machines = {name: accounts[name] for name in interop_manifests.MACHINES}
    agents = {name: accounts[name] for name in interop_manifests.AGENTS}
    return Applied(fleetctl, fleetctl.here(), operator.address, key, machines, agents, result)
