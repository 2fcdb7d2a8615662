"""JSON-RPC over HTTP: calls awaited together travel together, endpoints fail over, temporary errors are retried."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
from pydantic_core import to_json

from reconciler.adapters.exchange import JSON, exchange, pause_of, trouble
from reconciler.adapters.redact import host_of, secrets_of, without
from reconciler.adapters.retry import until_reached
from reconciler.adapters.tls import trusted
from reconciler.core.errors import FleetError, Unreachable
from reconciler.core.value import Value

BATCH = 200
"""Members of one JSON-RPC batch; providers commonly allow a few hundred."""
AT_ONCE = 4
"""Batches under way at the same time."""
SLOW = {"eth_estimateGas"}
"""Calls that a node works on for long: they travel in small batches, and what is quick does not wait for them."""
SLOW_BATCH, SLOW_AT_ONCE = 12, 2
ATTEMPTS = 5
MAX_BODY = 128 * 1024 * 1024
"""Bytes of one answer: that to a full batch of reads is tens of millions in a large fleet."""
SECONDS = 30.0
BEHIND = ("header not found", "unknown block", "block not found")
"""What a node says of a block that it does not have yet."""
TEMPORARY = (-32005, -32029)
"""Codes that providers use for rate limits."""


class RpcError(FleetError):
    """The node answered with an error object; what it means is for the caller to say."""

    code = "rpc.error"
    remedy = "the message is the node's; ask another node, or try again"

    def __init__(self, number: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.number = number
        self.data = data


class _Waiting(Value):
    method: str
    params: Sequence[object]
    future: asyncio.Future[Any]


class Rpc:
    """One chain behind one or several endpoints.

    `call` raises RpcError for an error answer and Unreachable where no endpoint gave a usable one. `members` counts
    the JSON-RPC calls made, `requests` the HTTP requests.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        timeout: float = SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._urls = tuple(urls)
        self._timeout = timeout
        secure = any(url.startswith("https:") for url in urls)
        self._http = httpx.AsyncClient(timeout=timeout, transport=transport, verify=trusted(), http2=secure)
        self._sleep = sleep
        self._waiting: list[_Waiting] = []
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._slow_slots = asyncio.Semaphore(SLOW_AT_ONCE)
        self._ids = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self.batch = BATCH
        self.members = 0
        self.requests = 0

    @property
    def place(self) -> str:
        """The first endpoint, as it may be shown."""
        return host_of(self._urls[0])

    async def aclose(self) -> None:
        await self._http.aclose()

    async def call(self, method: str, *params: object) -> Any:
        """The `result` of one call; several awaited in the same tick share an HTTP request."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        waiting = _Waiting(method, params, loop.create_future())
        self._waiting.append(waiting)
        return await waiting.future

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._start([w for w in waiting if w.method not in SLOW], self.batch, self._slots)
        self._start([w for w in waiting if w.method in SLOW], min(self.batch, SLOW_BATCH), self._slow_slots)

    def _start(self, waiting: Sequence[_Waiting], size: int, slots: asyncio.Semaphore) -> None:
        for start in range(0, len(waiting), size):
            task = asyncio.ensure_future(self._deliver(waiting[start : start + size], slots))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, group: Sequence[_Waiting], slots: asyncio.Semaphore) -> None:
        try:
            async with slots:
                answers = list(await self._exchange(group))
        except BaseException as error:
            for waiting in group:
                if not waiting.future.done():
                    waiting.future.set_exception(_copy(error))
            if not isinstance(error, Exception):
                raise
            return
        for waiting, answer in zip(group, answers, strict=True):
            if not waiting.future.done():
                _settle(waiting.future, answer)

    async def _exchange(self, group: Sequence[_Waiting]) -> list[Any]:
        """Answers in the order of `group`, from the first endpoint that gives them."""
        return await until_reached(lambda: self._from_any(group), attempts=ATTEMPTS, sleep=self._sleep)

    async def _from_any(self, group: Sequence[_Waiting]) -> list[Any]:
        trouble: Unreachable | None = None
        for url in self._urls:
            try:
                return await self._post(url, group)
            except Unreachable as error:
                trouble = trouble or error
        raise trouble or Unreachable("no endpoint is configured")

    async def _post(self, url: str, group: Sequence[_Waiting]) -> list[Any]:
        bodies = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": w.method, "params": list(w.params)} for w in group
        ]
        self.requests += 1
        self.members += len(group)
        try:
            # Not by httpx: the json module looks at each of a million digits to see whether it is ASCII.
            content, headers = to_json(bodies if len(bodies) > 1 else bodies[0]), JSON
            reply = await exchange(
                self._http, "POST", url, most=MAX_BODY, seconds=self._timeout, content=content, headers=headers
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(url, trouble(error)) from None
        if reply.status == 429:
            await self._sleep(pause_of(reply))
            raise _unreachable(url, "it limits the rate (429)")
        try:
            answer = None if reply.redirects else reply.json()
        except ValueError:
            raise _unreachable(url, f"it answered {reply.status} without JSON") from None
        if reply.redirects:
            raise _unreachable(url, f"it answered with a redirect ({reply.status}), which is never followed")
        return _match(url, bodies, answer if isinstance(answer, list) else [answer])


def _match(url: str, bodies: Sequence[dict[str, Any]], answers: Sequence[Any]) -> list[Any]:
    # By the text of ids: what another side sends as an id may be anything.
    by_id = {str(answer.get("id")): answer for answer in answers if isinstance(answer, dict)}
    if len(bodies) > 1 and len(answers) == 1 and (refusal := by_id.get("None", {}).get("error")):
        raise _unreachable(url, f"it refused a batch: {_said(url, refusal)}")
    found = [by_id.get(str(body["id"])) for body in bodies]
    if any(answer is None for answer in found):
        raise _unreachable(url, "it left calls unanswered")
    for answer in found:
        error = (answer or {}).get("error")
        if isinstance(error, dict) and (error.get("code") in TEMPORARY or _behind(error)):
            raise _unreachable(url, _said(url, error))
    return [_outcome(url, answer or {}) for answer in found]


def _behind(error: dict[str, Any]) -> bool:
    """True where a node does not know a block yet that another one behind the same name showed us."""
    text = str(error.get("message")).lower()
    return any(words in text for words in BEHIND)


def _said(url: str, error: object) -> str:
    """The words of an error answer, without what of the endpoint must not be shown."""
    return without(str(error.get("message") if isinstance(error, dict) else error), secrets_of(url))


def _outcome(url: str, answer: dict[str, Any]) -> Any:
    """The result of one answer, or the RpcError to raise for it."""
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    details = error if isinstance(error, dict) else {}
    number = details.get("code")
    return RpcError(number if isinstance(number, int) else 0, _said(url, error), details.get("data"))


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if isinstance(outcome, RpcError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _copy(error: BaseException) -> BaseException:
    # Every waiter needs an exception of its own, or their tracebacks grow into each other.
    if isinstance(error, Unreachable):
        return Unreachable(error.message, where=error.where, hint=error.hint)
    return Unreachable(f"{type(error).__name__} while asking the node")


def _unreachable(url: str, why: str) -> Unreachable:
    return Unreachable(f"no answer from the node at {host_of(url)}: {why}", hint="check network.rpcUrl and the network")
