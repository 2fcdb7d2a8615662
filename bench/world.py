"""A whole world of many machines, made within seconds and kept: what a plan reads is as if a real apply had made it.

    python bench/world.py 1000          make it, or say where it is

The contracts do all of the chain's part, as called by each account itself, only in blocks without a limit. What the
services remember is put straight into their store. The plans of a world must be empty, and peaq's own SDK must read
the same: bench/plan.py looks at both.
"""

import asyncio
import hashlib
import json
import shutil
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

from eth_account import Account  # noqa: E402
from eth_utils.crypto import keccak  # noqa: E402
from platformdirs import user_cache_dir  # noqa: E402

from reconciler.sandbox import contracts, services, snapshot  # noqa: E402
from reconciler.sandbox.accounts import DESIGNATOR, NO_CODE  # noqa: E402
from reconciler.sandbox.chain import Chain, calldata  # noqa: E402
from reconciler.sandbox.config import Contracts, SandboxConfig  # noqa: E402
from reconciler.sandbox.node import BASE_FEE_WEI, BLOCK_GAS, start_node  # noqa: E402
from reconciler.sandbox.rpc import Call, NodeRpc  # noqa: E402
from reconciler.sandbox.services.chainview import RpcChain  # noqa: E402
from reconciler.sandbox.services.clock import iso  # noqa: E402
from reconciler.sandbox.services.faults import Faults  # noqa: E402
from reconciler.sandbox.services.identity import Mcr  # noqa: E402
from reconciler.sandbox.services.store import Store, new_id  # noqa: E402
from reconciler.sandbox.services.tokens import normalised_policy, start_session  # noqa: E402
from reconciler.sandbox.services.web import Context  # noqa: E402
from reconciler.sandbox.snapshot import SERVICES, Snapshot, save_chain  # noqa: E402
from reconciler.sandbox.toolchain import anvil_binary  # noqa: E402

PEAQ = 10**18
HELD = PEAQ // 5
CAPACITY = 2560
"""Bytes of one attribute, and so of the operator's list."""
NO_LIMIT = 10**12
CALL_GAS, CALLS, SENDS = 400_000, 256, 250
"""Gas set aside for a call; calls in a batch; transactions in a block."""
POLICY = {"allowedSkillKeys": ["pyth-price-feed"], "perTransactionLimit": 5, "dailySpendLimit": 20, "currency": "USD"}
MARKET = {"machineType": "dock", "runtimeProfile": "linux-arm64", "capabilities": ["price-feed"]}
PAIRING = {"agentProvider": "anthropic", "agentRole": "ops"}
HEAD = """\
apiVersion: fleetctl/v1
kind: Fleet
name: docks
network: sandbox
protocol: v1
services:
  markets: {{url: "${{PEAQOS_ORCHESTRATION_URL}}", apiKey: {{env: PEAQOS_API_KEY}}}}
  mcr: {{url: "${{PEAQOS_MCR_API_URL}}"}}
operator: {{key: {{env: PEAQOS_PRIVATE_KEY}}}}
v1: {{publishFleet: true, funding: {{from: operator, below: 0.05 PEAQ, to: 0.2 PEAQ}}}}
tokens: {{sink: {{directory: secrets/}}}}
delegationPolicies: {{buyer: {policy}}}
agents: {{ops: {{address: "{agent}", provider: anthropic, key: {{file: keys/ops.key}}}}}}
defaults:
  metadata: {{documentationUrl: "https://docs.example.com/{{name}}", dataApi: "https://data.example.com/{{name}}"}}
  v1: {{dataVisibility: public}}
  market: {market}
  pairings: [{{agent: ops, role: ops, delegationPolicy: buyer}}]
"""


@dataclass(frozen=True)
class Wallet:
    name: str

    @cached_property
    def key(self) -> str:
        """The same in every run: worth nothing anywhere."""
        return "0x" + bytes(keccak(text=f"fleetctl bench {self.name}")).hex()

    @cached_property
    def address(self) -> str:
        return str(Account.from_key(self.key).address)


OPERATOR, AGENT = Wallet("operator"), Wallet("ops")


@dataclass(frozen=True)
class World:
    """What was made: `directory` is a snapshot of the sandbox, with the fleet's own files beside it."""

    directory: Path
    size: int

    @property
    def fleet(self) -> Path:
        return self.directory / "fleet"

    def machines(self) -> list[Wallet]:
        return wallets(self.size)

    def copy_fleet(self, to: Path) -> None:
        """Manifest, keys and tokens, for a run to work in."""
        shutil.copytree(self.fleet, to)


def wallets(size: int) -> list[Wallet]:
    return [Wallet(f"dock-{number:05d}") for number in range(1, size + 1)]


def world(size: int) -> World:
    """The world of that size, made unless it is there; half a one is never kept."""
    home = Path(user_cache_dir("fleetctl")) / "bench-worlds"
    place = home / f"{size}-{_made_of()}"
    if not place.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".making-") as scratch:
            draft = Path(scratch) / "world"
            draft.mkdir()
            asyncio.run(_make(draft, size))
            draft.rename(place)
    return World(place, size)


def _made_of() -> str:
    """Changes with whatever has a part in it."""
    parts = [Path(__file__), Path(str(snapshot.__file__)), *sorted(contracts.ARTIFACTS.glob("*.json"))]
    parts += sorted(Path(str(services.__file__)).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(part.read_bytes() for part in parts)).hexdigest()[:16]


def write_fleet(directory: Path, machines: Sequence[Wallet]) -> None:
    """The manifest and its keys, written by hand: nothing of fleetctl has a part in it."""
    (directory / "keys").mkdir(parents=True, mode=0o700)
    for wallet in (AGENT, *machines):
        path = directory / "keys" / f"{wallet.name}.key"
        path.touch(mode=0o600)
        path.write_text(wallet.key)
    head = HEAD.format(policy=json.dumps(POLICY), market=json.dumps(MARKET), agent=AGENT.address)
    lines = [f'  - {{name: {w.name}, address: "{w.address}", key: {{file: keys/{w.name}.key}}}}\n' for w in machines]
    (directory / "fleet.yaml").write_text(head + "machines:\n" + "".join(lines))


async def _make(directory: Path, size: int) -> None:
    machines = wallets(size)
    write_fleet(directory / "fleet", machines)
    with tempfile.TemporaryDirectory(prefix="fleetctl-world-") as scratch:
        node = start_node(anvil_binary(), Path(scratch))
        rpc = NodeRpc(node.url)
        try:
            admin = (await rpc.call("eth_accounts"))[0]
            await _Builder(rpc, admin).build(machines)
            await save_chain(rpc, directory, Snapshot(OPERATOR.key, admin))
            await _remember(directory, machines)
        finally:
            await rpc.close()
            node.stop()


class _Builder:
    """Writes the chain's part, as the accounts themselves."""

    def __init__(self, rpc: NodeRpc, admin: str) -> None:
        self._rpc = rpc
        self._at = Contracts()
        self._chain = Chain(rpc, self._at, admin, automine=False)

    async def build(self, machines: Sequence[Wallet]) -> None:
        await self._rpc.call("evm_setAutomine", False)
        await self._chain.install()
        await self._rpc.call("anvil_setBlockGasLimit", hex(NO_LIMIT))
        await self._rpc.call("anvil_autoImpersonateAccount", True)
        accounts = [OPERATOR.address, *(machine.address for machine in machines)]
        await self._set("anvil_setBalance", accounts, hex((len(machines) + 10_000) * PEAQ))
        await self._set("anvil_setCode", accounts, DESIGNATOR)
        await self._mine(self._sends(machines))
        await self._set("anvil_setCode", accounts, NO_CODE)
        await self._set("anvil_setBalance", accounts[1:], hex(HELD))
        await self._rpc.call("anvil_setBlockGasLimit", hex(BLOCK_GAS))
        await self._rpc.call("anvil_setNextBlockBaseFeePerGas", hex(BASE_FEE_WEI))
        await self._rpc.call("evm_mine")

    def _sends(self, machines: Sequence[Wallet]) -> Iterator[Call]:
        """Ids count from the operator's 1 on, tokens from 1 on: all is known before it is done."""
        at, ids = self._at, range(2, len(machines) + 2)
        yield self._batch(OPERATOR, [(at.identity_registry, PEAQ, calldata("register()"))])
        registered = [
            (at.identity_registry, PEAQ, calldata("registerFor(address)", machine.address)) for machine in machines
        ]
        minted = [
            (at.machine_nft, 0, calldata("mint(uint256,address)", ident, machine.address))
            for ident, machine in zip(ids, machines, strict=True)
        ]
        for calls in (registered, minted):
            for start in range(0, len(calls), CALLS):
                yield self._batch(OPERATOR, calls[start : start + CALLS])
        yield self._attributes(OPERATOR, {"machineId": "1", "machines": listed(ids)})
        for token, (ident, machine) in enumerate(zip(ids, machines, strict=True), 1):
            yield self._attributes(machine, attributes(machine, ident, token))

    def _attributes(self, wallet: Wallet, values: dict[str, str]) -> Call:
        add = "addAttribute(address,bytes,bytes,uint32)"
        data = [calldata(add, wallet.address, name.encode(), value.encode(), 0) for name, value in values.items()]
        return self._batch(wallet, [(self._at.did, 0, call) for call in data])

    def _batch(self, sender: Wallet, calls: Sequence[tuple[str, int, str]]) -> Call:
        to, values, data = zip(*calls, strict=True)
        bodies = [bytes.fromhex(call[2:]) for call in data]
        packed = calldata("batchAll(address[],uint256[],bytes[],uint64[])", to, values, bodies, [])
        # The operator's list alone takes more than any call beside it.
        gas = hex(CALL_GAS * len(calls) + 4_000_000)
        return "eth_sendTransaction", ({"from": sender.address, "to": self._at.batch, "data": packed, "gas": gas},)

    async def _mine(self, sends: Iterator[Call]) -> None:
        waiting = list(sends)
        for start in range(0, len(waiting), SENDS):
            hashes = await self._rpc.batch(waiting[start : start + SENDS])
            await self._rpc.call("evm_mine")
            receipts = await self._rpc.batch([("eth_getTransactionReceipt", (sent,)) for sent in hashes])
            if any(receipt is None or receipt["status"] != "0x1" for receipt in receipts):
                raise RuntimeError("a transaction of the world to be made failed")

    async def _set(self, method: str, accounts: Sequence[str], value: str) -> None:
        for start in range(0, len(accounts), SENDS):
            await self._rpc.batch([(method, (account, value)) for account in accounts[start : start + SENDS]])


def attributes(machine: Wallet, ident: int, token: int) -> dict[str, str]:
    """What the manifest declares for the machine's DID."""
    return {
        "machineId": str(ident),
        "nftTokenId": str(token),
        "operator": f"did:peaq:{OPERATOR.address}",
        "documentation_url": f"https://docs.example.com/{machine.name}",
        "data_api": f"https://data.example.com/{machine.name}",
        "data_visibility": "public",
    }


def listed(ids: Sequence[int]) -> str:
    """As many ids as an operator can publish."""
    spaced = json.dumps(list(ids))
    if len(spaced) <= CAPACITY:
        return spaced
    room = bisect_right(range(1, len(ids) + 1), CAPACITY, key=lambda count: len(_compact(ids[:count])))
    return _compact(ids[:room])


def _compact(ids: Sequence[int]) -> str:
    return json.dumps(list(ids), separators=(",", ":"))


async def _remember(directory: Path, machines: Sequence[Wallet]) -> None:
    """What Machine Markets would know, and the tokens that only their receiver has."""
    config, faults = SandboxConfig(directory, "", ""), Faults()
    chain, store = RpcChain(config), Store(directory / SERVICES)
    ctx = Context(config, store, faults, chain, Mcr(chain, faults))
    secrets = directory / "fleet" / "secrets"
    secrets.mkdir(mode=0o700)
    for machine in machines:
        record = _record(machine, ctx.tick())
        store.put("machine", record, natural=record["identityRef"])
        pairing, token = _pairing(ctx, record["id"])
        store.put("pairing", pairing, parent=record["id"])
        path = secrets / f"{machine.name}.ops.token"
        path.touch(mode=0o600)
        path.write_text(token + "\n")
    store.close()


def _record(machine: Wallet, now: str) -> dict[str, Any]:
    identity = f"did:peaq:{machine.address}"
    proof = {
        "method": "eip191",
        "identityRef": identity,
        "signerAddress": machine.address,
        "challengeId": new_id("chal"),
        "verifiedAt": now,
        "challengeExpiresAt": now,
        "controllerAddresses": [machine.address],
        "resolutionSource": "peaqos-mcr",
    }
    return {
        "id": new_id("mach"),
        "status": "active",
        "identityRef": identity,
        "identityProof": proof,
        "verifiedMs": 0,
        "displayName": machine.name,
        "ownerId": f"did:peaq:{OPERATOR.address}",
        **MARKET,
        "labels": {},
        "policyIds": [],
        "skillKeys": [],
        "createdAt": now,
        "updatedAt": now,
    }


def _pairing(ctx: Context, record: str) -> tuple[dict[str, Any], str]:
    moment = ctx.store.clock.tick()
    now = iso(moment)
    pairing = {
        "id": new_id("pair"),
        "machineId": record,
        "status": "active",
        "agentAddress": AGENT.address,
        "agentDid": f"did:pkh:eip155:1:{AGENT.address}",
        **PAIRING,
        "description": None,
        "verification": {
            "method": "eip191",
            "signerAddress": AGENT.address,
            "verifiedAt": now,
            "challengeExpiresAt": now,
        },
        "delegationPolicy": normalised_policy(POLICY),
        "createdAt": now,
        "updatedAt": now,
    }
    return pairing, start_session(ctx, pairing, moment)


if __name__ == "__main__":
    for given in sys.argv[1:]:
        print(world(int(given)).directory)
