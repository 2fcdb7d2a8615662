"""Effects as data: the closed set of things fleetctl can do to the world.

Dry-run, masking, hashing, cost, caps, journal and batching read these values and need nothing from a kind.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.core.address import Output, expected
from reconciler.core.value import Value


class Signer(Value, order=True):
    """Who must sign: a role (operator, machine, agent) and the name the manifest gives the key."""

    role: str
    name: str

    def __str__(self) -> str:
        return f"{self.role}/{self.name}"


class ChainCall(Value):
    """One contract call or transfer by `signer`.

    `to` is a contract's role name or a 0x address, `function` a full signature ("" for a plain transfer), `value` and
    `deposit` are wei (a deposit is taken by a contract or the runtime from the signer, not sent), `gas` is an upper
    guess in gas units for planning only; sending always estimates. `purpose` is the heading under which value and, for
    a bond, deposit are shown as cost.
    """

    signer: Signer | Output
    to: str
    function: str = ""
    args: tuple[Any, ...] = ()
    value: int | Output = 0
    deposit: int | Output = 0
    gas: int = 21_000
    purpose: str = "transfer"

    @property
    def taken(self) -> int:
        """The deposit in wei, or nothing while it is not known."""
        return self.deposit if isinstance(self.deposit, int) else 0

    @property
    def pays(self) -> int:
        """Wei that leave for good, as far as they are known: what is sent, and a bond that is taken."""
        sent = self.value if isinstance(self.value, int) else 0
        return sent + (self.taken if self.purpose == "bond" else 0)


class ChainGroup(Value):
    """Calls of one signer that happen together or not at all."""

    calls: tuple[ChainCall, ...]

    @property
    def signer(self) -> Signer:
        return expected(self.calls[0].signer)


Segment = str | Output


class Touch(Value):
    """Says that a request moves the pairing's `updatedAt` without ending its session.

    The receipt of `token` follows it if it still bears `seen`, the stamp from before.
    """

    token: str
    seen: Segment


class SecretSource(Value):
    """A secret that is put into `field` of a body as it is sent, and nowhere else.

    `kept` is the manifest's reference to it, such as {"env": "QVAC_TOKEN"}; `what` is what to call it.
    """

    field: str
    kept: Mapping[str, str]
    what: str


class HttpRequest(Value):
    """A request to Machine Markets; `path` is in segments below the API's root, `body` is JSON."""

    method: str
    path: tuple[Segment, ...]
    body: Mapping[str, Any] | None = None
    touches: Touch | None = None
    secret: SecretSource | None = None


class SecretTarget(Value):
    """Where a secret in an answer must be written before anything else: `field` of the answer, entry `name`."""

    field: str
    name: str


class SignedRequest(Value):
    """A request that carries a proof: fetch a challenge, sign its message, send `request` with the proof inside.

    `names` are the texts the server's message must contain, or it is not signed. `others` may sign instead where the
    challenge asks for one of them.
    """

    challenge: HttpRequest
    names: tuple[Segment, ...]
    signer: Signer
    request: HttpRequest
    proof: str
    secret: SecretTarget | None = None
    others: tuple[Signer, ...] = ()


def machine_proof(identity_ref: str, machine: str, operator: str, request: HttpRequest) -> SignedRequest:
    """`request` with a proof that we control this machine; both are names of the manifest."""
    return SignedRequest(
        challenge=HttpRequest("POST", ("machine-identity", "challenges"), {"identityRef": identity_ref}),
        names=(identity_ref,),
        signer=Signer("machine", machine),
        others=(Signer("operator", operator),),
        request=request,
        proof="identityProof",
    )


def renewed_proof(identity_ref: str, machine: str, operator: str, record: Segment) -> SignedRequest:
    """A new proof for a record, instead of one that ran out or that a former controller gave."""
    return machine_proof(identity_ref, machine, operator, HttpRequest("PATCH", ("machines", record), {}))


class CodedRequest(Value):
    """A request for coins, with a one-time code of `signer` and an id under which it may safely be repeated.

    `code` and `ident` are the fields of the body that take the two. `account` will receive at least `wei`, as far as
    a plan may count on it. For the reasons in `declines` the service pays nothing: then the world is looked at again,
    and `otherwise` is done where anything is still missing.
    """

    signer: Signer
    request: HttpRequest
    code: str
    ident: str
    account: str
    wei: int
    declines: tuple[str, ...] = ()
    otherwise: ChainGroup | None = None


Effect = ChainGroup | HttpRequest | SignedRequest | CodedRequest


class Step(Value):
    """One external act inside a change: one effect, one intent, one outcome.

    `keys` must be at hand before the step may run although it does not sign with them; `otherwise` says why.
    `probes` are calls that must already be possible when planning, or the change is blocked.
    `renewal` is done first where the service says that the machine's proof it holds is no longer good.
    """

    title: str
    effect: Effect
    irreversible: bool = False
    rotates: bool = False
    keys: tuple[Signer, ...] = ()
    otherwise: str = ""
    probes: tuple[ChainCall, ...] = ()
    renewal: SignedRequest | None = None


def signer_of(effect: Effect) -> Signer | None:
    """Who signs this effect, or None for an unsigned request."""
    match effect:
        case ChainGroup():
            return effect.signer
        case SignedRequest(signer=signer) | CodedRequest(signer=signer):
            return signer
        case HttpRequest():
            return None


def calls_of(effect: Effect) -> tuple[ChainCall, ...]:
    """The chain calls that this effect may come to, at worst."""
    match effect:
        case ChainGroup(calls=calls):
            return calls
        case CodedRequest(otherwise=ChainGroup(calls=calls)):
            return calls
        case _:
            return ()


def receivers(effect: Effect) -> Iterator[tuple[str, int]]:
    """Accounts that it sends wei to, and how many."""
    match effect:
        case ChainGroup(calls=calls):
            yield from ((call.to, call.value) for call in calls if not call.function and isinstance(call.value, int))
        case CodedRequest(account=account, wei=wei):
            yield account, wei


def paid(effect: Effect) -> int:
    """Wei that it moves, gas and deposits aside."""
    if isinstance(effect, CodedRequest):
        return effect.wei
    calls = effect.calls if isinstance(effect, ChainGroup) else ()
    return sum(call.pays for call in calls)
