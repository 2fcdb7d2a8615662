"""How every machine is, asked with no private key at hand."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from authority_harness import Serve
from e2e_harness import PEAQ, Yard

from reconciler.adapters.http_api import HttpApi
from reconciler.cli import health

KEYS = [
    "name", "sync", "id", "rating", "score", "negative", "bond", "balance", "pairings", "tokenSeconds", "successorOf"
]  # fmt: skip


def test_table_and_json_without_any_private_key(new_yard: Callable[..., Yard]) -> None:
    yard = new_yard(2)
    assert yard.run("apply", "--yes").code == 0
    yard.add("air-003")
    yard.machine("air-002")["metadata"] = {"documentationUrl": "https://new.example.com"}
    yard.manifest["operator"]["address"] = yard.operator.address
    del yard.environ["PEAQOS_PRIVATE_KEY"]
    for path in (yard.root / "keys").iterdir():
        path.unlink()
    before = yard.footprint()

    ran = yard.run("status", "--output", "json")
    assert ran.code == 0, ran.said
    assert ran.data["formatVersion"] == "1.0"
    first, second, third = ran.data["machines"]
    assert list(first) == KEYS
    assert {name: first[name] for name in ("name", "sync", "negative", "pairings")} == {
        "name": "air-001", "sync": "Synced", "negative": False, "pairings": {"ops": "active"},
    }  # fmt: skip
    assert first["id"] == str(yard.world.machine_id(yard.accounts["air-001"].address))
    assert (first["rating"], first["score"]) == ("Provisioned", 0)
    assert first["bond"] == str(PEAQ)
    assert first["balance"] == str(yard.world.balance(yard.accounts["air-001"].address))
    assert 3000 < first["tokenSeconds"]["ops"] <= 3600
    assert (second["name"], second["sync"]) == ("air-002", "OutOfSync")
    assert {name: value for name, value in third.items() if value not in (None, {})} == {
        "name": "air-003", "sync": "OutOfSync", "balance": "0",
    }  # fmt: skip

    table = yard.run("status")
    assert table.code == 0, table.said
    head, *rows = [line.split() for line in table.out.splitlines() if line.strip()]
    assert head[:3] == ["machine", "sync", "id"]
    assert [row[:2] for row in rows] == [["air-001", "Synced"], ["air-002", "OutOfSync"], ["air-003", "OutOfSync"]]
    assert first["id"] in rows[0]
    assert yard.footprint() == before


class Mcr:
    """The MCR API's lists: ids that are not registered are dropped from a page, and counted all the same."""

    def __init__(self, listed: int, unregistered: set[int]) -> None:
        self.listed, self.unregistered = listed, unregistered
        self.lists: list[tuple[int, int]] = []
        self.singles: list[str] = []
        self.fails_at: int | None = None

    def __call__(self, method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        if path.startswith("/mcr/"):
            self.singles.append(path)
            return 200, {"machine_id": 0, "mcr": "B", "mcr_score": 31, "negative_flag": False}
        query = dict(part.split("=") for part in path.partition("?")[2].split("&"))
        offset, limit = int(query["offset"]), int(query["limit"])
        self.lists.append((offset, limit))
        if offset == self.fails_at:
            return 400, {"detail": "no"}
        assert limit <= 20
        ids = [n for n in range(self.listed)[offset : offset + limit] if n not in self.unregistered]
        machines = [{"machine_id": n, "mcr": "AA", "mcr_score": 85, "negative_flag": n == 7} for n in ids]
        return 200, {"machines": machines, "pagination": {"offset": offset, "limit": limit, "total": self.listed}}


async def ratings(url: str, count: int) -> dict[str, Any]:
    mcr = HttpApi("the MCR API", url)
    names = [SimpleNamespace(name=f"m{n}", address=f"0x{n:040x}") for n in range(count)]
    fleet = SimpleNamespace(operators={"default": SimpleNamespace(address="0x" + "1" * 40)}, machines=names)
    fleet.identity_of = lambda machine: SimpleNamespace(did=f"did:peaq:{machine.address}")
    session: Any = SimpleNamespace(mcr=mcr, project=SimpleNamespace(fleet=fleet))
    try:
        return dict(await health._ratings(session, {f"m{n}": str(n) for n in range(count)}))
    finally:
        await mcr.aclose()


async def test_pages_advance_by_their_limit_however_short_they_are(serve: Serve) -> None:
    mcr = Mcr(100, set(range(20, 40)) | {41})
    found = await ratings(serve(mcr), 20)
    assert mcr.lists == [(offset, 20) for offset in range(0, 100, 20)]
    assert not mcr.singles
    assert [found[str(n)]["negative_flag"] for n in (6, 7)] == [False, True]
    assert {str(n) for n in range(60, 100)} <= found.keys()


async def test_who_is_not_among_the_first_hundred_is_asked_for_alone(serve: Serve) -> None:
    mcr = Mcr(100, set())
    found = await ratings(serve(mcr), 130)
    assert sorted(mcr.singles) == sorted(f"/mcr/did%3Apeaq%3A0x{n:040x}" for n in range(100, 130))
    assert [found[str(n)]["mcr"] for n in (0, 99, 100, 129)] == ["AA", "AA", "B", "B"]


async def test_the_public_limit_of_questions_is_kept(serve: Serve) -> None:
    mcr = Mcr(100, set())
    found = await ratings(serve(mcr), 400)
    assert len(mcr.singles) + len(mcr.lists) <= 90
    assert len(found) == 100 + len(mcr.singles)


@pytest.mark.parametrize("fails_at", [0, 40])
async def test_what_was_read_before_a_failure_counts(serve: Serve, fails_at: int) -> None:
    mcr = Mcr(100, set())
    mcr.fails_at = fails_at
    found = await ratings(serve(mcr), 50)
    assert len(mcr.singles) == 50 - fails_at
    assert {rating["mcr"] for rating in found.values()} == ({"AA", "B"} if fails_at else {"B"})
