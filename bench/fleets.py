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

from reconciler.sandbox.info import SandboxInfo

ROOT = Path(__file__).parents[1]
PIN = "peaq-os-sdk==0.11.2"
FUND_WEI = 3 * 10**17
DOCUMENTATION, DATA = "https://docs.example.com/dock-{number}", "https://data.example.com/dock-{number}"
HEAD = """\
apiVersion: fleetctl/v1
kind: Fleet
name: docks
network: sandbox
protocol: v1
operator: {key: {env: PEAQOS_PRIVATE_KEY}}
v1: {publishFleet: true, funding: {from: operator, below: 0.05 PEAQ, to: 0.2 PEAQ}}
defaults:
  metadata: {documentationUrl: "https://docs.example.com/{name}", dataApi: "https://data.example.com/{name}"}
  v1: {dataVisibility: public}
machines:
"""
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
    """Machines with keys of their own, in a directory of their own."""

    directory: Path
    keys: list[str]

    @classmethod
    def create(cls, directory: Path, size: int) -> "Fleet":
        fleet = cls(directory, ["0x" + bytes(Account.create().key).hex() for _ in range(size)])
        (directory / "keys").mkdir(parents=True, mode=0o700)
        lines = []
        for number, key in enumerate(fleet.keys, 1):
            path = directory / "keys" / f"dock-{number}.key"
            path.touch(mode=0o600)
            path.write_text(key)
            lines.append(f"  - {{name: dock-{number}, key: {{file: keys/dock-{number}.key}}}}\n")
        (directory / "fleet.yaml").write_text(HEAD + "".join(lines))
        return fleet

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

    def loop(self, python: Path, info: SandboxInfo, operator_id: int) -> tuple[Took, dict[str, Any]]:
        """The founding document's loop: what the whole process took, and what it says of itself."""
        wanted = {
            "keys": self.keys,
            "fundWei": FUND_WEI,
            "proxyMachineId": operator_id,
            "documentationUrl": DOCUMENTATION,
            "dataApi": DATA,
        }
        environ = {k: v for k, v in self.environ(info).items() if k != "PYTHONPATH"}
        command = [str(python), str(Path(__file__).parent / "sdk_loop.py")]
        done = process(command, environ, self.directory, json.dumps(wanted))
        return done.took, json.loads(done.stdout.strip().splitlines()[-1])


def official_python() -> Path:
    """The interpreter of an environment that has the SDK; made where there is none. The tests use the same one."""
    directory = Path(os.environ.get("FLEETCTL_INTEROP_VENV") or ROOT / ".venv-interop")
    python, marker = directory / "bin" / "python", directory / "installed.txt"
    wanted = f"{PIN} on {sys.version}\n"
    if not marker.exists() or marker.read_text() != wanted:
        print(f"installing {PIN} in an environment of its own", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(directory)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", PIN], check=True)
        marker.write_text(wanted)
    return python
