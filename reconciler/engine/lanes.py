"""Lanes: one per signing account. Groups ready together are packed, tried, signed, recorded and sent in order."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from reconciler.core.effects import ChainGroup, Signer
from reconciler.core.errors import Rejected, Unreachable
from reconciler.core.money import GWEI
from reconciler.core.ports import Draft, Fees, Label, Mined, Raw, Sent
from reconciler.core.value import Value, field, replace
from reconciler.engine.backlog import Backlog
from reconciler.engine.events import Event, Stage
from reconciler.engine.forecast import GAS_MARGIN, Forecast
from reconciler.engine.outbid import capped, outbid
from reconciler.engine.purse import Purse
from reconciler.engine.watch import Watch, broadcast
from reconciler.engine.world import LINGER, Gauge, World

MOST_CALLS = 512
"""Calls that one batchAll takes (onchain-v1 §2.7)."""
MOST_BYTES = 100_000
"""Calldata of one transaction: nodes refuse more than about 128 kB."""
BLOCK_SHARE = 0.23
"""Part of a block's gas that one transaction may want: four of them, margins included, fill a block."""
DEARER = 2
"""Times the price that a run began with, up to which accounts are taken to hold what the plan found them to hold."""


@dataclass
class _Job:
    group: ChainGroup
    raws: list[Raw]
    labels: tuple[Label, ...]
    future: asyncio.Future[Mined]

    @property
    def gas(self) -> int:
        return sum(call.gas for call in self.group.calls)

    @property
    def bytes(self) -> int:
        return sum(len(raw.data) // 2 + 160 for raw in self.raws)

    @property
    def wei(self) -> int:
        """Value and deposits."""
        return sum(raw.value for raw in self.raws) + sum(call.taken for call in self.group.calls)


class _Part(Value):
    """One transaction to be: the jobs that its receipt answers, the steps it belongs to, what it takes."""

    jobs: list[_Job]
    labels: tuple[Label, ...]
    raw: Raw
    gas: int
    wei: int
    guess: int
    """Gas, as the kinds guess it."""


class Shared(Value):
    """What all lanes of a run have in common."""

    world: World
    watch: Watch
    gauge: Gauge
    purse: Purse
    forecast: Forecast
    backlog: Backlog = field(default_factory=Backlog)


class Lane:
    """Sends the groups of one signer. Each submitted group happens whole or not at all where Batch can be used."""

    def __init__(self, shared: Shared, signer: Signer) -> None:
        self._shared = shared
        self._world = shared.world
        self._signer = signer
        self._jobs: list[_Job] = []
        self._worker: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._worst: dict[int, int] = {}
        """Wei that what is in flight may take, by nonce."""
        self._nonce: int | None = None
        self._begun = 0
        self._shown: int | None = None
        self._asking = asyncio.Lock()
        self._most_gas = 0
        self._window = shared.world.settings.window

    async def submit(self, group: ChainGroup, labels: tuple[Label, ...]) -> Mined:
        """Receipt of the transaction that carried `group`. Rejected where it would revert: then nothing was sent."""
        future: asyncio.Future[Mined] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(group, [self._world.chain.encode(call) for call in group.calls], labels, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.ensure_future(self._work())
        return await future

    async def shows(self, block: int) -> bool:
        """Whether `block` shows all that this key had sent when its nonce was read.

        Behind one name there may be nodes that are behind: what is read there of an older block may be done already.
        """
        async with self._asking:
            await self._know_nonce()
            if self._shown is None or block < self._shown:
                count = await self._world.chain.nonce(self._world.keyring.address(self._signer), hex(block))
                self._shown = block if count >= self._begun else self._shown
            return self._shown is not None and block >= self._shown

    async def _work(self) -> None:
        await asyncio.sleep(LINGER)
        while self._jobs:
            jobs, self._jobs = self._jobs, []
            try:
                await self._send_all(jobs)
            except Exception as error:
                for job in jobs:
                    _fail(job, error)

    async def _send_all(self, jobs: Sequence[_Job]) -> None:
        """Try, sign, record and hand over, in nonce order, with no more in flight than the window allows."""
        gas_limit, _ = await self._shared.gauge.read()
        limit = int(gas_limit * BLOCK_SHARE)
        tries = (self._tried(chunk, limit) for chunk in self._chunks(jobs, limit))
        tried, *_ = await asyncio.gather(asyncio.gather(*tries), self._shared.watch.ready(), self._know_nonce())
        for part in (part for parts in tried for part in parts):
            while len(self._sending) >= self._window:
                await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            sized = self._no_smaller(part)
            sent = await self._in_turn(sized, gas_limit)
            self._shared.forecast.signed(part.labels, part.guess, part.gas / GAS_MARGIN, gas_limit)
            task = asyncio.ensure_future(self._send(sized, sent))
            self._sending.add(task)
            task.add_done_callback(partial(self._ended, sent.nonce, sized.gas))

    async def _in_turn(self, part: _Part, gas_limit: int) -> Sent:
        """Signed as soon as the next blocks have room for it, at the price of that moment."""
        await self._room(part.gas, gas_limit)
        try:
            return await self._sign(part, await self._price(part))
        except BaseException:
            self._shared.backlog.leave(part.gas)
            raise

    async def _price(self, part: _Part) -> Fees:
        """That of now; where it is far above what this run began with, no more than the account can pay."""
        _, now = await self._shared.gauge.read()
        usual = DEARER * self._shared.gauge.first
        if now.max_fee <= usual:
            return now
        held = await self._world.chain.balance(self._world.keyring.address(self._signer))
        return capped(now, max(usual, self._most(part, held)))

    async def _room(self, gas: int, gas_limit: int) -> None:
        """Wait for it as long as blocks take something of ours; Unreachable where they stop."""
        turn, seconds = asyncio.ensure_future(self._shared.backlog.enter(gas, gas_limit)), self._world.settings.timeout
        try:
            while not turn.done():
                landed = self._shared.watch.count
                await asyncio.wait([turn], timeout=seconds)
                if not turn.done() and self._shared.watch.count == landed:
                    message = f"no transaction of ours was mined for {seconds:.0f} s"
                    raise Unreachable(message, hint="apply again once the chain takes transactions")
        finally:
            if not turn.done():
                turn.cancel()

    def _ended(self, nonce: int, gas: int, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._worst.pop(nonce, None)
        self._shared.backlog.leave(gas)

    def _chunks(self, jobs: Sequence[_Job], limit: int) -> list[list[_Job]]:
        """Greedy packing by the kinds' own guesses; the real estimate comes after."""
        chunks: list[list[_Job]] = []
        calls = gas = size = 0
        for job in jobs:
            full = calls + len(job.raws) > MOST_CALLS or gas + job.gas > limit or size + job.bytes > MOST_BYTES
            if not chunks or full or not self._world.settings.batch:
                chunks.append([])
                calls = gas = size = 0
            chunks[-1].append(job)
            calls, gas, size = calls + len(job.raws), gas + job.gas, size + job.bytes
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
            halves = await asyncio.gather(self._tried(jobs[:half], limit), self._tried(jobs[half:], limit))
            return [part for parts in halves for part in parts]
        if outcome.revert:
            _fail(jobs[0], Rejected(outcome.revert, reason=outcome.revert, hint=outcome.remedy))
            return []
        labels = tuple(label for job in jobs for label in job.labels)
        guess = sum(job.gas for job in jobs)
        return [_Part(jobs, labels, raw, int(outcome.gas * GAS_MARGIN), sum(job.wei for job in jobs), guess)]

    async def _one_by_one(self, job: _Job, sender: str) -> list[_Part]:
        """Without Batch a group is sent call by call; the last one's receipt stands for it."""
        parts: list[_Part] = []
        for raw, call in zip(job.raws, job.group.calls, strict=True):
            outcome = await self._world.chain.estimate(sender, raw)
            if outcome.revert and not parts:
                _fail(job, Rejected(outcome.revert, reason=outcome.revert, hint=outcome.remedy))
                return []
            # A later call may depend on an earlier one, so its own estimate can fail now.
            gas = call.gas if outcome.revert else int(outcome.gas * GAS_MARGIN)
            parts.append(_Part([], job.labels, raw, gas, raw.value + call.taken, call.gas))
        parts[-1].jobs.append(job)
        return parts

    def _no_smaller(self, part: _Part) -> _Part:
        """With no less gas than what is in flight before it.

        A dev node tries what still fits its block, and drops it where a bigger one with the nonce before did not fit.
        """
        self._most_gas = max(part.gas, self._most_gas if self._sending else 0)
        return replace(part, gas=self._most_gas)

    async def _sign(self, part: _Part, fees: Fees) -> Sent:
        nonce = await self._know_nonce()
        sent = await self._signed(part, nonce, fees)
        self._nonce = nonce + 1
        return sent

    async def _know_nonce(self) -> int:
        if self._nonce is None:
            self._nonce = await self._world.chain.next_nonce(self._world.keyring.address(self._signer))
            self._begun, self._shown = self._nonce, None
        return self._nonce

    async def _signed(self, part: _Part, nonce: int, fees: Fees) -> Sent:
        """Within the limits on fee and spending, signed, and in the journal."""
        world, sender = self._world, self._world.keyring.address(self._signer)
        if world.settings.max_fee is not None:
            fees = capped(fees, world.settings.max_fee)
        worst = part.wei + part.gas * fees.max_fee
        if self._signer.role == "operator":
            self._shared.purse.commit(sender, nonce, worst)
        self._worst[nonce] = worst
        draft = Draft(nonce, part.raw, part.gas, fees, world.settings.chain_id)
        signed = await asyncio.to_thread(world.keyring.sign_transaction, self._signer, draft)
        gas, offered = signed.draft.gas, signed.draft.fees
        by = str(self._signer)
        sent = Sent(signed.hash, sender, by, nonce, signed.raw, part.labels, gas, offered.max_fee, offered.tip)
        await world.journal.signed(sent)
        world.emit(Event(Stage.SIGNED, text=sent.hash, data={"signer": str(self._signer), "steps": len(part.labels)}))
        return sent

    async def _bumped(self, part: _Part, old: Sent) -> Sent | None:
        """The same call at a higher fee, recorded; None where no limit leaves room for one. May be Unreachable."""
        _, now = await self._shared.gauge.read()
        most = self._most(part, await self._world.chain.balance(old.sender), old.nonce)
        # What is enough now, or else as much as may be offered.
        fees = outbid(old, capped(now, most))
        if fees.max_fee > most:
            self._no_more(old, f"guards.maxFee or what {old.sender} holds leaves {max(most, 0) // GWEI} gwei")
            return None
        try:
            return await self._signed(part, old.nonce, fees)
        except Exception as error:
            self._no_more(old, error)
            return None

    def _no_more(self, old: Sent, why: object) -> None:
        self._world.emit(Event(Stage.WAITING, text=f"transaction {old.hash} is slow, and offers no more: {why}"))

    def _most(self, part: _Part, held: int, its: int | None = None) -> int:
        """Wei that a unit of gas may cost: with more, what calls take, this one or others, might not be there then.

        `its` is the nonce that `part` has already.
        """
        others = sum(wei for nonce, wei in self._worst.items() if nonce != its)
        affordable, limit = (held - others - part.wei) // part.gas, self._world.settings.max_fee
        return affordable if limit is None else min(affordable, limit)

    async def _send(self, part: _Part, sent: Sent) -> None:
        try:
            await broadcast(self._world, sent)
            mined = await self._shared.watch.included([sent], lambda old: self._bumped(part, old))
        except Rejected as error:
            await self._world.journal.settled(sent.hash, "void")
            # What was signed after it has a gap before it now; the next job reads the nonce afresh.
            self._nonce = None
            self._window = max(1, self._window // 2)
            for job in part.jobs:
                _fail(job, error)
            return
        except Exception as error:
            for job in part.jobs:
                _fail(job, error)
            return
        self._shared.forecast.ended(label for job in part.jobs for label in job.labels)
        for job in part.jobs:
            if mined.ok:
                job.future.set_result(mined)
            else:
                message = f"transaction {mined.hash} reverted in block {mined.block}"
                hint = "apply again: what stands in its way is told before it is sent"
                _fail(job, Rejected(message, reason="reverted", hint=hint))


def _fail(job: _Job, error: Exception) -> None:
    if not job.future.done():
        job.future.set_exception(error)
