"""What was measured, a line of JSON each: at which commit, on which machine. Nothing is measured twice."""

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import shorten
from typing import Any

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "build" / "bench"
Record = dict[str, Any]
LINE = 120
"""Characters of a value that are shown while measuring."""


def commit() -> str:
    """The commit whose code is measured; marked where files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = bool(git("status", "--porcelain", "--", "reconciler", "bench/*.py"))
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+changes" if changed else "")


def machine() -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores, {platform.system()}, {python}"


class Records:
    """One file of measurements."""

    def __init__(self, name: str) -> None:
        self.path = PLACE / f"{name}.jsonl"

    def read(self) -> list[Record]:
        """Those of this machine, oldest first."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [record for record in map(json.loads, lines) if record["machine"] == machine()]

    def newest(self) -> list[Record]:
        """Those of the commit that was measured last."""
        records = self.read()
        return [record for record in records if record["commit"] == records[-1]["commit"]]

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)

    def measure(self, cases: Iterable[Record], run: Callable[[Record], Record]) -> None:
        """Run each case that this commit has no figures of, and write down what is found as soon as it is."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        here = {"commit": commit(), "machine": machine()}
        known = self.read()
        for case in cases:
            wanted = here | case
            if any(wanted.items() <= record.items() for record in known):
                continue
            load = os.getloadavg()[0]
            found = wanted | {"load": load} | run(case)
            with self.path.open("a") as file:
                file.write(json.dumps(found) + "\n")
            shown = {name: value for name, value in found.items() if name not in here}
            print(" ".join(f"{name}={_short(value)}" for name, value in shown.items()), flush=True)


def _short(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else shorten(str(value), LINE)
