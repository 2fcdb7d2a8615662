"""Damaged manifests and damaged answers, thousands of each: only errors with words for people may come out."""

import asyncio
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from fuzz_mutate import damaged_body, damaged_json, damaged_text
from kinds_harness import ACCOUNTS, KINDS, fleet_of
from rich.console import Console

from reconciler.adapters.chain import RpcChain
from reconciler.adapters.checksum import checksum
from reconciler.adapters.http_api import HttpApi
from reconciler.adapters.reader import WorldReader
from reconciler.adapters.rpc import Rpc
from reconciler.adapters.sinks import DirectorySink
from reconciler.adapters.views import Views
from reconciler.cli.render.as_json import change_data, dump
from reconciler.cli.render.plan_text import render_plan
from reconciler.core.errors import FleetError, ManifestError
from reconciler.core.plan import Scene, build_plan
from reconciler.core.ports import Block, Receipt
from reconciler.engine.survey import observe_all
from reconciler.manifest.expand import expand
from reconciler.manifest.parse import load

TESTS = Path(__file__).parents[1]
SEED = 20
MANIFESTS, READINGS, CALLS = 3000, 350, 3000
"""Damaged manifests; readings of a whole fleet, with several damaged answers each; single calls."""
ENVIRON = {f"PEAQOS_{name}_URL": "https://example.com" for name in ("ORCHESTRATION", "MCR_API", "GAS_STATION")}
SMALL = """\
apiVersion: fleetctl/v1
kind: Fleet
name: berlin
network: {rpcUrl: "https://node.example.com/v2/key", chainId: 5, confirmations: {depth: 2},
  contracts: {identityRegistry: "@1", identityStaking: "@2", machineNft: "@3"}}
services: {markets: {url: "https://m.example.com", apiKey: {env: K}}, mcr: {url: "${PEAQOS_MCR_API_URL}"}}
operator: {key: {env: KEY}, address: "@4"}
guards: {maxSpend: 5 PEAQ, maxRemovals: 1}
tokens: {mode: keepFresh, rotateBefore: 10m, sink: {vault: {address: "https://v.example.com", token: {env: V}}}}
agents: {ops: {address: "@5", provider: x, key: {remote: {url: "https://s.example.com", address: "@5"}}}}
machines:
  - {name: a, address: "@6", key: {file: k}, v1: {attributes: {a: "1"}}}
  - {name: b, address: "@7", v1: {custody: none}}
"""
FLEET = """\
machinePolicies: {eu: {regionRules: [eu]}}
delegationPolicies: {small: {perTransactionLimit: 5, currency: USD, allowedSkillKeys: [a]}}
v1: {publishFleet: true, funding: {from: operator, below: 0.05 PEAQ, to: 0.2 PEAQ}}
machines:
  - name: press
    address: "@m1"
    key: {env: M1}
    v1: {attributes: {firmware: "1"}}
    market: {machineType: a, runtimeProfile: b, policies: [eu], labels: {a: b}, capabilities: [c]}
    pairings: [{agent: ops, role: ops, delegationPolicy: small}]
    runtimeEndpoints: {qvac: {endpointBaseUrl: "http://10.0.0.7:8080"}}
"""
STAMP = "2026-01-01T00:00:00.000Z"
LISTS: dict[str, list[dict[str, Any]]] = {
    "machines": [
        {
            "id": "mach_1", "status": "active", "identityRef": f"did:peaq:{ACCOUNTS['m1']}", "displayName": "press",
            "labels": {"a": "b"}, "policyIds": ["p1"], "capabilities": ["c"], "ownerId": "x", "machineType": "a",
        }
    ],
    "policies": [{"id": "p1", "name": "eu", "regionRules": ["eu"]}],
    "agent-pairings": [
        {
            "id": "pair_1", "agentAddress": ACCOUNTS["agent"], "agentProvider": "anthropic", "agentRole": "ops",
            "status": "active", "updatedAt": STAMP, "sessionIssuedAt": STAMP, "sessionExpiresAt": STAMP,
            "hasAuthToken": True, "tokenLastFour": "abcd", "sessionId": "s1",
            "delegationPolicy": {"perTransactionLimit": 5, "currency": "USD", "allowedSkillKeys": ["a"]},
        }
    ],
    "runtime-endpoints": [{"providerKey": "qvac", "endpointBaseUrl": "http://10.0.0.7:8080", "label": "x"}],
}  # fmt: skip
BLOCK = {
    "number": "0x5", "hash": "0x" + "1" * 64, "parentHash": "0x" + "2" * 64, "timestamp": "0x1", "baseFeePerGas": "0x1",
    "gasLimit": "0xe4e1c0",
    "transactions": [],
}  # fmt: skip
MINED = {"transactionHash": "0x1", "blockNumber": "0x5", "blockHash": "0x2", "status": "0x1", "gasUsed": "0x5208"}
WORD = "0x" + "1".zfill(64)
RESULTS = {"eth_getBlockByNumber": BLOCK, "eth_getTransactionReceipt": MINED, "eth_getBlockReceipts": [MINED]}


class Liar:
    """Answers as a Markets server and a node would, and damages some of what it says. It counts what it damaged."""

    def __init__(self, random: Random, share: float) -> None:
        self.random, self.share, self.damaged = random, share, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        status, honest = 200, self._honest(request)
        if self.random.random() > self.share:
            return httpx.Response(status, json=honest)
        self.damaged += 1
        if self.random.random() < 0.2:
            status = self.random.choice((201, 204, 301, 307, 400, 401, 404, 409, 429, 500, 502))
            honest = {"error": {"code": "NOT_FOUND", "message": "no", "details": {}}}
        headers = {
            "location": "https://example.org/",
            "retry-after": self.random.choice(("0", "x", "nan", "-1", "1e9")),
        }
        return httpx.Response(status, content=damaged_body(honest, self.random), headers=headers)

    def _honest(self, request: httpx.Request) -> Any:
        if request.url.host == "node":
            asked = json.loads(request.content)
            answers = [self._result(one) for one in (asked if isinstance(asked, list) else [asked])]
            return answers if isinstance(asked, list) else answers[0]
        if request.method != "GET":
            return {"item": LISTS["agent-pairings"][0]}
        name = request.url.path.rpartition("/")[2]
        return {"items": LISTS[name]} if name in LISTS else {"item": LISTS["machines"][0]}

    def _result(self, asked: dict[str, Any]) -> dict[str, Any]:
        answer = {"jsonrpc": "2.0", "id": asked["id"]}
        if self.random.random() < 0.15:
            data = self.random.choice(("0x", "0x08c379a0", "0x08c379a0" + "f" * 128, WORD, 7, {"data": {}}, "zz"))
            return {**answer, "error": {"code": 3, "message": "execution reverted", "data": data}}
        result = RESULTS.get(asked["method"], WORD)
        if self.random.random() < self.share:
            self.damaged += 1
            result = damaged_json(result, self.random)
        return {**answer, "result": result}


class Receipts:
    def signers(self) -> list[tuple[str, str]]:
        return []

    def subjects(self, kind: str) -> list[tuple[str, str]]:
        return []

    def receipt(self, name: str) -> Receipt | None:
        return Receipt(name, "pair_1", "d", "abcd", STAMP, STAMP, STAMP)


async def nothing_minted(account: str, last: int) -> list[str]:
    return []


@pytest.fixture
def liar() -> Liar:
    return Liar(Random(SEED), 0.25)


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def ports(liar: Liar) -> tuple[HttpApi, Rpc]:
    transport = httpx.MockTransport(liar)
    api = HttpApi("Machine Markets", "https://markets", api_key="k" * 12, sleep=at_once, transport=transport)
    return api, Rpc(["https://node"], sleep=at_once, transport=transport)


def test_damaged_manifests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = re.sub(r"@(\d)", lambda found: f"0x{int(found[1]):040x}", SMALL)
    example = (TESTS / "manifest/example.yaml").read_text()
    random, ends = Random(SEED), Counter[str]()
    for name in ("sensors.csv", "sites/a.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("id,address\n1,0x" + "2" * 40 if name.endswith("csv") else "machines: []\n")
    for case in range(MANIFESTS):
        damaged = damaged_text(example if case % 20 == 0 else text, random)
        (tmp_path / "fleet.yaml").write_bytes(damaged.encode("utf-8", "surrogatepass"))
        try:
            manifest = load(tmp_path / "fleet.yaml", KINDS, ENVIRON if case % 2 else None, checksum=checksum)
            expand(manifest.fleet, KINDS)
            ends["taken"] += 1
        except ManifestError as error:
            assert all(problem.message for problem in error.problems), damaged
            ends["refused"] += 1
        except FleetError:
            ends["refused otherwise"] += 1
        except Exception as error:
            raise AssertionError(f"case {case}: {damaged!r}") from error
    with capsys.disabled():
        print(f"\n{MANIFESTS} damaged manifests: {dict(ends)}")
    assert ends["refused"] > MANIFESTS // 3
    assert ends["taken"] > MANIFESTS // 50


def test_damaged_answers_to_readings(
    liar: Liar, ports: tuple[HttpApi, Rpc], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api, rpc = ports
    fleet, resources = fleet_of(FLEET)
    assert {resource.address.kind for resource in resources} > {"machine_record", "agent_pairing", "session_token"}
    ends = Counter[str]()

    async def read() -> None:
        for case in range(READINGS):
            views = Views(rpc, None, 5)
            reader = WorldReader(
                views, fleet.network.contracts, markets=api, mcr=None, receipts=Receipts(),
                sink=DirectorySink(tmp_path), minted=nothing_minted, now=0.0,
            )  # fmt: skip
            try:
                observations = await observe_all(resources, reader)
                plan = build_plan(Scene(resources, observations, lambda _: True, gas_price=1))
                render_plan(plan, Console(file=(shown := io.StringIO()), width=100), verbose=True)
                said = (
                    shown.getvalue() + dump({"changes": [change_data(change) for change in plan.changes]}) + plan.digest
                )
            except Exception as error:
                raise AssertionError(f"reading {case}") from error
            assert "\x1b" not in said
            ends.update(str(change.action) if not change.unreadable else "unreadable" for change in plan.changes)

    asyncio.run(read())
    with capsys.disabled():
        print(f"\n{READINGS} readings of {len(resources)} resources, {liar.damaged} damaged answers: {dict(ends)}")
    assert liar.damaged > 1500
    assert ends["unreadable"] > READINGS
    assert ends["no-op"] + ends["update"] > READINGS


def calls(api: HttpApi, chain: RpcChain) -> Iterator[Any]:
    block = Block(5, "0x1", 1, 1, 1, ("0x1", "0x2"))
    yield api.send("POST", ("machines",), {"a": 1})
    yield api.item(("machines", "mach_1"))
    yield chain.chain_id()
    yield chain.head()
    yield chain.fees()
    yield chain.mined(["0x1", "0x2"])
    yield chain.receipts(block)
    yield chain.known("0x1")
    yield chain.broadcast("0x00")
    yield chain.code("0x1")


def test_damaged_answers_to_calls(liar: Liar, ports: tuple[HttpApi, Rpc], capsys: pytest.CaptureFixture[str]) -> None:
    api, rpc = ports
    chain = RpcChain(rpc, fleet_of(FLEET)[0].network.contracts)
    liar.share = 0.8
    ends = Counter[str]()

    async def call() -> None:
        for _ in range(CALLS // 10):
            for one in calls(api, chain):
                try:
                    await asyncio.wait_for(one, 5)
                    ends["answered"] += 1
                except FleetError as error:
                    assert error.message
                    ends[type(error).__name__] += 1

    asyncio.run(call())
    with capsys.disabled():
        print(f"\n{CALLS} calls, {liar.damaged} damaged answers: {dict(ends)}")
    assert liar.damaged > 7000
    assert ends["Unreachable"] > CALLS // 10
