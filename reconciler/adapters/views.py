"""Contract reads in bulk: all that is awaited together goes through Multicall3, pinned to one block."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.adapters import abi, aggregate, reverts
from reconciler.adapters.rpc import Rpc, RpcError
from reconciler.core.errors import Rejected, Unreachable
from reconciler.core.ports import Block

GET_BALANCE = "getEthBalance(address)(uint256)"
GROUP = 400
"""Members of one aggregate3: well under the gas caps that nodes put on eth_call."""


@dataclass(frozen=True)
class _Waiting:
    to: str
    data: bytes
    future: asyncio.Future[bytes]


class Views:
    """Reads at one block. `multicall` is None where it cannot be used: then each read is an eth_call of its own."""

    def __init__(self, rpc: Rpc, multicall: str | None, block: int, moment: int = 0) -> None:
        self._rpc = rpc
        self._multicall = multicall
        self.block = block
        self.moment = moment
        """The block's time, in seconds since the epoch."""
        self._block = hex(block)
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.answers: dict[object, asyncio.Future[Any]] = {}
        """What was asked of this block and answered, by question."""

    async def read(self, to: str, data: bytes) -> bytes:
        """Returned bytes. Rejected for a revert with a reason; Unreachable for anything that is not an answer."""
        if self._multicall is None:
            return await self._single(to, data)
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        waiting = _Waiting(to, data, loop.create_future())
        self._waiting.append(waiting)
        return await waiting.future

    async def balance(self, address: str) -> int:
        """Native balance in wei."""
        if self._multicall is not None:
            data = await self.read(self._multicall, abi.question(GET_BALANCE, (address,)))
            return int(abi.results(GET_BALANCE, data)[0])
        try:
            return int(await self._rpc.call("eth_getBalance", address, self._block), 16)
        except RpcError as error:
            raise Unreachable(error.message) from None
        except (TypeError, ValueError):
            raise Unreachable("eth_getBalance was answered with something of another shape") from None

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), GROUP):
            task = asyncio.ensure_future(self._deliver(waiting[start : start + GROUP]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, group: Sequence[_Waiting]) -> None:
        try:
            answers = await self._aggregate(group)
        except Exception as error:
            known = isinstance(error, Rejected | Unreachable)
            message = str(error) if known else f"Multicall3 gave no usable answer ({error or type(error).__name__})"
            for waiting in group:
                waiting.future.set_exception(Unreachable(message))
            return
        for waiting, (ok, data) in zip(group, answers, strict=True):
            if waiting.future.done():
                continue
            if ok:
                waiting.future.set_result(data)
            else:
                waiting.future.set_exception(_failure(data, ""))

    async def _aggregate(self, group: Sequence[_Waiting]) -> Sequence[tuple[bool, bytes]]:
        data = aggregate.calldata([(waiting.to, waiting.data) for waiting in group])
        found = aggregate.answers(await self._single(str(self._multicall), data))
        if len(found) != len(group):
            raise ValueError("it answered more or fewer calls than were asked")
        return found

    async def _single(self, to: str, data: bytes) -> bytes:
        try:
            answer = await self._rpc.call("eth_call", {"to": to, "data": "0x" + data.hex()}, self._block)
        except RpcError as error:
            found = reverts.revert_data(error.data)
            if found is None and "revert" not in error.message.lower():
                raise Unreachable(error.message) from None
            raise _failure(found or b"", error.message) from None
        try:
            return bytes.fromhex(str(answer).removeprefix("0x"))
        except ValueError:
            raise Unreachable("eth_call was answered with something of another shape") from None


class Outlook:
    """Hands out views of the newest block. While the chain stands still, nothing is asked of it twice."""

    def __init__(self, rpc: Rpc, multicall: str | None) -> None:
        self._rpc = rpc
        self._multicall = multicall
        self._head = ""
        self._views: Views | None = None

    def at(self, block: Block) -> Views:
        # By hash: after a reorganisation another block has the same number.
        if self._views is None or self._head != block.hash:
            self._head, self._views = block.hash, Views(self._rpc, self._multicall, block.number, block.timestamp)
        return self._views


def _failure(data: bytes, message: str) -> Rejected | Unreachable:
    name = reverts.name_of(data, message)
    # A revert that says nothing is no clear answer: it may be a contract that is not what we think.
    return Unreachable(f"the read {reverts.EMPTY}") if name == reverts.EMPTY else reverts.rejected(name)
