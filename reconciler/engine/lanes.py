"""Lanes: one per signing account. Groups ready together are packed, tried, signed, recorded and sent in order."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core.effects import ChainGroup, Signer
from reconciler.core.errors import Rejected
from reconciler.core.ports import Draft, Fees, Label, Mined, Raw, Sent, Signed
from reconciler.engine.events import Event, Stage
from reconciler.engine.watch import Watch, broadcast
from reconciler.engine.world import LINGER, Gauge, World

MOST_CALLS = 512
"""Calls that one batchAll takes (onchain-v1 §2.7)."""
BLOCK_SHARE = 0.6
"""Part of a block's gas that one transaction may want."""
GAS_MARGIN = 1.25
"""Estimates are for the state of a moment; what is not used is not paid."""


@dataclass
class _Job:
    group: ChainGroup
    raws: list[Raw]
    labels: tuple[Label, ...]
    future: asyncio.Future[Mined]


@dataclass(frozen=True)
class _Part:
    """One transaction to be: the jobs that its receipt answers, and the steps it belongs to."""

    jobs: list[_Job]
    labels: tuple[Label, ...]
    raw: Raw
    gas: int


class Lane:
    """Sends the groups of one signer. Each submitted group happens whole or not at all where Batch can be used."""

    def __init__(self, world: World, watch: Watch, gauge: Gauge, signer: Signer) -> None:
        self._world = world
        self._gauge = gauge
        self._watch = watch
        self._signer = signer
        self._jobs: list[_Job] = []
        self._worker: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._nonce: int | None = None
        self.mined: list[tuple[Sent, Mined]] = []

    async def submit(self, group: ChainGroup, labels: tuple[Label, ...]) -> Mined:
        """Receipt of the transaction that carried `group`. Rejected where it would revert: then nothing was sent."""
        future: asyncio.Future[Mined] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(group, [self._world.chain.encode(call) for call in group.calls], labels, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.ensure_future(self._work())
        return await future

    async def _work(self) -> None:
        await asyncio.sleep(LINGER)
        while self._jobs:
            jobs, self._jobs = self._jobs, []
            try:
                for part, sent in await self._signed(jobs):
                    task = asyncio.ensure_future(self._send(part, sent))
                    self._sending.add(task)
                    task.add_done_callback(self._sending.discard)
            except Exception as error:
                for job in jobs:
                    _fail(job, error)

    async def _signed(self, jobs: Sequence[_Job]) -> list[tuple[_Part, Sent]]:
        """Signed and recorded transactions for `jobs`, in nonce order."""
        gas_limit, fees = await self._gauge.read()
        limit = int(gas_limit * BLOCK_SHARE)
        chunks = self._chunks(jobs, limit)
        tried = [part for chunk in chunks for part in await self._tried(chunk, limit)]
        return [(part, await self._sign(part, fees)) for part in tried]

    def _chunks(self, jobs: Sequence[_Job], limit: int) -> list[list[_Job]]:
        """Greedy packing by the kinds' own guesses; the real estimate comes after."""
        chunks: list[list[_Job]] = []
        calls = gas = 0
        for job in jobs:
            weight = sum(call.gas for call in job.group.calls)
            alone = not chunks or not self._world.settings.batch
            if alone or calls + len(job.raws) > MOST_CALLS or gas + weight > limit:
                chunks.append([])
                calls = gas = 0
            chunks[-1].append(job)
            calls, gas = calls + len(job.raws), gas + weight
        return chunks

    async def _tried(self, jobs: list[_Job], limit: int) -> list[_Part]:
        """`jobs` as transactions that a simulation passed; those that would revert are rejected, each by itself."""
        sender = self._world.keyring.address(self._signer)
        raws = [raw for job in jobs for raw in job.raws]
        if len(raws) > 1 and not self._world.settings.batch:
            return await self._one_by_one(jobs[0], sender)
        raw = raws[0] if len(raws) == 1 else self._world.chain.pack(raws)
        outcome = await self._world.chain.estimate(sender, raw)
        if len(jobs) > 1 and (outcome.revert or outcome.gas > limit):
            half = len(jobs) // 2
            return [*await self._tried(jobs[:half], limit), *await self._tried(jobs[half:], limit)]
        if outcome.revert:
            _fail(jobs[0], Rejected(outcome.revert, reason=outcome.revert))
            return []
        labels = tuple(label for job in jobs for label in job.labels)
        return [_Part(jobs, labels, raw, int(outcome.gas * GAS_MARGIN))]

    async def _one_by_one(self, job: _Job, sender: str) -> list[_Part]:
        """Without Batch a group is sent call by call; the last one's receipt stands for it."""
        parts: list[_Part] = []
        for raw, call in zip(job.raws, job.group.calls, strict=True):
            outcome = await self._world.chain.estimate(sender, raw)
            if outcome.revert and not parts:
                _fail(job, Rejected(outcome.revert, reason=outcome.revert))
                return []
            # A later call may depend on an earlier one, so its own estimate can fail now.
            gas = call.gas if outcome.revert else int(outcome.gas * GAS_MARGIN)
            parts.append(_Part([], job.labels, raw, gas))
        parts[-1].jobs.append(job)
        return parts

    async def _sign(self, part: _Part, fees: Fees) -> Sent:
        world, sender = self._world, self._world.keyring.address(self._signer)
        if self._nonce is None:
            self._nonce = await world.chain.nonce(sender, "pending")
        draft = Draft(self._nonce, part.raw, part.gas, fees, world.settings.chain_id)
        signed: Signed = await asyncio.to_thread(world.keyring.sign_transaction, self._signer, draft)
        sent = Sent(
            signed.hash, sender, str(self._signer), draft.nonce, signed.raw, part.labels, part.gas, fees.max_fee
        )
        await world.journal.signed(sent)
        self._nonce += 1
        world.emit(Event(Stage.SIGNED, text=sent.hash, data={"signer": str(self._signer), "steps": len(part.labels)}))
        return sent

    async def _send(self, part: _Part, sent: Sent) -> None:
        try:
            await self._watch.ready()
            await broadcast(self._world, sent)
            mined = await self._watch.included(sent)
        except Rejected as error:
            await self._world.journal.settled(sent.hash, "void")
            # What was signed after it has a gap before it now; the next job reads the nonce afresh.
            self._nonce = None
            for job in part.jobs:
                _fail(job, error)
            return
        except Exception as error:
            for job in part.jobs:
                _fail(job, error)
            return
        self.mined.append((sent, mined))
        for job in part.jobs:
            if mined.ok:
                job.future.set_result(mined)
            else:
                _fail(job, Rejected(f"transaction {sent.hash} reverted in block {mined.block}", reason="reverted"))


def _fail(job: _Job, error: Exception) -> None:
    if not job.future.done():
        job.future.set_exception(error)
