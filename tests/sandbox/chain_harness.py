"""A plain client of the sandbox's chain: nothing here is shared with what it tests but `calldata`."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from eth_abi.abi import decode, encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from reconciler.sandbox.chain import calldata
from reconciler.sandbox.config import DID_PRECOMPILE, Contracts
from reconciler.sandbox.info import SandboxInfo

AT = Contracts()
PEAQ = 10**18
FOR_EVER = 2**32 - 1
INTERFACE: dict[str, Any] = json.loads((Path(__file__).parent / "v1_interface.json").read_text())
BATCH_ARGUMENTS = "(address[],uint256[],bytes[],uint64[])"


class RpcFailure(Exception):
    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error))
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: str = error.get("data") or ""


@dataclass
class World:
    """The running sandbox, and the only way the tests reach it."""

    info: SandboxInfo
    http: httpx.Client

    def post(self, body: Any) -> httpx.Response:
        return self.http.post(self.info.rpc_url, json=body)

    def rpc(self, method: str, *params: Any) -> Any:
        answer = self.post({"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}).json()
        assert answer["id"] == 7
        if "error" in answer:
            raise RpcFailure(answer["error"])
        return answer["result"]

    def control(self, op: str, **arguments: Any) -> dict[str, Any]:
        response = self.http.post(f"{self.info.url}/sandbox/control", json={"op": op, **arguments})
        assert response.status_code == 200, response.text
        return response.json()

    def faults(self, *rules: dict[str, Any], **settings: Any) -> None:
        url = f"{self.info.url}/sandbox/faults/rpc"
        response = self.http.post(url, json={"rules": list(rules), **settings})
        assert response.status_code == 200, response.text

    def well_again(self) -> None:
        self.http.delete(f"{self.info.url}/sandbox/faults/rpc")

    def receipt(self, tx_hash: str) -> dict[str, Any]:
        for _ in range(200):  # the node may need a moment, even when it mines at once
            receipt = self.rpc("eth_getTransactionReceipt", tx_hash)
            if receipt is not None:
                return receipt
            time.sleep(0.01)
        raise AssertionError("not mined")

    def head(self) -> int:
        return int(self.rpc("eth_blockNumber"), 16)

    def read(self, to: str, signature: str, *arguments: Any, returns: str = "uint256", block: str = "latest") -> Any:
        data = self.rpc("eth_call", {"to": to, "data": calldata(signature, *arguments)}, block)
        found = decode(returns.split(",") if not returns.startswith("(") else [returns], bytes.fromhex(data[2:]))
        return found[0] if len(found) == 1 else found

    def user(self, peaq: float = 100) -> "User":
        account = Account.create()
        if peaq:
            self.control("setBalance", address=account.address, wei=str(int(peaq * PEAQ)))
        return User(self, account)

    def operator(self) -> "User":
        return User(self, Account.from_key(self.info.operator_private_key))

    def balance(self, address: str) -> int:
        return int(self.rpc("eth_getBalance", address, "latest"), 16)

    def machine_id(self, address: str) -> int:
        return self.read(AT.identity_registry, "machineIdOfOwner(address)", address)


@dataclass
class User:
    world: World
    account: LocalAccount

    @property
    def address(self) -> str:
        return self.account.address

    def nonce(self) -> int:
        return int(self.world.rpc("eth_getTransactionCount", self.address, "pending"), 16)

    def sign(self, to: str, data: str = "0x", value: int = 0, **changes: Any) -> str:
        transaction = {
            "chainId": self.world.info.chain_id, "nonce": -1, "to": to, "data": data, "value": value,
            "gas": 8_000_000, "maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": 10**9, **changes,
        }  # fmt: skip
        if transaction["nonce"] == -1:
            transaction["nonce"] = self.nonce()
        transaction = {key: value for key, value in transaction.items() if value is not None}
        return "0x" + bytes(self.account.sign_transaction(transaction).raw_transaction).hex()

    def send(self, to: str, data: str = "0x", value: int = 0, **changes: Any) -> dict[str, Any]:
        tx_hash = self.world.rpc("eth_sendRawTransaction", self.sign(to, data, value, **changes))
        return self.world.receipt(tx_hash)

    def call(self, to: str, data: str, value: int = 0, block: str = "latest") -> str:
        return self.world.rpc("eth_call", {"from": self.address, "to": to, "data": data, "value": hex(value)}, block)

    def estimate(self, to: str, data: str, value: int = 0) -> int:
        call = {"from": self.address, "to": to, "data": data, "value": hex(value)}
        return int(self.world.rpc("eth_estimateGas", call), 16)

    def register_for(self, machine: str) -> int:
        receipt = self.send(AT.identity_registry, register_for(machine), PEAQ)
        assert receipt["status"] == "0x1"
        return self.world.machine_id(machine)


def register_for(machine: str) -> str:
    return calldata("registerFor(address)", machine)


def batch(*calls: tuple[str, int, str], mode: str = "batchAll", gas: tuple[int, ...] = ()) -> str:
    """Call data of a batch of (to, wei, call data)."""
    to, value, data = zip(*calls, strict=True) if calls else ((), (), ())
    types = ["address[]", "uint256[]", "bytes[]", "uint64[]"]
    body = encode(types, [list(to), list(value), [bytes.fromhex(d[2:]) for d in data], list(gas)])
    return "0x" + (keccak(text=mode + BATCH_ARGUMENTS)[:4] + body).hex()


def add(account: str, name: str | bytes, value: str | bytes = "v", validity: int = 0, verb: str = "add") -> str:
    return calldata(f"{verb}Attribute(address,bytes,bytes,uint32)", account, _bytes(name), _bytes(value), validity)


def update(account: str, name: str, value: str = "w", validity: int = 0) -> str:
    return add(account, name, value, validity, verb="update")


def remove(account: str, name: str) -> str:
    return calldata("removeAttribute(address,bytes)", account, name.encode())


def read_attribute(world: World, account: str, name: str) -> tuple[bytes, bytes, int, int]:
    return world.read(
        DID_PRECOMPILE, "readAttribute(address,bytes)", account, name.encode(), returns="(bytes,bytes,uint32,uint256)"
    )


def error_of(contract: str, name: str) -> str:
    """The selector the sheet gives for a bare custom error."""
    return INTERFACE[contract]["errors"][f"{name}()"]


def topic_of(contract: str, name: str) -> str:
    return next(e["topic"] for s, e in INTERFACE[contract]["events"].items() if s.startswith(f"{name}("))


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
