"""The world at its worst, as a table: each fault strikes a fleet that is made, edited and killed meanwhile."""

import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos_cases import Bench, Case
from chaos_fleet import Fleet
from chaos_points import Tripwire
from chaos_process import PATIENCE, Child
from e2e_harness import World

SEND = "eth_sendRawTransaction"
WRITES = ("POST", "PATCH", "PUT")
LEFT = (1, 5, 6)
"""Exit codes of an apply that a fault kept from ending well."""

Rules = list[dict[str, Any]]


def _error(message: str, method: str = SEND) -> Rules:
    return [{"action": "error", "method": method, "message": message, "count": 2}]


RPC: Mapping[str, Rules] = {
    "dropped before acceptance": [{"action": "dropBefore", "method": SEND, "count": 3}],
    "dropped after acceptance": [{"action": "dropAfter", "method": SEND, "count": 3}],
    "any request dropped": [{"action": "dropBefore", "count": 8}],
    "gateway errors": [{"action": "status", "status": 502, "count": 6}],
    "slow answers": [{"action": "delay", "ms": 300, "count": 20}],
    "rate limit": [{"action": "rateLimit", "retryAfter": 0.3, "count": 4}],
    "nonce too low": _error("nonce too low"),
    "already known": _error("already known"),
    "replacement underpriced": _error("replacement transaction underpriced"),
    "pool full": _error("txpool is full"),
    "stale reads": [{"action": "stale", "method": "eth_call", "blocks": 2, "count": 20}],
    "stale nonces": [{"action": "stale", "method": "eth_getTransactionCount", "blocks": 3, "count": 6}],
    "stale heads": [{"action": "stale", "method": "eth_getBlockByNumber", "blocks": 2, "count": 12}],
    "unknown blocks": [{"action": "unknownBlock", "count": 10}],
    "late receipts": [
        {"action": "null", "method": "eth_getTransactionReceipt", "count": 3, "each": True},
        {"action": "null", "method": "eth_getBlockReceipts", "count": 2},
    ],
}
"""Faults between us and the node."""


def _service(action: str, **more: Any) -> Rules:
    rules = [{"action": action, "method": m, "path": "/markets/api/v1/*", "count": 1, **more} for m in WRITES]
    return [*rules, {"action": action, "method": "POST", "path": "*/agent-pairings*", "count": 2, **more}]


SERVICES: Mapping[str, Rules] = {
    "service: dropped before": _service("dropBefore"),
    "service: dropped after": _service("dropAfter"),
    "service: status 503": _service("status", status=503),
    "service: no JSON": _service("garbage", status=502),
    "service: rate limit": _service("rateLimit"),
}
"""Faults between us and Machine Markets."""


@contextmanager
def _faulty(bench: Bench, rpc: Rules, services: Rules) -> Iterator[None]:
    """Struck by these rules until the end of the block; how often is counted."""
    world = bench.world
    world.rpc_faults(*rpc)
    world.service_faults(*services)
    try:
        yield
    finally:
        bench.report.faults.update(_struck(world, services))
        world.well()


def _struck(world: World, services: Rules) -> Counter[str]:
    """How often these rules, and those of the node, have struck."""
    left = world.http.get(f"{world.info.url}/sandbox/faults/services").json()["rules"]
    met = world.http.get(f"{world.info.url}/sandbox/faults/rpc").json()["rules"]
    at_services = sum(r["count"] for r in services) - sum(r["count"] for r in left)
    return Counter({"service": at_services, "rpc": sum(sum(r["struck"].values()) for r in met)})


def _phases(bench: Bench, strike: Callable[[Fleet], None], failures: int = 0) -> None:
    """A fleet made and then edited, struck each time, and well again after a plain run."""
    fleet = bench.fleet(2)
    for part in range(2):
        if part:
            fleet.edit_all(bench.dice)
        strike(fleet)
        bench.converge(fleet, tries=3, codes=LEFT)
        fleet.check(failures)


def under(rpc: Rules, services: Rules, *, kill: bool) -> Case:
    """An apply under these faults, killed or not."""

    def strike(bench: Bench, fleet: Fleet) -> None:
        with _faulty(bench, rpc, services):
            if kill:
                child = bench.start(fleet)
                while child.running() and not _struck(bench.world, services).total():
                    time.sleep(0.02)
                bench.finish(fleet, child, child.lived + bench.dice.uniform(0.0, 2.0), (0, *LEFT))
            else:
                # A session whose answer is lost costs one more.
                fleet.spare += len(fleet.pairings()) if services else 0
                ended = bench.apply(fleet)
                assert ended.code in (0, *LEFT), ended.text

    return lambda bench: _phases(bench, lambda fleet: strike(bench, fleet))


def while_running(child: Child, dice: random.Random, act: Callable[[], None], times: int) -> None:
    """Do it now and then, as long as the child runs."""
    for _ in range(times):
        time.sleep(dice.uniform(0.1, 0.8))
        if not child.running():
            return
        act()


def reorgs(*, kill: bool) -> Case:
    """Up to three blocks go, several times, while it runs."""

    def strike(bench: Bench, fleet: Fleet) -> None:
        bench.world.control("mine", blocks=4)
        child = bench.start(fleet)

        def reorg() -> None:
            # Not below what the case itself set up.
            depth = min(bench.dice.randint(1, 3), bench.world.head() - fleet.since - 4)
            if depth > 0:
                bench.world.control("reorg", depth=depth)
                bench.report.faults["reorg"] += 1

        while_running(child, bench.dice, reorg, 4)
        bench.finish(fleet, child, bench.dice.uniform(0.5, 2.0) if kill else None, (0, *LEFT))

    return lambda bench: _phases(bench, lambda fleet: strike(bench, fleet))


def foreign(bench: Bench) -> None:
    """Somebody else uses the operator's key meanwhile."""

    def strike(fleet: Fleet) -> None:
        child = bench.start(fleet)

        def send() -> None:
            with suppress(AssertionError):  # the nonce was taken first: as likely
                bench.world.send(fleet.operator, fleet.operator.address)
                bench.report.faults["foreign transaction"] += 1

        while_running(child, bench.dice, send, 6)
        bench.finish(fleet, child, None, (0, *LEFT))

    _phases(bench, strike)


def full_disk(bench: Bench) -> None:
    """No file may grow beyond a limit that the journal meets sooner or later."""

    def strike(fleet: Fleet) -> None:
        limit = bench.dice.randrange(12_000, 160_000)

        def limited() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        ended = bench.apply(fleet, prepare=limited)
        assert ended.code in (0, *LEFT), ended.text
        bench.report.faults["full disk"] += ended.code != 0
        fleet.spare += len(fleet.pairings())

    _phases(bench, strike)


def torn_tail(bench: Bench) -> None:
    """Killed, and what was written last is cut off or garbled."""

    def strike(fleet: Fleet) -> None:
        bench.killed_after(fleet, bench.dice.uniform(0.6, 2.5))
        wal = fleet.journal.with_name(fleet.journal.name + "-wal")
        if not wal.exists() or not wal.stat().st_size:
            return
        size, cut = wal.stat().st_size, bench.dice.randrange(1, 6000)
        if bench.dice.random() < 0.5:
            os.truncate(wal, max(0, size - cut))
        else:
            with wal.open("r+b") as stream:
                stream.seek(max(0, size - cut))
                stream.write(bench.dice.randbytes(min(cut, 200)))
        bench.report.faults["torn journal"] += 1
        fleet.spare += 2 * len(fleet.pairings())

    _phases(bench, strike)


def two_at_once(bench: Bench) -> None:
    """A second run with the same key, from another directory and another manifest, is turned away."""
    fleet = bench.fleet(1)
    other = bench.profile.make(bench.world, bench.root / "other", f"other-{bench.report.seed}", 1)
    other.operator, other.home = fleet.operator, fleet.root / "home"
    wire = Tripwire(None, f"journal.signed/after/{fleet.FIRST}", number=signal.SIGSTOP)
    child = bench.start(fleet, around=wire.around)
    stopped(child)
    turned_away = bench.apply(other)
    assert turned_away.code == 7, turned_away.text
    os.kill(child.pid, signal.SIGCONT)
    bench.finish(fleet, child, None, (0,))
    fleet.check()
    bench.report.faults["two at once"] += 1


def stopped(child: Child) -> None:
    """Wait until a child that is to stop itself has."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert child.running()
        with Path(f"/proc/{child.pid}/stat").open() as stream:
            if stream.read().rsplit(")", 1)[1].split()[0] == "T":
                return
        time.sleep(0.02)
    raise AssertionError("it did not stop")


def pending_and_lost(bench: Bench) -> None:
    """Killed with transactions in the pool, and the journal is gone: they are waited for, not sent again."""
    bench.lossy = 1
    fleet = bench.fleet(2)
    making, money = bench.profile.PENDING
    for points in (making, money):
        bench.report.missed += [point for point in points if not bench.killed_at(fleet, point)]
        bench.converge(fleet)
        fleet.check()
        bench.report.faults["pending and lost"] += len(points)
        fleet.edit_money()


def lagging(*, nonces: int) -> Case:
    """Machines are paid for; then a node that has not seen it yet is asked, and `nonces` counts of it are believed."""

    def case(bench: Bench) -> None:
        fleet = bench.fleet()
        fleet.tempt()
        bench.converge(fleet)
        for lost in (False, True):
            fleet.edit_money()
            bench.world.control("mine", blocks=4)
            bench.converge(fleet)
            if lost:
                fleet.lose_journal()
            late = {"action": "stale", "blocks": 3}
            counts = [{**late, "method": "eth_getTransactionCount", "count": nonces}] if nonces else []
            with _faulty(bench, [{**late, "method": "eth_getBlockByNumber", "count": 60}, *counts], []):
                ended = bench.apply(fleet)
                assert ended.code in (0, *LEFT), ended.text
            bench.converge(fleet, tries=3, codes=LEFT)
            fleet.check()

    return case


@dataclass(frozen=True)
class Script:
    """A random story: a fleet, what is edited, and what happens meanwhile."""

    seed: int
    machines: int
    agents: int
    edits: Sequence[str]
    disasters: Sequence[str]


def _strike(bench: Bench, fleet: Fleet, rpc: Rules, services: Rules) -> None:
    with _faulty(bench, rpc, services):
        bench.killed_after(fleet, bench.dice.uniform(0.3, 6.0))
    # A session whose answer is lost costs one more.
    fleet.spare += len(fleet.pairings()) if services else 0


DISASTERS: Mapping[str, Callable[[Bench, Fleet], None]] = {
    "kill": lambda bench, fleet: void(bench.killed_after(fleet, bench.dice.uniform(0.2, 3.0))),
    "kill again": lambda bench, fleet: void(bench.killed_after(fleet, bench.dice.uniform(0.2, 1.5))),
    "lost journal": lambda _, fleet: fleet.lose_journal(),
    **{
        name: lambda bench, fleet, rpc=rules: _strike(bench, fleet, rpc, [])  # type: ignore[misc]
        for name, rules in RPC.items()
    },
    **{
        name: lambda bench, fleet, services=rules: _strike(bench, fleet, [], services)  # type: ignore[misc]
        for name, rules in SERVICES.items()
    },
}


def void(_: object) -> None:
    """For what has no answer of interest."""


def scripted(script: Script) -> Case:
    """As the script says, once when the fleet is made and once when it is edited."""

    def case(bench: Bench) -> None:
        bench.dice.seed(script.seed)
        fleet = bench.fleet(script.machines, script.agents)
        for edits in ((), script.edits):
            for edit in edits:
                fleet.EDITS[edit](fleet, bench.dice)
            for disaster in script.disasters:
                DISASTERS[disaster](bench, fleet)
            bench.converge(fleet, tries=3, codes=LEFT)
        fleet.check()

    return case


def table() -> dict[str, Case]:
    """Every fault, by name; half of them with a kill as well."""
    found: dict[str, Case] = {}
    for number, (name, rules) in enumerate(RPC.items()):
        found[name] = under(rules, [], kill=bool(number % 2))
    for number, (name, rules) in enumerate(SERVICES.items()):
        found[name] = under([], rules, kill=bool(number % 2))
    return {
        **found,
        "reorgs": reorgs(kill=False), "reorgs and a kill": reorgs(kill=True), "foreign transactions": foreign,
        "lagging node": lagging(nonces=0), "lagging node and counts": lagging(nonces=6),
        "full disk": full_disk, "torn journal": torn_tail, "two at once": two_at_once,
    }  # fmt: skip
