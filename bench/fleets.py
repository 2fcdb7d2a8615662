"""A fleet to bring up, and the two programs that can: fleetctl, and the founding document's loop on peaq's SDK."""

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from measure import Took, process
from protocols import Protocol

from reconciler.sandbox.info import SandboxInfo

ROOT = Path(__file__).parents[1]
FUND_WEI = 10**18
DOCUMENTATION, DATA = "https://docs.example.com/{name}", "https://data.example.com/{name}"
INSIDE = """\
import json, sys, time
from reconciler.cli.main import run
arguments = sys.argv[1:]
times = []
for _ in range(3):
    before = time.perf_counter()
    code = run(arguments)
    times.append(time.perf_counter() - before)
print(json.dumps({"code": code, "times": times}), file=sys.stderr)
"""


@dataclass(frozen=True)
class Fleet:
    """Machines in a directory of their own."""

    directory: Path
    protocol: Protocol
    names: list[str]
    keys: list[str]
    """In the order of the names; none where machines have no accounts."""

    @classmethod
    def create(cls, directory: Path, size: int, protocol: Protocol) -> "Fleet":
        names = [f"dock-{number}" for number in range(1, size + 1)]
        keys = ["0x" + bytes(Account.create().key).hex() for _ in names] if protocol.keys else []
        (directory / "keys").mkdir(parents=True, mode=0o700)
        for name, key in zip(names, keys, strict=False):
            path = directory / "keys" / f"{name}.key"
            path.touch(mode=0o600)
            path.write_text(key)
        machines = "".join(protocol.machine.format(name=name) for name in names)
        (directory / "fleet.yaml").write_text(protocol.head + machines)
        return cls(directory, protocol, names, keys)

    def environ(self, info: SandboxInfo) -> dict[str, str]:
        return {
            **info.env(),
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.directory / "home"),
            "XDG_STATE_HOME": str(self.directory / "state"),
            "NO_COLOR": "1",
            "DO_NOT_TRACK": "1",
        }

    def fleetctl(self, info: SandboxInfo, *arguments: str, expect: int = 0) -> tuple[Took, dict[str, Any]]:
        """What the whole process took, and its answer."""
        command = [sys.executable, "-m", "reconciler", *arguments, "--output", "json"]
        done = process(command, self.environ(info), self.directory, expect=expect)
        return done.took, json.loads(done.stdout)

    def inside(self, info: SandboxInfo, *arguments: str) -> float:
        """Seconds of one call in a process where everything is imported."""
        done = process([sys.executable, "-c", INSIDE, *arguments], self.environ(info), self.directory)
        answer = json.loads(done.stderr.strip().splitlines()[-1])
        if answer["code"]:
            raise RuntimeError(done.stderr)
        return float(min(answer["times"][1:]))

    def journal(self) -> dict[str, int]:
        """Bytes on disk once closed, and the steps recorded."""
        path = self.directory / ".fleetctl" / "journal.sqlite"
        size = sum(p.stat().st_size for p in path.parent.glob("journal.sqlite*"))
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            steps = db.execute("select count(*) from intents").fetchone()[0]
        return {"journalBytes": size, "steps": steps}

    def loop(self, python: Path, info: SandboxInfo, operator_id: int | None) -> tuple[Took, dict[str, Any]]:
        """The loop on peaq's SDK: what the whole process took, and what it says of itself."""
        wanted = {
            "names": self.names,
            "keys": self.keys,
            "fundWei": FUND_WEI,
            "proxyMachineId": operator_id,
            "documentationUrl": DOCUMENTATION,
            "dataApi": DATA,
        }
        environ = {k: v for k, v in self.environ(info).items() if k != "PYTHONPATH"}
        command = [str(python), str(Path(__file__).parent / self.protocol.loop)]
        done = process(command, environ, self.directory, json.dumps(wanted))
        return done.took, json.loads(done.stdout.strip().splitlines()[-1])


def official_python(protocol: Protocol) -> Path:
    """The interpreter of an environment that has the SDK; made where there is none. The tests can use the same one."""
    directory = Path(os.environ.get(protocol.variable) or ROOT / protocol.environment)
    python, marker = directory / "bin" / "python", directory / "installed.txt"
    pins, _, version = (marker.read_text() if marker.exists() else "").partition(" on ")
    if protocol.pin not in pins.split() or version != sys.version + "\n":
        print(f"installing {protocol.pin} in an environment of its own", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(directory)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", protocol.pin], check=True)
        marker.write_text(f"{protocol.pin} on {sys.version}\n")
    return python
