"""The public RPC: passes calls on to the dev node, a little stricter, worded as a real node, with faults on demand."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from reconciler.sandbox import methods, shapes
from reconciler.sandbox.accounts import DESIGNATOR, NO_CODE, Accounts
from reconciler.sandbox.faults import Faults, Rule
from reconciler.sandbox.rpc import NodeRpc
from reconciler.sandbox.transactions import Malformed, Signed, parse

PARSE_ERROR = -32700
BAD_REQUEST = -32600
RATE_LIMITED = -32029
BAD_GATEWAY = 502


class Drop(Exception):
    """Close the connection without an answer."""


@dataclass
class Reply:
    """An HTTP answer."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Job:
    """One call on its way. `error` set: it is answered already."""

    call: dict[str, Any]
    forward: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    null: bool = False
    stale: int = 0
    signed: Signed | None = None


class Front:
    """Answers the body of one HTTP request at a time; many at once."""

    def __init__(self, node: NodeRpc, accounts: Accounts, faults: Faults) -> None:
        self._node = node
        self._accounts = accounts
        self._faults = faults
        self._sending = asyncio.Lock()
        self.requests = 0
        self.calls: Counter[str] = Counter()
        """How often each method was called, batch members one by one."""

    async def answer(self, body: bytes) -> Reply:
        """Raises Drop when the client shall get nothing."""
        try:
            parsed = json.loads(body)
        except ValueError:
            return Reply(_answer(None, error=shapes.error(PARSE_ERROR, "parse error")))
        calls = parsed if isinstance(parsed, list) else [parsed]
        if not calls or not all(isinstance(call, dict) for call in calls):
            return Reply(_answer(None, error=shapes.error(BAD_REQUEST, "invalid request")))
        self.requests += 1
        self.calls.update(str(call.get("method")) for call in calls)
        after = False
        for rule in self._faults.of_request(calls):
            after = after or rule.action == "dropAfter"
            early = await _whole(rule)
            if early is not None:
                return early
        try:
            answers = await self._answers(calls)
        except httpx.HTTPError as error:
            return Reply({"error": f"the node does not answer: {error!r}"}, BAD_GATEWAY)
        if after:
            raise Drop
        return Reply(answers if isinstance(parsed, list) else answers[0])

    async def _answers(self, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        jobs = [self._job(call) for call in calls]
        if any(job.signed for job in jobs):
            async with self._sending:  # what is set up for one sender must hold until the node has the transaction
                return await self._process(jobs)
        return await self._process(jobs)

    async def _process(self, jobs: list[Job]) -> list[dict[str, Any]]:
        await self._admit([job for job in jobs if job.signed and not job.error])
        await self._age([job for job in jobs if job.stale and not job.error])
        waiting = [job for job in jobs if not job.error and not job.null]
        received = await self._forward(waiting)
        results = {id(job): self._finish(job, answer) for job, answer in zip(waiting, received, strict=True)}
        return [results.get(id(job)) or _answer(job.call, error=job.error) for job in jobs]

    def _job(self, call: dict[str, Any]) -> Job:
        job = Job(call, forward=call)
        method = str(call.get("method"))
        if method not in methods.PUBLIC:
            job.error = shapes.error(shapes.NOT_FOUND, f"the method {method} does not exist/is not available")
            return job
        rule = self._faults.of_call(call, pinned=methods.pinned(call))
        if rule:
            _spoil(job, rule)
        if method in methods.SIMULATED:
            job.forward = self._simulation(call)
        if method == "eth_sendRawTransaction" and not job.error:
            self._read(job)
        return job

    def _read(self, job: Job) -> None:
        try:
            job.signed = parse((methods.params_of(job.call) or [None])[0])
        except Malformed as error:
            job.error = shapes.error(shapes.INVALID, str(error))

    def _simulation(self, call: dict[str, Any]) -> dict[str, Any]:
        params = methods.params_of(call)
        if not params or not isinstance(params[0], dict):
            return call
        block = params[1] if len(params) > 1 and params[1] is not None else "latest"
        given = params[2] if len(params) > 2 and isinstance(params[2], dict) else {}
        return {**call, "params": [params[0], block, self._accounts.overrides(params[0], given), *params[3:]]}

    async def _admit(self, jobs: list[Job]) -> None:
        if not jobs:
            return
        refusals = await self._accounts.refusals([job.signed for job in jobs if job.signed])
        for job, why in zip(jobs, refusals, strict=True):
            if why:
                job.error = shapes.pool_error(why, self._faults.shape)

    async def _age(self, jobs: list[Job]) -> None:
        """Stale reads: what was asked at the head is asked some blocks below it."""
        head = int(await self._node.call("eth_blockNumber"), 16) if jobs else 0
        for job in jobs:
            job.forward = methods.at_block(job.forward, max(0, head - job.stale))

    async def _forward(self, jobs: list[Job]) -> list[dict[str, Any]]:
        if not jobs:
            return []
        # Our own ids: a client may use one twice in a batch, or none.
        requests = [{"jsonrpc": "2.0", "params": [], **job.forward, "id": n} for n, job in enumerate(jobs)]
        if len(requests) == 1:
            return [await self._node.post(requests[0])]
        answers = {answer["id"]: answer for answer in await self._node.post(requests)}
        return [answers[n] for n in range(len(jobs))]

    def _finish(self, job: Job, answer: dict[str, Any]) -> dict[str, Any]:
        if "error" in answer:
            return _answer(job.call, error=shapes.reshape(answer["error"], self._faults.shape))
        result: Any = answer.get("result")
        if job.signed:
            self._accounts.accepted(job.signed)
        if job.call["method"] == "eth_getCode" and result == DESIGNATOR:
            result = NO_CODE  # to the outside, accounts have no code
        if job.call["method"] == "eth_blockNumber" and job.stale:
            result = hex(max(0, int(result, 16) - job.stale))
        return _answer(job.call, result=result)


async def _whole(rule: Rule) -> Reply | None:
    """Do to the request what the rule says; None: go on."""
    if rule.action == "delay":
        await asyncio.sleep(rule.ms / 1000)
    if rule.action == "dropBefore":
        raise Drop
    if rule.action == "rateLimit":
        limited = _answer(None, error=shapes.error(RATE_LIMITED, "Too many requests"))
        return Reply(limited, 429, {"retry-after": f"{rule.retryAfter:g}"})
    if rule.action == "status":
        return Reply({"error": rule.message}, rule.status)
    return None


def _spoil(job: Job, rule: Rule) -> None:
    if rule.action == "error":
        job.error = shapes.error(rule.code, rule.message, rule.data)
    if rule.action == "unknownBlock":
        job.error = shapes.error(shapes.SERVER, "header not found")
    job.null = rule.action == "null"
    job.stale = rule.blocks if rule.action == "stale" else 0


def _answer(call: dict[str, Any] | None, *, result: Any = None, error: dict[str, Any] | None = None) -> dict[str, Any]:
    head = {"jsonrpc": "2.0", "id": call.get("id") if call else None}
    return {**head, "error": error} if error else {**head, "result": result}
