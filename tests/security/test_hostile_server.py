"""Services and nodes that mean no good: told plainly, with place and remedy, within bounds, and given nothing."""

import asyncio
import gzip
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import pytest
from e2e_harness import Ran, Yard
from hostile_harness import Answer, Hose, Pass, saying
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from reconciler.adapters import http_api, rpc
from reconciler.adapters.http_api import HttpApi
from reconciler.adapters.rpc import Rpc
from reconciler.core.errors import Ambiguous, Rejected, Unreachable
from reconciler.engine.requests import check_challenge

Serve = Callable[[Answer], str]
MakeYard = Callable[..., Yard]
MB = 1024 * 1024
KEY = "canary-api-key-0123456789"
MARKETS, NODE = "check the service's url", "check network.rpcUrl"


def plain(ran: Ran, code: int, *words: str) -> None:
    """Ended as it should, with words for people."""
    assert ran.code == code, ran.said
    for word in ("Traceback", "did not expect", "unexpected", "Task exception", "\x1b"):
        assert word not in ran.said, ran.said
    said = " ".join(ran.said.split())
    for word in words:
        assert word in said, ran.said


def grown() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


def markets(url: str, timeout: float = 5.0) -> HttpApi:
    return HttpApi("Machine Markets", f"{url}/api/v1", api_key=KEY, timeout=timeout, sleep=at_once)


async def test_an_answer_without_end_is_cut_off(serve: Serve) -> None:
    hose, before = Hose(), grown()
    api = markets(serve(hose))
    with pytest.raises(Unreachable, match="far too much"):
        await api.get(("machines",))
    with pytest.raises(Ambiguous, match="far too much"):
        await api.send("POST", ("machines",), {})
    await api.aclose()
    assert hose.sent < (http_api.ATTEMPTS + 1) * (http_api.MAX_BODY + 8 * MB)
    assert grown() - before < 200


async def test_a_bomb_is_cut_off(serve: Serve) -> None:
    bomb, before = gzip.compress(bytes(400 * MB), 1), grown()
    api = markets(serve(saying(bomb, **{"content-encoding": "gzip"})))
    with pytest.raises(Unreachable, match="far too much"):
        await api.get(("machines",))
    await api.aclose()
    assert grown() - before < 300


@pytest.mark.parametrize("pause", [0.02])
async def test_a_drip_ends_in_time(serve: Serve, pause: float) -> None:
    """Each byte comes long before the time for one is over, and the whole never."""
    hose = Hose(pause)
    url = serve(hose)
    api, node = markets(url, timeout=0.2), Rpc([url], timeout=0.2, sleep=at_once)
    started = time.monotonic()
    with pytest.raises(Unreachable, match="ReadTimeout"):
        await api.get(("machines",))
    with pytest.raises(Ambiguous, match="ReadTimeout"):
        await api.send("POST", ("machines",), {})
    with pytest.raises(Unreachable, match="ReadTimeout"):
        await node.call("eth_chainId")
    assert time.monotonic() - started < 0.4 * (http_api.ATTEMPTS + 1 + rpc.ATTEMPTS) + 3
    await api.aclose()
    await node.aclose()


async def test_pages_without_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_api, "MAX_PAGES", 50)
    asked = 0

    async def endless(_: Request) -> Response:
        nonlocal asked
        asked += 1
        return Response(json.dumps({"items": [{"id": str(asked)}], "nextCursor": str(asked)}))

    api = markets(serve(endless))
    with pytest.raises(Unreachable, match="does not end"):
        await api.items(("machines",))
    assert asked == 50
    monkeypatch.setattr(http_api, "MAX_LIST", 500)
    with pytest.raises(Unreachable, match="does not end"):
        await api.items(("machines",))
    assert asked < 80
    await api.aclose()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed_and_the_key_stays(serve: Serve, status: int) -> None:
    visitors: list[dict[str, str]] = []

    async def elsewhere(request: Request) -> Response:
        visitors.append(dict(request.headers))
        return Response(json.dumps({"items": [], "item": {}, "jsonrpc": "2.0", "id": 1, "result": "0x1"}))

    target = serve(elsewhere)

    async def away(_: Request) -> Response:
        return RedirectResponse(target, status)

    url = serve(away)
    api, node = markets(url), Rpc([f"{url}/v2/key"], sleep=at_once)
    with pytest.raises(Unreachable, match="redirect") as told:
        await api.items(("machines",))
    assert MARKETS in told.value.hint
    with pytest.raises(Ambiguous, match="redirect"):
        await api.send("POST", ("machines",), {})
    with pytest.raises(Unreachable, match="redirect"):
        await node.call("eth_chainId")
    assert visitors == []
    await api.aclose()
    await node.aclose()


RPC_ANSWERS: dict[str, Any] = {
    "an error code that is text": {"jsonrpc": "2.0", "id": 1, "error": {"code": "abc", "message": "x"}},
    "an error code that is a list": {"jsonrpc": "2.0", "id": 1, "error": {"code": [], "message": {}}},
    "an id that is a list": {"jsonrpc": "2.0", "id": [1], "result": "0x1"},
    "another id": {"jsonrpc": "2.0", "id": 77, "result": "0x1"},
    "no id": {"jsonrpc": "2.0", "result": "0x1"},
    "nested without end": b"[" * 200_000,
    "half a character": b'{"jsonrpc": "2.0", "id": 1, "result": "\\ud800"}',
    "infinity": b'{"jsonrpc": "2.0", "id": 1, "result": 1e999}',
    "a refusal of another shape": [{"error": "no"}],
    "HTML": b"<html><body>hello</body></html>",
    "a steered terminal": {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "\x1b[2Jgone\u202e"}},
}


@pytest.mark.parametrize("name", RPC_ANSWERS)
def test_a_node_of_another_mind(new_yard: MakeYard, serve: Serve, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "ATTEMPTS", 1)
    yard = new_yard(1)
    yard.environ["PEAQOS_RPC_URL"] = serve(saying(RPC_ANSWERS[name]))
    for command in (["plan"], ["apply", "--yes"], ["status"]):
        plain(yard.run("--timeout", "2", *command), 1, "Error: ", "node at http://127.0.0.1:", f"→ {NODE}")


async def mainnet(request: Request) -> Response:
    """A node of chain 3338, which has no contract of ours."""
    asked = await request.json()
    head = dict.fromkeys(("number", "hash", "parentHash", "timestamp", "gasLimit"), "0x1")
    answers = {"eth_getBlockByNumber": head, "eth_chainId": "0xd0a"}
    calls = asked if isinstance(asked, list) else [asked]
    found = [{"jsonrpc": "2.0", "id": call["id"], "result": answers.get(call["method"], "0x")} for call in calls]
    return JSONResponse(found if isinstance(asked, list) else found[0])


def test_a_node_of_another_chain(new_yard: MakeYard, serve: Serve) -> None:
    yard = new_yard(1)
    yard.environ["PEAQOS_RPC_URL"] = serve(mainnet)
    plain(yard.run("plan"), 3, "is chain 3338; the manifest says", "→ correct network")


async def test_a_node_without_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "ATTEMPTS", 1)
    hose = Hose()
    node = Rpc([serve(hose)], sleep=at_once)
    with pytest.raises(Unreachable, match="far too much"):
        await node.call("eth_chainId")
    assert hose.sent < rpc.MAX_BODY + 16 * MB
    await node.aclose()


MARKETS_ANSWERS: dict[str, Any] = {
    "HTML": b"<html><body>hello</body></html>",
    "items that are text": {"items": "none"},
    "items of text": {"items": ["a", 1, None]},
    "nested without end": b'{"items":' + b"[" * 200_000,
    "half a character": b'{"items": [{"id": "\\ud800"}]}',
    "nothing": b"",
    "a list": [],
}


@pytest.mark.parametrize("name", MARKETS_ANSWERS)
def test_markets_of_another_mind(new_yard: MakeYard, serve: Serve, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_api, "ATTEMPTS", 1)
    yard = new_yard(1)
    yard.environ["PEAQOS_ORCHESTRATION_URL"] = yard.environ["PEAQOS_MCR_API_URL"] = serve(saying(MARKETS_ANSWERS[name]))
    plain(yard.run("plan"), 1, "machine_record", "Machine Markets", MARKETS)
    plain(yard.run("status"), 0, "Unknown")
    plain(yard.run("preflight"), 1 if name not in ("items that are text", "items of text") else 0)


STRANGE_FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("plan", {"id": {}}),
    ("plan", {"delegationPolicy": "all", "labels": 7}),
    ("plan", {"delegationPolicy": {"allowedSkillKeys": [{}], "perTransactionLimit": "x"}}),
    ("plan", {"updatedAt": 5, "displayName": "\x1b[2J[/bold]\u202e"}),
    ("plan", {"agentRole": [1], "capabilities": 10**400}),
    ("plan", {"sessionExpiresAt": 10**30}),
    ("status", {"mcr": "[/bold]\x1b[2J", "mcr_score": "x", "status": "[/bold]"}),
    ("status", {"mcr": {"a": 1}, "machine_id": [], "negative_flag": "no"}),
    ("status", {"machines": 5}),
    ("status", {"pagination": {"total": 10**15}}),
]
"""What is asked, and what the services say instead in whatever has these fields."""


def test_every_field_of_another_type(new_yard: MakeYard, serve: Serve) -> None:
    """A converged fleet whose services then say something else, one field after the other."""
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    before = yard.footprint()
    told: dict[str, Any] = {}

    def twist(request: Request, status: int, body: Any) -> tuple[int, Any]:
        def changed(item: Any) -> Any:
            return (
                {**item, **{k: v for k, v in told.items() if k in item or k == "labels"}}
                if isinstance(item, dict)
                else item
            )

        if isinstance(body, dict):
            body = changed({name: list(map(changed, v)) if isinstance(v, list) else v for name, v in body.items()})
        return status, body

    info = yard.world.info
    yard.environ["PEAQOS_ORCHESTRATION_URL"] = serve(Pass(info.markets_url, twist))
    yard.environ["PEAQOS_MCR_API_URL"] = serve(Pass(info.mcr_url, twist))
    for command, fields in STRANGE_FIELDS:
        told = fields
        ran = yard.run(command)
        assert ran.code in (0, 1), (fields, ran.said)
        plain(ran, ran.code)
    assert yard.footprint() == before


SITE = "evil.example wants you to sign in with your Ethereum account:\n{agent}\n\n{challenge} {machine}\n\nURI: https://evil.example"
TWISTS: dict[str, tuple[str, str]] = {
    "a sign-in to another site": (SITE, "a sign-in to evil.example"),
    "a sign-in in disguise": (
        "{challenge} {machine} {agent}\nURI: https://evil.example/login",
        "a sign-in to evil.example",
    ),
    "another challenge": ("Challenge: chal_other\nMachine: {machine}\nAgent: {agent}", "does not name chal_"),
    "another machine": ("Challenge: {challenge}\nMachine: mach_other\nAgent: {agent}", "does not name mach_"),
    "another agent": ("Challenge: {challenge}\nMachine: {machine}\nAgent: 0xother", "does not name 0x"),
    "a longer machine": ("Challenge: {challenge}\nMachine: {machine}0\nAgent: {agent}", "does not name mach_"),
    "a steered terminal": ("\x1b[2J", "does not name"),
}


def test_a_challenge_for_something_else_is_not_signed(new_yard: MakeYard, serve: Serve) -> None:
    yard = new_yard(1)
    told = {"message": ""}

    def twist(request: Request, status: int, body: Any) -> tuple[int, Any]:
        if request.url.path.endswith("/agent-pairings/challenges") and status < 300:
            item = body["item"]
            values = {"challenge": item["challengeId"], "machine": item["machineId"], "agent": item["agentAddress"]}
            body["item"]["message"] = told["message"].format(**values)
        return status, body

    way = Pass(yard.world.info.markets_url, twist)
    yard.environ["PEAQOS_ORCHESTRATION_URL"] = serve(way)
    for told["message"], words in TWISTS.values():
        ran = yard.run("apply", "--yes")
        plain(ran, 5, "agent_pairing/air-001/ops: failed", "refused to sign a challenge that", words, "it says:")
    assert not any("agentProof" in (body or {}) for _, _, body in way.seen), "something was signed"
    assert any("identityProof" in (body or {}) for _, _, body in way.seen)


def test_what_may_be_signed() -> None:
    hosts = ("markets.example", "markets.example:8443")
    for good in (
        "Pair chal_1 at mach_1",
        "markets.example wants you to sign in with your Ethereum account:\nchal_1 mach_1\nURI: https://markets.example/x",
        "https://markets.example:8443 wants you to sign in with your account: chal_1 mach_1",
        "chal_1, (MACH_1). See https://docs.example/help",
    ):
        check_challenge(good, ("chal_1", "mach_1"), hosts)
    for bad in (
        "Pair chal_1 at mach_12",
        "xchal_1 mach_1",
        "markets.example.evil wants you to sign in with your Ethereum account:\nchal_1 mach_1",
        "markets.example@evil wants you to sign in with your Ethereum account:\nchal_1 mach_1",
        "chal_1 mach_1\n  evil wants you to sign in with your Ethereum account",
        "wants you to sign in chal_1 mach_1",
        "chal_1 mach_1\nURI: https://evil/markets.example",
    ):
        with pytest.raises(Rejected, match="refused to sign"):
            check_challenge(bad, ("chal_1", "mach_1"), hosts)
