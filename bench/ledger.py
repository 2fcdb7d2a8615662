"""What a run really did, read from blocks and counted at the sandbox's front: the same for whoever did it."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx
from eth_abi.abi import decode
from eth_account import Account
from protocols import Protocol, selector

from reconciler.sandbox.chain import calldata
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.node import BLOCK_GAS

PEAQ = 10**18
BATCH_TYPES = ["address[]", "uint256[]", "bytes[]", "uint64[]"]
BATCH_ALL = selector("batchAll(address[],uint256[],bytes[],uint64[])")


@dataclass(frozen=True)
class Mark:
    """A moment: where the chain stands and what was asked so far."""

    block: int
    requests: int
    calls: Counter[str]
    services: Counter[str]
    cpu: float
    """Processor seconds that the sandbox has taken, its node aside."""


class Ledger:
    """Reads one sandbox. Its own questions fall outside of what is measured."""

    def __init__(self, info: SandboxInfo) -> None:
        self._info = info
        self._http = httpx.Client(timeout=60, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def mark(self) -> Mark:
        block = int(self.rpc("eth_blockNumber"), 16)
        seen = self._http.get(f"{self._info.url}/sandbox/calls/rpc").raise_for_status().json()
        asked = self._http.get(f"{self._info.url}/sandbox/calls/services").raise_for_status().json()
        return Mark(block, seen["requests"], Counter(seen["calls"]), Counter(asked["calls"]), asked["cpuSeconds"])

    def rpc(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self._http.post(self._info.rpc_url, json=body).raise_for_status().json()
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def register_operator(self) -> int:
        """Its machine id. Both ways start from a proxy that is registered."""
        account = Account.from_key(self._info.operator_private_key)
        at = self._info.contracts.identity_registry
        fields = {
            "to": at,
            "value": PEAQ,
            "data": calldata("register()"),
            "gas": 400_000,
            "gasPrice": 2 * 10**9,
            "nonce": int(self.rpc("eth_getTransactionCount", account.address, "latest"), 16),
            "chainId": self._info.chain_id,
        }
        self.rpc("eth_sendRawTransaction", "0x" + bytes(account.sign_transaction(fields).raw_transaction).hex())
        self._http.post(f"{self._info.url}/sandbox/control", json={"op": "mine"}).raise_for_status()
        question = {"to": at, "data": calldata("machineIdOfOwner(address)", account.address)}
        found = self.rpc("eth_call", question, "latest")
        if not int(found, 16):
            raise RuntimeError("the operator could not be registered")
        return int(found, 16)

    def between(self, first: Mark, last: Mark, protocol: Protocol) -> dict[str, Any]:
        """Blocks, transactions, gas and floor of what was mined after `first`; calls made between both."""
        operator = self._info.operator_address.lower()
        mined: list[int] = []
        waves: dict[str, float] = dict.fromkeys(protocol.waves.values(), 0.0)
        transactions = 0
        per_block: list[list[int]] = []
        for number in range(first.block + 1, last.block + 1):
            block = self.rpc("eth_getBlockByNumber", hex(number), True)
            gas = {r["transactionHash"]: r for r in self.rpc("eth_getBlockReceipts", hex(number))}
            for transaction in block["transactions"]:
                receipt = gas[transaction["hash"]]
                if receipt["status"] != "0x1":
                    raise RuntimeError(f"transaction {transaction['hash']} failed")
                for wave, share in _shares(transaction, operator, protocol).items():
                    waves[wave] += share * int(receipt["gasUsed"], 16)
            if block["transactions"]:
                mined.append(number)
            transactions += len(block["transactions"])
            per_block.append([number - first.block, len(block["transactions"]), int(block["gasUsed"], 16)])
        return {
            "blocks": mined[-1] - mined[0] + 1 if mined else 0,
            "transactions": transactions,
            "gas": round(sum(waves.values())),
            "waves": {name: round(used) for name, used in waves.items()},
            "floor": floor(waves.values()),
            **asked(first, last),
            "perBlock": per_block,
        }


def asked(first: Mark, last: Mark) -> dict[str, Any]:
    """What was asked of node and services between both: HTTP requests, and members of batches one by one."""
    calls = last.calls - first.calls
    calls.subtract({"eth_blockNumber": 1})  # the second mark's own
    return {
        "requests": last.requests - first.requests - 1,
        "members": sum(calls.values()),
        "methods": {name: n for name, n in calls.most_common() if n},
        "services": dict(last.services - first.services),
        "sandbox_cpu": last.cpu - first.cpu,
    }


def floor(waves: Any) -> int:
    """Fewest blocks: each wave needs the one before it mined, and a block takes so much gas and no more."""
    return sum(-(-round(used) // BLOCK_GAS) for used in waves)


def _shares(transaction: dict[str, Any], operator: str, protocol: Protocol) -> dict[str, float]:
    """Which waves a transaction belongs to; a batch of several is shared out by its calls."""
    data = transaction["input"].removeprefix("0x")
    calls = [data]
    if data.startswith(BATCH_ALL):
        calls = [call.hex() for call in decode(BATCH_TYPES, bytes.fromhex(data[8:]))[2]]
    waves = {**protocol.waves, **(protocol.own if transaction["from"].lower() == operator else {})}
    found = Counter(waves[call[:8]] for call in calls)
    return {wave: count / len(calls) for wave, count in found.items()}
