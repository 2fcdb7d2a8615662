"""The session token of a pairing: shown once, kept in a sink, replaced whenever it stops being valid."""

import re
from collections.abc import Iterable
from typing import Literal

from pydantic import model_validator

from reconciler.core.address import Address, Output
from reconciler.core.change import FieldChange
from reconciler.core.delegation import Paired, fingerprint, living
from reconciler.core.effects import HttpRequest, SecretTarget, Segment, SignedRequest, Signer, Step, renewed_proof
from reconciler.core.fleet import Fleet, Mistake, SecretRef
from reconciler.core.kind import Kind, Need
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Json, Reader, Receipt, Stored, record_of, whole
from reconciler.core.section import Duration, Loc, Section
from reconciler.core.stamps import MOMENT, later, seconds
from reconciler.core.urls import PrivateUrl
from reconciler.core.value import Value

NEEDED = ("id", "agentAddress", "agentProvider", "agentRole", "updatedAt")
"""What a pairing must say to be judged, and repeated in a challenge."""
EXPIRES = "the token is about to expire"


class Vault(Section):
    """A mount of HashiCorp Vault's KV version 2."""

    address: PrivateUrl
    """Base URL; https beyond loopback."""
    mount: str = "secret"
    """Mount of the key-value store, version 2."""
    prefix: str = "fleetctl"
    """Path below the mount under which tokens stand, each as <machine>/<agent>."""
    token: SecretRef
    """Where the token for Vault is kept."""


class TokenSink(Section):
    """Where tokens are written: exactly one of these."""

    directory: str | None = None
    """One file per pairing, mode 0600, named <machine>.<agent>.token; relative to the manifest."""
    env_file: str | None = None
    """One file of NAME=token lines for systemd's EnvironmentFile=, mode 0600; relative to the manifest."""
    command: str | None = None
    """Takes the token on standard input and its name in FLEETCTL_TOKEN_NAME."""
    vault: Vault | None = None
    """A key-value store of HashiCorp Vault."""
    github_output: Literal[True] | None = None
    """An output of the GitHub Actions step, masked in its log."""

    @model_validator(mode="after")
    def _one(self) -> "TokenSink":
        chosen = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(chosen) != 1:
            raise ValueError("name exactly one of: directory, envFile, command, vault, githubOutput")
        return self


class Tokens(Section):
    mode: Literal["onChange", "keepFresh"] = "onChange"
    """onChange rotates when a token stopped being valid; keepFresh also before it expires."""
    rotate_before: Duration | None = None
    """keepFresh: rotate when the token has less than this left, e.g. 10m."""
    sink: TokenSink = TokenSink(directory=".fleetctl/tokens")

    @model_validator(mode="after")
    def _fits(self) -> "Tokens":
        if (self.mode == "keepFresh") != (self.rotate_before is not None):
            raise ValueError("`rotateBefore` goes with `mode: keepFresh`, and only with it")
        return self


class TokensSection(Section):
    tokens: Tokens = Tokens()
    """How session tokens of agents are kept."""


class Spec(Paired):
    rotate_before: int | None
    """Seconds; None where the clock never rotates."""
    paused: bool
    retired: str = ""
    """A session that must be replaced, whatever its age."""
    place: int = 0
    """Its pairing's place among the machine's."""


class State(Value):
    pairing: Json
    receipt: Receipt | None
    stored: Stored
    seconds_left: float | None
    """Until the session expires; None where the server does not say."""


class SessionToken(Kind[Spec, State]):
    name = "session_token"
    sections = {"fleet": TokensSection}
    fields = ("token",)

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        section = fleet.section(TokensSection)
        before = section.tokens.rotate_before if section else None
        for machine in fleet.active:
            identity = fleet.identity_of(machine)
            for place, pairing in enumerate(getattr(machine, "pairings", ()) if identity.provable else ()):
                yield Spec(
                    Address(self.name, f"{machine.name}/{pairing.agent}"),
                    identity.did,
                    pairing.agent,
                    fleet.agents[pairing.agent].address or "",
                    Output(Address("machine_record", machine.name), "id"),
                    getattr(getattr(machine, "market", None), "record_id", None),
                    machine.operator,
                    before,
                    pairing.paused,
                    place=place,
                )

    def check(self, fleet: Fleet) -> Iterable[Mistake]:
        seen: dict[str, tuple[str, str]] = {}
        for index, machine in enumerate(fleet.machines):
            for place, pairing in enumerate(getattr(machine, "pairings", ())):
                pair = (fleet.known_as(machine), pairing.agent)
                # The same pair twice is a mistake of another kind, and told as that.
                if seen.setdefault(re.sub(r"[^a-z0-9]", "_", "/".join(pair).lower()), pair) != pair:
                    message = "another pairing's token would be stored under the same name"
                    loc = ("machines", index, "pairings", place, "agent")
                    yield Mistake(loc=loc, message=message, hint="rename the machine or the agent")

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("agent_pairing", spec.address.name), triggers=True)

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        record = await record_of(read, spec.identity_ref, spec.adopted)
        if record is None:
            return Absent()
        for pairing in await living(read, record):
            if str(pairing.get("agentAddress")).lower() == spec.agent_address.lower():
                expires = pairing.get("sessionExpiresAt")
                left = seconds(expires) - read.now() if expires else None
                receipt, stored = read.receipt(spec.address.name), await read.stored(spec.address.name)
                return Present(State(whole(pairing, *NEEDED), receipt, stored, left))
        return Absent()

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        asked = "asked for" if spec.retired and spec.retired == state.pairing.get("sessionId") else ""
        reason = "" if spec.paused else asked or _stale(spec, state)
        return (FieldChange("token", "session", "new session", note=reason),) if reason else ()

    def triggered(self, spec: Spec) -> tuple[FieldChange, ...]:
        if spec.paused:
            return ()
        return (FieldChange("token", "session", "new session", note="policy changes"),)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        if state is None:
            return ()  # the token comes with the pairing
        pairing = state.pairing
        base: tuple[Segment, ...] = ("machines", spec.record, "agent-pairings")
        # The challenge must repeat what the pairing says now, or the session is refused.
        who = {name: pairing[name] for name in ("agentAddress", "agentProvider", "agentRole")}
        who |= {"agentDid": pairing["agentDid"]} if pairing.get("agentDid") else {}
        rotate = SignedRequest(
            challenge=HttpRequest("POST", (*base, "challenges"), who),
            names=(spec.record, spec.agent_address),
            signer=Signer("agent", spec.agent),
            request=HttpRequest("POST", (*base, pairing["id"], "sessions"), {}),
            proof="agentProof",
            secret=SecretTarget("pairingToken", spec.address.name),
        )
        renewal = renewed_proof(spec.identity_ref, spec.address.name.split("/")[0], spec.operator, spec.record)
        return (Step("rotate the token", rotate, rotates=True, renewal=renewal),)

    def creates(self, spec: Spec) -> tuple[FieldChange, ...]:
        return (FieldChange("token", None, "session", note="issued with the pairing"),)

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"token": "session"}

    def subject(self, spec: Spec) -> str:
        return spec.identity_ref

    def kept(self, field: str, declared: object, observed: object) -> bool:
        # Nobody declares a session: one that must be replaced was ended by somebody, or by the clock.
        return False

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return (("machines", spec.address.name.split("/")[0], "pairings", spec.place),)

    def unfinished(self, field: FieldChange) -> bool:
        return True

    def wears(self, field: FieldChange) -> bool:
        return field.note == EXPIRES

    def equal(self, spec: Spec, state: State) -> str:
        if spec.paused:
            return "the pairing is paused"
        if state.seconds_left is not None and state.seconds_left <= 0:
            return f"expired at {state.pairing['sessionExpiresAt']}; nothing else changed"
        return "the stored token is that of the current session"


def _stale(spec: Spec, state: State) -> str:
    """Why the stored token is not (or will not stay) valid, or ""."""
    pairing, receipt, stored = state.pairing, state.receipt, state.stored
    if not pairing.get("hasAuthToken"):
        return "the pairing has no session"
    if stored.readable and not stored.digest:
        return "no token is stored"
    if stored.readable and stored.last_four != pairing.get("tokenLastFour"):
        return "the stored token is not that of the current session"
    if receipt is not None and receipt.pairing_id == pairing["id"]:
        if receipt.session_issued_at != pairing.get("sessionIssuedAt"):
            return "another session was issued since"
        if later(str(pairing.get("updatedAt")), receipt.updated_at):
            return "the pairing was changed after its session was issued"
        if receipt.policy and fingerprint(pairing) not in ("", receipt.policy):
            return "the delegation policy is not the one its session was issued under"
        if stored.readable and stored.digest != receipt.digest:
            return "the stored token is not the one that was issued"
    elif stored.readable and later(str(pairing.get("updatedAt")), str(pairing.get("sessionIssuedAt")), by=MOMENT):
        # Whether that ended the session nobody can say any more, and a token that is refused would stay for ever.
        return "the pairing was changed after its session was issued, and the journal does not know by whom"
    if spec.rotate_before is not None and state.seconds_left is not None and state.seconds_left < spec.rotate_before:
        return EXPIRES
    return ""
