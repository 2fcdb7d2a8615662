"""Settling what an earlier run left open. Only apply recovers, and always before it sends anything new."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from reconciler.core.effects import Signer
from reconciler.core.errors import Ambiguous, Rejected, UnsettledIntent
from reconciler.core.ports import Draft, Label, Raw, Sent
from reconciler.engine.events import Event, Stage
from reconciler.engine.outbid import outbid
from reconciler.engine.watch import OVERTAKEN, Watch, broadcast, overtaken
from reconciler.engine.world import World

CANCEL = Label("", "cancel")
PLAIN_TRANSFER_GAS = 60_000
"""Enough for a transfer to an account that carries code."""
POLL = 0.5

Wanted = Callable[[Label], bool]


async def recover(world: World, wanted: Wanted) -> int:
    """Deal with every open intent; the number of transactions dealt with.

    `wanted` says whether a step is still part of what the manifest asks for. Requests need nothing here: the world is
    read afresh, a draft or a pairing without its token is seen, and taken up from there.
    """
    for number, label, _ in world.journal.unanswered():
        await world.journal.answered(number, "unknown")
        world.emit(Event(Stage.RECOVERED, label.address, f"looking what became of: {label.step}"))
    nonces = [list(sents) for _, sents in groupby(world.journal.unsettled(), lambda s: (s.sender, s.nonce))]
    if not nonces:
        return 0
    watch = Watch(world)
    await watch.ready()
    waits = [wait for sents in nonces if (wait := await _take_up(world, watch, sents, wanted)) is not None]
    await asyncio.gather(*waits)
    await watch.settle()
    world.emit(Event(Stage.RECOVERED, text=f"{len(nonces)} transaction(s) of an earlier run settled"))
    return len(nonces)


async def _take_up(world: World, watch: Watch, sents: list[Sent], wanted: Wanted) -> "asyncio.Task[None] | None":
    """Start what one nonce needs: nothing but waiting, the same bytes again, or a cancellation. Waits are returned."""
    found = await world.chain.mined([sent.hash for sent in sents])
    if not found and not any([await world.chain.known(sent.hash) for sent in sents]):
        if await overtaken(world, sents):
            for sent in sents:
                await world.journal.settled(sent.hash, "void")
            return None
        cancelled = CANCEL in sents[-1].labels
        if not cancelled and not _all_wanted(sents[-1].labels, wanted):
            try:
                sents = [*sents, await _cancellation(world, sents[-1])]
            except UnsettledIntent as error:
                # Only its own account can do anything about it, and nothing else has to wait for that.
                world.emit(Event(Stage.RECOVERED, sents[-1].labels[0].address, f"{error}; {error.hint}"))
                return None
        await broadcast(world, sents[-1])
        world.emit(Event(Stage.WAITING, text=f"sent transaction {sents[-1].hash} of an earlier run again"))
    return asyncio.ensure_future(_wait(watch, sents))


async def _wait(watch: Watch, sents: list[Sent]) -> None:
    try:
        await watch.included(sents)
    except Rejected as error:
        if error.reason != OVERTAKEN:
            raise


def _all_wanted(labels: Sequence[Label], wanted: Wanted) -> bool:
    return bool(labels) and all(wanted(label) for label in labels)


async def _cancellation(world: World, sent: Sent) -> Sent:
    """A recorded transfer of nothing to oneself with the nonce of bytes that nobody wants any more."""
    signer = Signer(*sent.signer.split("/", 1))
    if not world.keyring.has(signer):
        message = f"transaction {sent.hash} is not wanted any more, and the key of {signer} is not here to cancel it"
        raise UnsettledIntent(message, hint="it is left as it is until its key signs something else")
    fees = outbid(sent, await world.chain.fees())
    draft = Draft(sent.nonce, Raw(sent.sender, "0x", 0), PLAIN_TRANSFER_GAS, fees, world.settings.chain_id)
    signed = await asyncio.to_thread(world.keyring.sign_transaction, signer, draft)
    who = sent.sender, sent.signer, sent.nonce
    burn = Sent(signed.hash, *who, signed.raw, (CANCEL,), draft.gas, fees.max_fee, fees.tip)
    await world.journal.signed(burn)
    world.emit(Event(Stage.RECOVERED, text=f"cancelling transaction {sent.hash}: nothing wants it any more"))
    return burn


async def drained(world: World, accounts: Iterable[str], block: int) -> bool:
    """Wait until the newest block shows all that `accounts` have sent, our open intents aside; True if `block` did not.

    What is in the pool is another sender's, or ours from a journal that was lost: what it does must be seen before we
    plan. One that was mined after `block`, where we looked at the world, is as unseen as one that waits.
    """
    ours = {sent.sender.lower() for sent in world.journal.unsettled()}
    waits = (_drained(world, account, hex(block)) for account in accounts if account.lower() not in ours)
    return any(await asyncio.gather(*waits))


async def _drained(world: World, account: str, since: str) -> bool:
    seen, pending = await asyncio.gather(world.chain.nonce(account, since), world.chain.nonce(account, "pending"))
    if pending <= seen:
        return False
    end = world.clock.now() + world.settings.timeout
    while (shown := await world.chain.nonce(account, hex((await world.chain.head()).number))) < pending:
        text = f"waiting for {pending - shown} transaction(s) of {account} that no block shows yet"
        world.emit(Event(Stage.WAITING, text=text))
        if world.clock.now() >= end:
            raise Ambiguous(f"{text}: they are still pending", hint="apply again when they are mined")
        await world.clock.sleep(POLL)
        pending = await world.chain.nonce(account, "pending")
    return True
