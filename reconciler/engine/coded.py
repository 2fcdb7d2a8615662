"""Requests with a one-time code: their id is recorded before they are sent, and kept until there is a final answer."""

import uuid

from reconciler.core.effects import CodedRequest
from reconciler.core.errors import Ambiguous, Rejected, Unreachable
from reconciler.core.ports import CodedApi, Label
from reconciler.core.value import replace
from reconciler.engine.events import Event, Stage
from reconciler.engine.world import World

TRIES = 5
FINAL = ("done", "failed", "void")
PAUSE = 1.0
"""Seconds between tries. The wait for a new code comes on top."""


async def perform_coded(world: World, effect: CodedRequest, label: Label) -> None:
    """Do it once. Its id makes repeating safe, so what got no answer is asked again, a few times."""
    if world.coded is None:
        raise Rejected("services.gasStation is not set", reason="no_service")
    world.emit(Event(Stage.WAITING, label.address, f"{label.address} waits for a one-time code"))
    for _ in range(TRIES - 1):
        try:
            return await _attempt(world, world.coded, effect, label)
        except (Unreachable, Ambiguous) as error:
            world.emit(Event(Stage.WAITING, label.address, str(error)))
            await world.clock.sleep(PAUSE)
    return await _attempt(world, world.coded, effect, label)


async def _attempt(world: World, api: CodedApi, effect: CodedRequest, label: Label) -> None:
    """One recorded request. Killed before its intent is closed, the next run sends the same id."""
    ident = _open_id(world, effect, label) or str(uuid.uuid4())
    body = {**(effect.request.body or {}), effect.ident: ident}
    number = await world.journal.requested(label, _what(effect) + ident)
    try:
        await api.send(effect.signer, replace(effect.request, body=body), effect.code)
    except Rejected:
        await world.journal.answered(number, "failed")
        raise
    except (Unreachable, Ambiguous):
        await world.journal.answered(number, "unknown")
        raise
    await world.journal.answered(number, "done")


def _open_id(world: World, effect: CodedRequest, label: Label) -> str | None:
    """The id of the last such request, unless that got its final answer: the server knows whether it ever came."""
    what = _what(effect)
    for request, outcome in world.journal.requests(label):
        if request.startswith(what):
            return None if outcome in FINAL else request.removeprefix(what)
    return None


def _what(effect: CodedRequest) -> str:
    """How it is recorded, but for its id. What goes to another account is another request."""
    request = effect.request
    return f"{request.method} /{'/'.join(map(str, request.path))} for {effect.account.lower()} as "
