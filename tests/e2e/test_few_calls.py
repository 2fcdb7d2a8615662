"""What an apply asks of the node, and what it leaves in the journal: counted, so that it stays little."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from e2e_harness import AT, PEAQ, World, Yard, count_writes

from reconciler.sandbox.chain import calldata
from reconciler.sandbox.lifecycle import running
from reconciler.sandbox.node import free_port

MACHINES = 10
LOOKS = "eth_getBlockByNumber"


@pytest.fixture
def ticking(tmp_path: Path) -> Iterator[World]:
    """A sandbox with a block each second."""
    with (
        running(tmp_path / "sandbox", port=free_port(), block_time=1) as info,
        httpx.Client(timeout=30, trust_env=False) as http,
    ):
        count_writes(found := World(info, http))
        yield found


def asked(world: World) -> Counter[str]:
    """Members of batches one by one, by method."""
    return Counter(world.http.get(f"{world.info.url}/sandbox/calls/rpc").json()["calls"])


def test_a_small_fleet_takes_few_calls_and_few_bytes(new_yard: Callable[..., Yard], ticking: World) -> None:
    yard = new_yard(MACHINES, world=ticking)
    for name in ("agents", "delegationPolicies"):
        yard.manifest.pop(name)
    yard.manifest["defaults"].pop("market")
    for machine in yard.manifest["machines"]:
        machine.pop("pairings")
    ticking.send(yard.operator, AT.identity_registry, calldata("register()"), PEAQ)
    head, before = ticking.head(), asked(ticking)
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    calls, blocks = asked(ticking) - before, ticking.head() - head
    # Three calls of its own a machine; all else is shared, and as much for ten as for a thousand.
    assert calls.total() - calls[LOOKS] <= 3 * MACHINES + 22, calls
    # A few looks until the clock of the chain is known, then about one a block; and some whether it is there still.
    assert calls[LOOKS] <= 8 + blocks, (calls, blocks)
    head, before = ticking.head(), asked(ticking)
    assert yard.run("apply", "--yes").code == 0
    assert (asked(ticking) - before).total() <= 10
    size = sum(path.stat().st_size for path in yard.journal.parent.glob("journal.sqlite*"))
    with sqlite3.connect(yard.journal) as db:
        (steps,) = db.execute("select count(*) from intents").fetchone()
    db.close()
    assert size <= 1000 * steps, (size, steps)
