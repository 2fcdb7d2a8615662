"""Settling what an earlier run left open. Only apply recovers, and always before it plans."""

from collections.abc import Callable, Sequence

from reconciler.core.effects import Signer
from reconciler.core.errors import Ambiguous, Rejected, UnsettledIntent
from reconciler.core.ports import Draft, Label, Mined, Raw, Sent
from reconciler.engine.events import Event, Stage
from reconciler.engine.watch import OVERTAKEN, Watch, broadcast, overtaken, settle
from reconciler.engine.world import World

PLAIN_TRANSFER_GAS = 60_000
"""Enough for a transfer to an account that carries code."""

Wanted = Callable[[Label], bool]


async def recover(world: World, wanted: Wanted) -> int:
    """Deal with every open intent; the number of transactions dealt with.

    `wanted` says whether a step is still part of what the manifest asks for. Requests need nothing here: the world is
    read afresh, a draft or a pairing without its token is seen, and taken up from there.
    """
    for number, label, _ in world.journal.unanswered():
        await world.journal.answered(number, "unknown")
        world.emit(Event(Stage.RECOVERED, label.address, f"looking what became of: {label.step}"))
    open_ = world.journal.unsettled()
    if not open_:
        return 0
    watch = Watch(world)
    found = await world.chain.mined([sent.hash for sent in open_])
    mined: list[tuple[Sent, Mined]] = []
    for sent in open_:
        result = found.get(sent.hash) or await _conclude(world, watch, sent, wanted)
        if result is not None:
            await world.journal.mined(result)
            mined.append((sent, result))
    for sent in await settle(world, mined):
        raise UnsettledIntent(f"transaction {sent.hash} left the chain again", hint="apply again")
    world.emit(Event(Stage.RECOVERED, text=f"{len(open_)} transaction(s) of an earlier run settled"))
    return len(open_)


async def _conclude(world: World, watch: Watch, sent: Sent, wanted: Wanted) -> Mined | None:
    """The receipt of a transaction that has none yet, or None where it can never have one."""
    await watch.ready()
    if not await world.chain.known(sent.hash):
        if await overtaken(world, sent):
            await world.journal.settled(sent.hash, "void")
            return None
        if not _all_wanted(sent.labels, wanted):
            await _burn(world, watch, sent)
            return None
        await broadcast(world, sent)
    world.emit(Event(Stage.WAITING, text=f"waiting for transaction {sent.hash} of an earlier run"))
    try:
        return await watch.included(sent)
    except Rejected as error:
        if error.reason == OVERTAKEN:
            return None
        raise


def _all_wanted(labels: Sequence[Label], wanted: Wanted) -> bool:
    return bool(labels) and all(wanted(label) for label in labels)


async def _burn(world: World, watch: Watch, sent: Sent) -> None:
    """Use up the nonce of bytes that nobody wants any more, so that they can never be mined."""
    signer = Signer(*sent.signer.split("/", 1))
    if not world.keyring.has(signer):
        message = f"transaction {sent.hash} is not wanted any more, and the key of {signer} is not here to cancel it"
        raise UnsettledIntent(message, hint=f"make the key of {signer} available and apply again")
    fees = await world.chain.fees()
    draft = Draft(sent.nonce, Raw(sent.sender, "0x", 0), PLAIN_TRANSFER_GAS, fees, world.settings.chain_id)
    signed = world.keyring.sign_transaction(signer, draft)
    burn = Sent(signed.hash, sent.sender, sent.signer, sent.nonce, signed.raw, (Label("", "cancel"),))
    await world.journal.signed(burn)
    await broadcast(world, burn)
    try:
        await watch.included(burn)
    except (Rejected, Ambiguous):
        if not await overtaken(world, sent):
            raise
    await world.journal.settled(burn.hash, "done")
    await world.journal.settled(sent.hash, "void")
    world.emit(Event(Stage.RECOVERED, text=f"cancelled transaction {sent.hash}: nothing wants it any more"))
