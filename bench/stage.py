"""Where a measured plan runs: a sandbox of that size or an empty one, and a copy of the fleet's files."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx
from ledger import Ledger, asked
from measure import Done, process
from world import PEAQ, World, wallets, world, write_fleet

from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.lifecycle import running
from reconciler.sandbox.node import free_port

ROOT = Path(__file__).parents[1]
NO_OP, CHANGED, NEW = "no-op", "1 % changed", "all new"
K = TypeVar("K", bound=Hashable)
S = TypeVar("S")


@dataclass(frozen=True)
class Stage:
    """A running sandbox and the directory of a fleet."""

    info: SandboxInfo
    fleet: Path
    size: int
    ledger: Ledger

    @property
    def manifest(self) -> Path:
        return self.fleet / "fleet.yaml"

    def environ(self) -> dict[str, str]:
        home = self.fleet.parent / "home"
        return {
            **self.info.env(),
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "NO_COLOR": "1",
            "DO_NOT_TRACK": "1",
        }

    def fleetctl(self, *arguments: str, expect: int = 0) -> Done:
        command = [sys.executable, "-m", "reconciler", *arguments]
        return process(command, self.environ(), self.fleet, expect=expect)

    def counted(self, run: Callable[[], Done]) -> tuple[Done, dict[str, Any]]:
        """What a program did, with what it asked meanwhile."""
        before = self.ledger.mark()
        done = run()
        return done, {**vars(done.took), **asked(before, self.ledger.mark())}

    def change_one_in_hundred(self) -> int:
        """Another documentation address for every hundredth machine; how many that are."""
        other = 'metadata: {documentationUrl: "https://docs.example.com/moved/{name}"}, '
        text, count = re.subn(r"(?m)^  - \{(?=name: dock-\d*00,)", "  - {" + other, self.manifest.read_text())
        self.manifest.write_text(text)
        return count

    def slow_markets(self, milliseconds: int) -> None:
        """Hold each answer of Machine Markets back for so long."""
        rule = {"action": "delay", "path": "/markets/*", "count": -1, "delayMs": milliseconds}
        url = f"{self.info.url}/sandbox/faults/services"
        httpx.post(url, json={"rules": [rule]}, timeout=60).raise_for_status()


@contextlib.contextmanager
def staged(key: tuple[int, str]) -> Iterator[Stage]:
    """Of so many machines, for one story; where all is new, on a chain that knows none of them."""
    size, story = key
    with tempfile.TemporaryDirectory(prefix="fleetctl-bench-") as name:
        directory = Path(name)
        fleet, made = directory / "fleet", None if story == NEW else world(size)
        _files(fleet, size, made)
        options = {"port": free_port(), "snapshot": made.directory if made else None}
        with running(directory / "sandbox", **options) as info:
            ledger = Ledger(info)
            found = Stage(info, fleet, size, ledger)
            _set_out(found, story)
            yield found
            ledger.close()


def _files(fleet: Path, size: int, made: World | None) -> None:
    if made:
        made.copy_fleet(fleet)
    else:
        write_fleet(fleet, wallets(size))


def _set_out(found: Stage, story: str) -> None:
    if story == CHANGED:
        found.change_one_in_hundred()
    if story == NEW:
        wealth = {
            "op": "setBalance",
            "address": found.info.operator_address,
            "wei": str(2 * found.size * PEAQ + 10**22),
        }
        httpx.post(f"{found.info.url}/sandbox/control", json=wealth, timeout=60).raise_for_status()


class Kept(Generic[K, S]):
    """The last `most` things that were opened, each kept while it may be wanted again. None is opened in vain."""

    def __init__(self, opening: Callable[[K], AbstractContextManager[S]], most: int = 1) -> None:
        self._opening = opening
        self._most = most
        self._open: dict[K, tuple[contextlib.ExitStack, S]] = {}

    def __enter__(self) -> "Kept[K, S]":
        return self

    def __exit__(self, *_: object) -> None:
        self._leave(0)

    def at(self, key: K) -> S:
        if key not in self._open:
            self._leave(self._most - 1)
            stack = contextlib.ExitStack()
            self._open[key] = stack, stack.enter_context(self._opening(key))
        return self._open[key][1]

    def _leave(self, count: int) -> None:
        """Close what was opened first, down to so many."""
        while len(self._open) > count:
            stack, _ = self._open.pop(next(iter(self._open)))
            stack.close()


def official_environ(found: Stage) -> dict[str, str]:
    """For programs that know nothing of this repository."""
    return {name: value for name, value in found.environ().items() if name != "PYTHONPATH"}


def verdict(done: Done) -> str:
    """The line of a plan that says what it comes to."""
    lines = reversed(done.stdout.splitlines())
    return next((line for line in lines if line.startswith(("Plan:", "No changes"))), "")
