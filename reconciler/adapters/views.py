"""Contract reads in bulk: all that is asked together goes through Multicall3, pinned to one block."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, NamedTuple

from reconciler.adapters import abi, aggregate, reverts
from reconciler.adapters.answers import ClearAnswers
from reconciler.adapters.rpc import Rpc, RpcError
from reconciler.core.errors import Rejected, Unreachable
from reconciler.core.ports import Block
from reconciler.core.value import Value

GET_BALANCE = "getEthBalance(address)(uint256)"
GROUP = 400
"""Members of one aggregate3: well under the gas caps that nodes put on eth_call."""
LIKELY = 200
"""Questions that are asked of the next block together with its first one, since they are likely to come again."""
Answer = asyncio.Future[tuple[Any, ...]]


class Unclear(Unreachable):
    """The node answers, but not as that contract would."""

    code = "world.unclear"
    remedy = "what is there is no such contract; check `network.contracts`"


class Question(NamedTuple):
    """A read of the contract that stands for a role; `function` is `name(types)(result types)`."""

    contract: str
    to: str
    function: str
    args: tuple[object, ...] = ()

    def unclear(self, why: str) -> Unclear:
        hint = f"is there a {self.contract} at {self.to} on this network? check network.contracts"
        return Unclear(f"{self.contract}: {why}", hint=hint)


class _Waiting(Value):
    question: Question
    data: bytes
    answer: Answer

    @classmethod
    def of(cls, question: Question) -> "_Waiting":
        """Unclear where the arguments are none for that function."""
        try:
            data = abi.question(question.function, question.args)
        except ValueError as error:
            raise question.unclear(str(error)) from None
        return cls(question, data, asyncio.get_running_loop().create_future())

    def hear(self, data: bytes) -> None:
        """What was answered, if anybody still waits for it."""
        if self.answer.done():
            return
        try:
            self.answer.set_result(abi.results(self.question.function, data))
        except ValueError as error:
            self.fail(Unclear(str(error)))

    def fail(self, error: Exception) -> None:
        if self.answer.done():
            return
        self.answer.set_exception(self.question.unclear(error.message) if isinstance(error, Unclear) else error)
        # Perhaps nobody waits: it was asked ahead, or with others of which the first failed.
        self.answer.exception()


class Views:
    """Reads at one block. `multicall` is None where it cannot be used: then each read is an eth_call of its own."""

    def __init__(
        self, rpc: Rpc, multicall: str | None, block: int, moment: int = 0, likely: Iterable[Question] = ()
    ) -> None:
        self._rpc = rpc
        self._multicall = multicall
        self._likely = dict.fromkeys(likely)
        self.asked: dict[Question, None] = dict(self._likely)
        """What was asked of this block, or may be asked still; no more of it is kept than can be asked ahead."""
        self.block = block
        self.moment = moment
        """The block's time, in seconds since the epoch."""
        self._block = hex(block)
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers = ClearAnswers()

    def ask(self, question: Question) -> Answer:
        """Decoded results, the same for all who ask.

        Rejected for a revert with a reason; Unreachable for anything that is not an answer.
        """
        return self._answers.get(question, lambda: self._asked(question))

    async def balance(self, address: str) -> int:
        """Native balance in wei."""
        if self._multicall is None:
            return await self._answers.get(("balance", address), lambda: self._native(address))
        (wei,) = await self.ask(Question("multicall", self._multicall, GET_BALANCE, (address,)))
        return int(wei)

    async def _native(self, address: str) -> int:
        try:
            return int(await self._rpc.call("eth_getBalance", address, self._block), 16)
        except RpcError as error:
            raise Unreachable(error.message) from None
        except (TypeError, ValueError):
            raise Unreachable("eth_getBalance was answered with something of another shape") from None

    def _asked(self, question: Question) -> Answer:
        waiting = _Waiting.of(question)
        if self._multicall is None:
            self._start(self._alone(waiting))
            return waiting.answer
        if len(self.asked) <= LIKELY:
            self.asked[question] = None
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush_after, 0)
        self._waiting.append(waiting)
        return waiting.answer

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _flush_after(self, before: int) -> None:
        """Send what waits once nothing more comes: those who are asked together do not all ask in the same instant."""
        if before < len(self._waiting) < GROUP:
            asyncio.get_running_loop().call_soon(self._flush_after, len(self._waiting))
        else:
            self._flush()

    def _flush(self) -> None:
        self._foresee()
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), GROUP):
            self._start(self._deliver(waiting[start : start + GROUP]))

    def _foresee(self) -> None:
        """Let what was asked of the block before travel with the first questions, if there is room."""
        likely, self._likely = self._likely, {}
        if len(self._waiting) + len(likely) <= GROUP:
            for question in likely:
                self.ask(question)

    async def _deliver(self, group: Sequence[_Waiting]) -> None:
        try:
            answers = await self._aggregate(group)
        except Exception as error:
            known = isinstance(error, Rejected | Unreachable)
            message = str(error) if known else f"Multicall3 gave no usable answer ({error or type(error).__name__})"
            for waiting in group:
                waiting.fail(Unreachable(message))
            return
        for waiting, (ok, data) in zip(group, answers, strict=True):
            if ok:
                waiting.hear(data)
            else:
                waiting.fail(_failure(data, ""))

    async def _alone(self, waiting: _Waiting) -> None:
        try:
            waiting.hear(await self._call(waiting.question.to, waiting.data))
        except Exception as error:
            waiting.fail(error)

    async def _aggregate(self, group: Sequence[_Waiting]) -> Sequence[tuple[bool, bytes]]:
        data = aggregate.calldata([(waiting.question.to, waiting.data) for waiting in group])
        found = aggregate.answers(await self._call(str(self._multicall), data))
        if len(found) != len(group):
            raise ValueError("it answered more or fewer calls than were asked")
        return found

    async def _call(self, to: str, data: bytes) -> bytes:
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
    return Unclear(f"the read {reverts.EMPTY}") if name == reverts.EMPTY else reverts.rejected(name)
