"""Contract reads in bulk: all that is awaited together goes through Multicall3, pinned to one block."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from reconciler.adapters import abi, aggregate, reverts
from reconciler.adapters.rpc import Rpc, RpcError
from reconciler.core.errors import Rejected, Unreachable
from reconciler.core.ports import Block
from reconciler.core.value import Value

GET_BALANCE = "getEthBalance(address)(uint256)"
GROUP = 400
"""Members of one aggregate3: well under the gas caps that nodes put on eth_call."""
LIKELY = 200
"""Questions that are asked of the next block together with its first one, since they are likely to come again."""
Question = tuple[str, bytes]


class _Waiting(Value):
    to: str
    data: bytes
    future: asyncio.Future[bytes]

    @property
    def question(self) -> Question:
        return self.to, self.data


class Views:
    """Reads at one block. `multicall` is None where it cannot be used: then each read is an eth_call of its own."""

    def __init__(
        self, rpc: Rpc, multicall: str | None, block: int, moment: int = 0, likely: Iterable[Question] = ()
    ) -> None:
        self._rpc = rpc
        self._multicall = multicall
        self._likely = dict.fromkeys(likely)
        self._ahead: dict[Question, asyncio.Future[bytes]] = {}
        self.asked: dict[Question, None] = dict(self._likely)
        """What was asked of this block, or may be asked still; no more of it is kept than can be asked ahead."""
        self.block = block
        self.moment = moment
        """The block's time, in seconds since the epoch."""
        self._block = hex(block)
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.answers: OrderedDict[object, asyncio.Future[Any]] = OrderedDict()
        """What was asked of this block and answered, by question."""

    async def read(self, to: str, data: bytes) -> bytes:
        """Returned bytes. Rejected for a revert with a reason; Unreachable for anything that is not an answer."""
        if self._multicall is None:
            return await self._single(to, data)
        if len(self.asked) <= LIKELY:
            self.asked[to, data] = None
        if (to, data) in self._ahead:
            return await asyncio.shield(self._ahead[to, data])
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush_after, 0)
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

    def _flush_after(self, before: int) -> None:
        """Send what waits once nothing more comes: those who are asked together do not all ask in the same instant."""
        if before < len(self._waiting) < GROUP:
            asyncio.get_running_loop().call_soon(self._flush_after, len(self._waiting))
        else:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = [*self._waiting, *self._foreseen()], []
        for start in range(0, len(waiting), GROUP):
            task = asyncio.ensure_future(self._deliver(waiting[start : start + GROUP]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _foreseen(self) -> list[_Waiting]:
        """What of the questions before is not asked yet, to travel with those that are."""
        likely, self._likely = self._likely, {}
        if len(self._waiting) + len(likely) > GROUP:
            return []
        now, loop = {waiting.question for waiting in self._waiting}, asyncio.get_running_loop()
        found = [_Waiting(to, data, loop.create_future()) for to, data in likely if (to, data) not in now]
        for waiting in found:
            # Perhaps nobody ever asks.
            waiting.future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._ahead[waiting.question] = waiting.future
        return found

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
            asked = self._views.asked if self._views is not None else {}
            likely = asked if len(asked) <= LIKELY else {}
            self._head = block.hash
            self._views = Views(self._rpc, self._multicall, block.number, block.timestamp, likely)
        return self._views


def _failure(data: bytes, message: str) -> Rejected | Unreachable:
    name = reverts.name_of(data, message)
    # A revert that says nothing is no clear answer: it may be a contract that is not what we think.
    return Unreachable(f"the read {reverts.EMPTY}") if name == reverts.EMPTY else reverts.rejected(name)
