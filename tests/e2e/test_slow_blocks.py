"""A transaction that waits is offered more, again and again, and the node takes each offer."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from e2e_harness import World, Yard, chain_only

from reconciler.cli.options import Options
from reconciler.core.value import replace
from reconciler.sandbox.lifecycle import running
from reconciler.sandbox.node import free_port

BLOCK_SECONDS, IMPATIENCE = 3.0, 0.4


def impatient(world: Any) -> Any:
    return replace(world, settings=replace(world.settings, bump_after=IMPATIENCE))


def offers(journal: Path) -> list[list[bool]]:
    """For each nonce: which of the bytes that were signed for it were mined, oldest first."""
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as db:
        rows = db.execute("select sender, nonce, block is not null from transactions order by id").fetchall()
    found: dict[tuple[str, int], list[bool]] = {}
    for sender, nonce, mined in rows:
        found.setdefault((sender, nonce), []).append(bool(mined))
    return list(found.values())


def test_the_node_takes_every_offer(new_yard: Callable[..., Yard], tmp_path: Path) -> None:
    with (
        running(tmp_path / "slow", port=free_port(), block_time=BLOCK_SECONDS) as info,
        httpx.Client(timeout=30, trust_env=False) as http,
    ):
        yard = chain_only(new_yard(1, world=World(info, http)))
        yard.save()
        ran = yard.run_as_is("apply", "--yes", options=Options(around=impatient))
        assert ran.code == 0, ran.said
        found = offers(yard.journal)
        assert all(sum(mined) == 1 for mined in found)
        # What replaces a replacement was taken, too.
        assert any(mined.index(True) > 1 for mined in found), found
