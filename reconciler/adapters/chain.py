"""The write side of a chain: estimates, fees, broadcast and receipts, over JSON-RPC."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.adapters import abi, reverts
from reconciler.adapters.rpc import Rpc, RpcError
from reconciler.core.effects import ChainCall
from reconciler.core.errors import Rejected, Unreachable
from reconciler.core.fleet import ContractAddresses
from reconciler.core.ports import Block, Fees, Mined, Raw, Simulated

BATCH_ALL = "batchAll(address[],uint256[],bytes[],uint64[])"
KNOWN_ALREADY = ("already known", "already imported", "alreadyknown", "known transaction")
REFUSED = {
    "nonce too low": "nonce_too_low",
    "nonce is too low": "nonce_too_low",
    "replacement transaction underpriced": "underpriced",
    "insufficient funds": "insufficient_funds",
    "exceeds block gas limit": "gas_limit",
    "txpool is full": "pool_full",
    "pool is full": "pool_full",
    "too many transactions": "pool_full",
    "limit exceeded for": "pool_full",
    "intrinsic gas too low": "gas_limit",
}
STRANGE = (TypeError, ValueError, KeyError, AttributeError)
NO_SENSE = "it answered with something of another shape"
TIP_SHARE = 10
"""Fallback tip: a tenth of the base fee where the node does not suggest one."""
PENDING = "pending"
RECENT = 1.0
"""Seconds for which what was read is good for others, too: nodes of one chain differ by as much."""
TIP_RECENT = 10.0
"""The same for the tip that a node suggests, which it makes from many blocks."""


class RpcChain:
    """Implements the Chain port. Gas is in units, fees and values in wei."""

    def __init__(self, rpc: Rpc, contracts: ContractAddresses) -> None:
        self._rpc = rpc
        self._contracts = contracts
        self._nonces: dict[str, tuple[float, int]] = {}
        self._newest: tuple[float, Block] | None = None
        self._suggested: tuple[float, int] | None = None

    async def _ask(self, method: str, *params: object) -> Any:
        try:
            return await self._rpc.call(method, *params)
        except RpcError as error:
            raise self._unusable(method, error.message) from None

    async def _number(self, method: str, *params: object) -> int:
        answer = await self._ask(method, *params)
        try:
            return int(answer, 16)
        except STRANGE:
            raise self._unusable(method, NO_SENSE) from None

    def _unusable(self, method: str, why: str) -> Unreachable:
        message = f"no usable answer from the node at {self._rpc.place}: {method}: {why}"
        return Unreachable(message, hint="check network.rpcUrl")

    async def chain_id(self) -> int:
        return await self._number("eth_chainId")

    async def code(self, address: str) -> str:
        return str(await self._ask("eth_getCode", address, "latest"))

    async def head(self, tag: str = "latest") -> Block:
        asked = time.monotonic()
        block = await self._block(tag)
        if block is None:
            raise Unreachable(f"the node has no {tag} block")
        if tag == "latest":
            self._newest = asked, block
        return block

    async def recent(self, number: int = 0) -> Block:
        if self._newest is not None:
            read, block = self._newest
            if block.number >= number and time.monotonic() - read < RECENT:
                return block
        return await self.head()

    async def block(self, number: int) -> Block | None:
        return await self._block(hex(number))

    async def _block(self, tag: str) -> Block | None:
        found = await self._ask("eth_getBlockByNumber", tag, False)
        if found is None:
            return None
        try:
            return Block(
                int(found["number"], 16),
                found["hash"],
                int(found["timestamp"], 16),
                int(found.get("baseFeePerGas") or "0x0", 16),
                int(found["gasLimit"], 16),
                tuple(found.get("transactions") or ()),
                found["parentHash"],
            )
        except STRANGE:
            raise self._unusable("eth_getBlockByNumber", NO_SENSE) from None

    async def nonce(self, address: str, tag: str) -> int:
        asked = time.monotonic()
        number = await self._number("eth_getTransactionCount", address, tag)
        if tag == PENDING:
            self._nonces[address] = asked, number
        return number

    async def next_nonce(self, address: str) -> int:
        read, number = self._nonces.get(address, (0.0, 0))
        if time.monotonic() - read < RECENT:
            return number
        return await self.nonce(address, PENDING)

    async def balance(self, address: str) -> int:
        return await self._number("eth_getBalance", address, "latest")

    async def fees(self) -> Fees:
        """Twice the base fee plus the tip; the plain gas price on a chain without EIP-1559."""
        head = await self.recent()
        if head.base_fee == 0:
            return Fees(await self._number("eth_gasPrice"), None)
        tip = await self._tip(head)
        return Fees(2 * head.base_fee + tip, tip)

    async def _tip(self, head: Block) -> int:
        if self._suggested is not None and time.monotonic() - self._suggested[0] < TIP_RECENT:
            return self._suggested[1]
        try:
            tip = await self._number("eth_maxPriorityFeePerGas")
        except Unreachable:
            return head.base_fee // TIP_SHARE
        self._suggested = time.monotonic(), tip
        return tip

    async def estimate(self, sender: str, call: Raw) -> Simulated:
        return await self._simulate("eth_estimateGas", sender, call, "latest")

    async def dry_run(self, sender: str, call: Raw, block: int) -> Simulated:
        """As `estimate`, but without asking for gas: an eth_call."""
        return await self._simulate("eth_call", sender, call, hex(block))

    async def _simulate(self, method: str, sender: str, call: Raw, block: str) -> Simulated:
        request = {"from": sender, "to": call.to, "value": hex(call.value), "data": call.data}
        try:
            result = await self._rpc.call(method, request, block)
        except RpcError as error:
            name = _revert_name(error)
            return Simulated(revert=name, remedy=reverts.SENTENCES.get(name, ""))
        try:
            return Simulated(gas=int(result, 16) if method == "eth_estimateGas" else 0)
        except STRANGE:
            raise self._unusable(method, NO_SENSE) from None

    async def broadcast(self, raw: str) -> None:
        self._nonces.clear()
        try:
            await self._rpc.call("eth_sendRawTransaction", raw)
        except RpcError as error:
            text = error.message.lower()
            if any(words in text for words in KNOWN_ALREADY):
                return
            for words, reason in REFUSED.items():
                if words in text:
                    raise Rejected(error.message, reason=reason) from None
            raise Rejected(error.message, reason="refused") from None

    async def mined(self, hashes: Iterable[str]) -> Mapping[str, Mined]:
        wanted = list(hashes)
        found = await asyncio.gather(*(self._ask("eth_getTransactionReceipt", h) for h in wanted))
        try:
            return {h: _mined(receipt) for h, receipt in zip(wanted, found, strict=True) if receipt}
        except STRANGE:
            raise self._unusable("eth_getTransactionReceipt", NO_SENSE) from None

    async def receipts(self, block: Block) -> Mapping[str, Mined]:
        try:
            found = await self._rpc.call("eth_getBlockReceipts", hex(block.number))
        except RpcError:
            # Not every node has it; then they are asked for one by one.
            return await self.mined(block.transactions)
        try:
            return {receipt["transactionHash"]: _mined(receipt) for receipt in found or ()}
        except STRANGE:
            raise self._unusable("eth_getBlockReceipts", NO_SENSE) from None

    async def known(self, tx_hash: str) -> bool:
        return await self._ask("eth_getTransactionByHash", tx_hash) is not None

    def encode(self, call: ChainCall) -> Raw:
        to = call.to if call.to.startswith("0x") else self._contracts.at(call.to)
        data = abi.calldata(call.function, call.args).hex() if call.function else ""
        if not isinstance(call.value, int):
            raise ValueError("a value that is not known yet cannot be encoded")
        return Raw(to, "0x" + data, call.value)

    def pack(self, calls: Sequence[Raw]) -> Raw:
        # The official clients write out that each call may use all gas; so do we, to the byte.
        data = abi.calldata(
            BATCH_ALL,
            (
                [c.to for c in calls],
                [c.value for c in calls],
                [bytes.fromhex(c.data[2:]) for c in calls],
                [0] * len(calls),
            ),
        )
        # The precompile takes each value from the sender itself; its own must be zero.
        return Raw(self._contracts.batch, "0x" + data.hex(), 0)


def _revert_name(error: RpcError) -> str:
    data = reverts.revert_data(error.data)
    if data is None and "revert" not in error.message.lower() and "insufficient" not in error.message.lower():
        return error.message
    return reverts.name_of(data or b"", error.message)


def _mined(receipt: Mapping[str, Any]) -> Mined:
    return Mined(
        receipt["transactionHash"],
        int(receipt["blockNumber"], 16),
        receipt["blockHash"],
        int(receipt["status"], 16) == 1,
        int(receipt["gasUsed"], 16),
    )
