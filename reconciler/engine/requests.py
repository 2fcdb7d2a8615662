"""Requests and challenges: recorded before they are sent, and what they answer is kept before anything else."""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.core.delegation import fingerprint
from reconciler.core.effects import HttpRequest, SecretTarget, Segment, SignedRequest, Signer, Touch
from reconciler.core.errors import Ambiguous, Deferred, FleetError, Rejected, Unreachable
from reconciler.core.ports import Json, Label, Receipt
from reconciler.core.stamps import MOMENT, later
from reconciler.core.text import quoted
from reconciler.core.value import asdict
from reconciler.engine.events import Event, Stage
from reconciler.engine.world import World

EXPIRED = {"MACHINE_IDENTITY_PROOF_EXPIRED", "AGENT_PAIRING_PROOF_EXPIRED"}
UNPROVEN = {f"MACHINE_IDENTITY_PROOF_{why}" for why in ("EXPIRED", "INVALID", "REQUIRED")}
"""The service holds no good proof of the machine: it ran out, or its signer no longer controls the machine."""
RENEW = "prove the identity again"
_SIGNS_IN = "wants you to sign in"
_SIGN_IN = re.compile(
    r"^\s*(?:(?:https?://)?(?P<domain>\S+) wants you to sign in\b|URI:\s*\w+://(?P<host>[^/\s?#]*))",
    re.IGNORECASE | re.MULTILINE,
)
SHOWN = 500
"""Characters of a refused message."""
FIRST, LONGEST = 0.5, 10.0
"""Seconds between tries while another service catches up."""


async def perform(
    world: World, effect: HttpRequest | SignedRequest, label: Label, renewal: SignedRequest | None = None
) -> None:
    """Do it once. Refusals that pass by themselves are waited out, up to the settings' patience."""
    end = world.clock.now() + world.settings.patience
    pause, fresh = FIRST, 1
    while True:
        try:
            return await _attempt(world, effect, label)
        except Unreachable as error:
            if world.clock.now() + pause > end:
                raise _waited_for(error, world.settings.patience) from None
            world.emit(Event(Stage.WAITING, label.address, str(error)))
            await world.clock.sleep(pause)
            pause = min(pause * 2, LONGEST)
        except Rejected as error:
            if renewal is not None and error.reason in UNPROVEN:
                world.emit(Event(Stage.WAITING, label.address, f"proving the machine's identity again: {error}"))
                await perform(world, renewal, Label(label.address, RENEW))
                renewal = None
                continue
            # A challenge that ran out while we signed: one new one, and then it is a clear no.
            if error.reason not in EXPIRED or not fresh:
                raise
            fresh -= 1


def _waited_for(error: Unreachable, patience: float) -> Unreachable:
    return Unreachable(f"{error.message}; gave up after {patience:.0f} s", where=error.where, hint=error.hint)


async def _attempt(world: World, effect: HttpRequest | SignedRequest, label: Label) -> None:
    if isinstance(effect, HttpRequest):
        answer = await _send_plainly(world, effect, label)
        if effect.touches is not None:
            await _touch(world, effect.touches, answer)
        return
    proof = await _proof(world, effect)
    body = {**(effect.request.body or {}), effect.proof: proof}
    await _send(world, effect.request, body, label, effect.secret)


async def _send_plainly(world: World, request: HttpRequest, label: Label) -> Json:
    """A request without a proof; a secret it carries is read now, and in no answer to it."""
    if request.secret is None:
        return await _send(world, request, request.body, label)
    source = request.secret
    secret = await asyncio.to_thread(world.secrets.reveal, source.kept, source.what)
    try:
        return await _send(world, request, {**(request.body or {}), source.field: secret}, label)
    except FleetError as error:
        # A service may repeat what it refuses.
        error.message = error.message.replace(secret, "(hidden)")
        error.args = (error.message,)
        raise


async def _send(
    world: World, request: HttpRequest, body: Mapping[str, Any] | None, label: Label, secret: SecretTarget | None = None
) -> Json:
    """One recorded write. Its intent is closed only after a secret in the answer is safe."""
    if world.api is None:
        raise Rejected("services.markets is not set", reason="no_service")
    path = [str(segment) for segment in request.path]
    number = await world.journal.requested(label, f"{request.method} /{'/'.join(path)}")
    try:
        answer = await world.api.send(request.method, path, body)
        if secret is not None:
            answer = await _deliver(world, secret, answer)
    except (Rejected, Unreachable):
        await world.journal.answered(number, "failed")
        raise
    except Ambiguous:
        await world.journal.answered(number, "unknown")
        raise
    # Killed or cancelled before this line, the intent stays open and the next run looks what became of it.
    await world.journal.answered(number, "done")
    return answer


async def _proof(world: World, effect: SignedRequest) -> dict[str, str]:
    if world.api is None:
        raise Rejected("services.markets is not set", reason="no_service")
    path = [str(segment) for segment in effect.challenge.path]
    try:
        challenge = await world.api.send(effect.challenge.method, path, effect.challenge.body)
    except Ambiguous as error:
        # A challenge changes nothing by itself, so asking again is safe.
        raise Unreachable(error.message, hint=error.hint) from None
    message, number = challenge.get("message"), challenge.get("challengeId")
    if not isinstance(message, str) or not isinstance(number, str):
        raise Rejected("the challenge has no message to sign", reason="bad_challenge")
    check_challenge(message, (*effect.names, _mark(challenge)), world.api.hosts)
    signer = _signer(world, effect, challenge)
    signature = await asyncio.to_thread(world.keyring.sign_message, signer, message)
    return {"challengeId": number, "signature": signature}


def _mark(challenge: Json) -> str:
    """What ties the message to this one challenge: its nonce where the answer tells it, else its id."""
    number, nonce = str(challenge["challengeId"]), challenge.get("nonce")
    named = isinstance(nonce, str) and nonce and not _names(str(challenge["message"]), number)
    return str(nonce) if named else number


def check_challenge(message: str, names: Sequence[Segment], hosts: Sequence[str]) -> None:
    """Rejected unless the message is about what we asked for: a signature is given to nothing else.

    It must name every one of `names`, and where it is a sign-in (EIP-4361), or names the URI of one, that must be to
    one of `hosts`: else whoever asks could sign in somewhere with our signature.
    """
    missing = [str(name) for name in names if not _names(message, str(name))]
    if missing:
        raise _strange(f"that does not name {quoted(', '.join(missing))}", message)
    for found in _SIGN_IN.finditer(message):
        if (found["domain"] or found["host"]).rpartition("@")[2].lower() not in hosts:
            raise _strange(f"that is a sign-in to {quoted(found['domain'] or found['host'])}", message)
    if _SIGNS_IN in message.lower() and not _SIGN_IN.search(message):
        raise _strange("that is a sign-in to somewhere", message)


def _names(message: str, name: str) -> bool:
    """True where `name` stands in the message as a whole word, letter case aside."""
    # By hand: a pattern for each name takes as long to be compiled as a request to be sent.
    text, word = message.lower(), name.lower()
    at = text.find(word) if word else -1
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(word) : at + len(word) + 1]
        if not (before == "." or _in_words(before) or _in_words(after)):
            return True
        at = text.find(word, at + 1)
    return False


def _in_words(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def _strange(what: str, message: str) -> Rejected:
    text = f"refused to sign a challenge {what}; it says: {quoted(message, SHOWN)!r}"
    return Rejected(text, reason="strange_challenge", hint="check the url of the service")


def _signer(world: World, effect: SignedRequest, challenge: Json) -> Signer:
    """Who of those at hand the challenge asks for; Deferred where that is nobody."""
    asked = challenge.get("controllerAddresses")
    wanted = {str(address).lower() for address in asked} if isinstance(asked, list) else set()
    for signer in (effect.signer, *effect.others):
        if world.keyring.has(signer) and (not wanted or world.keyring.address(signer).lower() in wanted):
            return signer
    asked_for = ", ".join(sorted(wanted)) or world.keyring.address(effect.signer)
    text = f"the challenge wants a signature of {asked_for}, whose key is not at hand"
    raise Deferred(text, reason="key_elsewhere", hint="apply once where that key is")


async def _deliver(world: World, target: SecretTarget, answer: Json) -> Json:
    """Put the secret of an answer where it belongs, remember how to know it, and hand back the answer without it."""
    secret = answer.get(target.field)
    if not isinstance(secret, str) or not secret:
        raise Ambiguous(f"the answer holds no {target.field}", hint="apply again: a new session will be asked for")
    try:
        await asyncio.to_thread(world.sink.write, target.name, secret)
    except FleetError as error:
        raise Ambiguous(error.message, hint=error.hint) from None
    rest = {name: value for name, value in answer.items() if name != target.field}
    receipt = Receipt(
        name=target.name,
        pairing_id=str(rest.get("id")),
        digest=hashlib.sha256(secret.encode()).hexdigest(),
        last_four=secret[-4:],
        expires_at=str(rest.get("sessionExpiresAt")),
        updated_at=str(rest.get("updatedAt")),
        session_issued_at=str(rest.get("sessionIssuedAt")),
        policy=fingerprint(rest),
    )
    await world.journal.keep(receipt)
    return rest


async def _touch(world: World, touch: Touch, answer: Json) -> None:
    receipt = world.journal.receipt(touch.token) or await _recognised(world, touch, answer)
    if receipt is not None and receipt.updated_at == str(touch.seen) and answer.get("updatedAt"):
        moved = {**asdict(receipt), "updated_at": str(answer["updatedAt"])}
        await world.journal.keep(Receipt(**moved))


async def _recognised(world: World, touch: Touch, answer: Json) -> Receipt | None:
    """The receipt of a token that the journal does not know, where it was surely good until this request."""
    stored = await asyncio.to_thread(world.sink.stored, touch.token)
    issued = str(answer.get("sessionIssuedAt"))
    if (
        not stored.digest
        or stored.last_four != answer.get("tokenLastFour")
        or later(str(touch.seen), issued, by=MOMENT)
    ):
        return None
    expires = str(answer.get("sessionExpiresAt"))
    seen, policy = str(touch.seen), fingerprint(answer)
    return Receipt(touch.token, str(answer.get("id")), stored.digest, stored.last_four, expires, seen, issued, policy)
