"""The reads of a plan that finds all as declared, with nothing around them: no plan can be quicker.

Reads {"machines": [address, ...], "operator": address, "attributes": [name, ...]} from stdin, and the sandbox from the
environment. Every question is one that a plan must ask, at one block, through Multicall3 in groups of 400. The groups
are laid out by fleetctl's own codec: for 400 calls it takes 4 ms of a processor where `eth_abi` takes 51. Services are
asked over fleetctl's own connections: a pool of 32 looks through all of them 20 times for each request.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

started = time.perf_counter()
sys.path[:0] = [str(Path(__file__).parents[1])]

import httpx  # noqa: E402

from reconciler.adapters import abi, aggregate  # noqa: E402
from reconciler.adapters.connections import Connections  # noqa: E402

MULTICALL = "0xcA11bde05977b3631167028862bE2a173976CA11"
DID = "0x0000000000000000000000000000000000000800"
GROUP, CHAIN_AT_ONCE, PAGE = 400, 4, 500
LONGEST = 64 * 1024 * 1024
ID_OF = "machineIdOfOwner(address)(uint256)"
ATTRIBUTE = "readAttribute(address,bytes)((bytes,bytes,uint32,uint256))"
BALANCE = "getEthBalance(address)(uint256)"
INFO = "getVerificationInfo(uint256)(address,address,bool,uint8)"
OPERATOR_OF, TOKEN_OF, HOLDER_OF = (
    "operatorOf(uint256)(address)",
    "tokenIdOf(uint256)(uint256)",
    "ownerOf(uint256)(address)",
)
Question = tuple[str, str, tuple[object, ...]]


@dataclass
class Chain:
    """Contract reads at one block."""

    http: httpx.AsyncClient
    block: str = "latest"
    requests: int = 0

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(CHAIN_AT_ONCE)

    async def call(self, method: str, *params: object) -> Any:
        async with self._slots:
            self.requests += 1
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            answer = (await self.http.post(os.environ["PEAQOS_RPC_URL"], json=body)).json()
        return answer["result"]

    async def ask(self, questions: Sequence[Question]) -> list[Any]:
        """The first value of each answer, None for a refusal."""
        groups = [questions[at : at + GROUP] for at in range(0, len(questions), GROUP)]
        found = await asyncio.gather(*map(self._group, groups))
        return [value for values in found for value in values]

    async def _group(self, group: Sequence[Question]) -> list[Any]:
        data = aggregate.calldata([(to, abi.question(function, args)) for to, function, args in group])
        answer = await self.call("eth_call", {"to": MULTICALL, "data": "0x" + data.hex()}, self.block)
        answers = aggregate.answers(bytes.fromhex(answer[2:]))
        return [
            abi.results(function, found)[0] if ok else None
            for (_, function, _), (ok, found) in zip(group, answers, strict=True)
        ]


async def chain_reads(http: httpx.AsyncClient, wanted: dict[str, Any]) -> dict[str, int]:
    """Three waves: what the address tells, what the id tells, what the token tells."""
    chain, machines = Chain(http), wanted["machines"]
    chain.block = await chain.call("eth_blockNumber")
    registry, nft = os.environ["IDENTITY_REGISTRY_ADDRESS"], os.environ["MACHINE_NFT_ADDRESS"]
    staking = os.environ["IDENTITY_STAKING_ADDRESS"]
    terms: list[Question] = [
        (registry, "minBond()(uint256)", ()),
        (staking, "paused()(bool)", ()),
        (nft, "paused()(bool)", ()),
        (registry, ID_OF, (wanted["operator"],)),
        *((DID, ATTRIBUTE, (wanted["operator"], name)) for name in (b"machineId", b"machines")),
    ]
    names = [name.encode() for name in wanted["attributes"]]
    told = chain.ask([*terms, *((MULTICALL, BALANCE, (a,)) for a in machines), *_attributes(machines, names)])
    ids, told_values = await asyncio.gather(chain.ask([(registry, ID_OF, (a,)) for a in machines]), told)
    infos, tokens = await asyncio.gather(
        chain.ask([(registry, function, (i,)) for i in ids for function in (INFO, OPERATOR_OF)]),
        chain.ask([(nft, TOKEN_OF, (i,)) for i in ids]),
    )
    holders = await chain.ask([(nft, HOLDER_OF, (t,)) for t in tokens])
    values = [*ids, *told_values, *infos, *tokens, *holders]
    return {"reads": len(values), "refused": values.count(None), "chainRequests": chain.requests}


def _attributes(machines: Iterable[str], names: Sequence[bytes]) -> Iterable[Question]:
    return ((DID, ATTRIBUTE, (account, name)) for account in machines for name in names)


async def market_reads(connections: Connections) -> dict[str, int]:
    """All records, page by page, and the pairings of each as soon as its page is there."""

    async def get(path: str, **params: Any) -> Any:
        reply = await connections.exchange("GET", f"{path}?{urlencode(params)}")
        if reply.status != HTTPStatus.OK:
            raise RuntimeError(f"{path} is answered with {reply.status}")
        return json.loads(reply.content)

    async def pairings(record: str) -> int:
        return len((await get(f"/machines/{record}/agent-pairings", limit=PAGE))["items"])

    tasks, cursor, pages = [], None, 0
    while cursor or not pages:
        page = await get("/machines", limit=PAGE, **({"cursor": cursor} if cursor else {}))
        tasks += [asyncio.ensure_future(pairings(record["id"])) for record in page["items"]]
        cursor, pages = page.get("nextCursor"), pages + 1
    counts = await asyncio.gather(*tasks)
    return {"records": len(counts), "pairings": sum(counts), "marketRequests": pages + len(counts)}


async def main() -> None:
    wanted, begun = json.load(sys.stdin), time.perf_counter()
    base, headers = os.environ["PEAQOS_ORCHESTRATION_URL"] + "/api/v1", {"x-api-key": os.environ["PEAQOS_API_KEY"]}
    services = Connections(base, headers=headers, seconds=60, longest=LONGEST)
    async with (
        httpx.AsyncClient(timeout=60, trust_env=False) as node,
        aclosing(services) as markets,
    ):
        chain, market = await asyncio.gather(chain_reads(node, wanted), market_reads(markets))
    ended = time.perf_counter()
    print(json.dumps({**chain, **market, "inside": ended - begun, "imports": begun - started}))


if __name__ == "__main__":
    asyncio.run(main())
