"""The edges as seen from inside: what kinds and the engine may ask of the world. Adapters implement these."""

from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from reconciler.core.effects import ChainCall, HttpRequest, Signer
from reconciler.core.errors import Rejected
from reconciler.core.value import Value

Json = Mapping[str, Any]
T = TypeVar("T")


class Receipt(Value):
    """A token that was stored: never the token, only what lets us know it again.

    `updated_at` and `session_issued_at` are the pairing's own stamps, seen just after our rotation, and `policy` is
    the fingerprint of the delegation policy that the session was issued under ("" where none was seen).
    """

    name: str
    pairing_id: str
    digest: str
    last_four: str
    expires_at: str
    updated_at: str
    session_issued_at: str
    policy: str = ""


class Stored(Value):
    """What a sink holds: `digest` is SHA-256 of the secret. Both "" where it holds none or cannot be read back."""

    readable: bool
    digest: str = ""
    last_four: str = ""


class Memory(Protocol):
    """What the journal knows of earlier runs, whatever the fleet."""

    def receipt(self, name: str) -> Receipt | None: ...
    def signers(self) -> Sequence[tuple[str, str]]:
        """Who ever signed a transaction, as role/name, and from which account."""
        ...

    def subjects(self, kind: str) -> Sequence[tuple[str, str]]:
        """Resources of a kind, by address, and which one thing each was when it was last seen converged."""
        ...


class Reader(Memory, Protocol):
    """Read access for kinds. Chain reads are pinned to one block and coalesced; repeated reads are answered once.

    All methods raise Unreachable when there is no clear answer, and Rejected when the answer is a clear no (for a
    contract read: a revert, whose name is in `reason`).
    """

    @property
    def block(self) -> int:
        """The block that chain reads are pinned to."""
        ...

    def view(self, contract: str, function: str, *args: object) -> Awaitable[tuple[Any, ...]]:
        """Result of a contract read, which is asked for at once.

        `contract` is a role, `function` is `name(types)(result types)`.
        """
        ...

    async def balance(self, address: str) -> int:
        """Native balance in wei."""
        ...

    async def attribute(self, account: str, name: str) -> str | None:
        """A DID attribute's text, or None where the chain says clearly that there is none."""
        ...

    async def attributes(self, account: str, names: Iterable[str]) -> Mapping[str, str | None]:
        """Several attributes by name, read together."""
        ...

    async def items(self, *path: str) -> Sequence[Json]:
        """All pages of a Machine Markets list."""
        ...

    async def find(self, field: str, value: str, *path: str) -> Json | None:
        """The first item of a list whose `field` is `value`, letter case aside."""
        ...

    async def item(self, *path: str) -> Json:
        """One Machine Markets object; Rejected with reason NOT_FOUND where there is none."""
        ...

    async def mcr(self, *path: str) -> Json:
        """An answer of the MCR API."""
        ...

    async def together(self, reads: Iterable[Awaitable[T]]) -> Sequence[T]:
        """All these answers, asked for at the same time; the first that fails is raised."""
        ...

    async def minted_for(self, account: str) -> Collection[str]:
        """Numbers of the v2 machines that an account ever owned or controlled, from all of the chain's logs."""
        ...

    def now(self) -> float:
        """Seconds since the epoch at which this reading began."""
        ...

    def chain_time(self) -> float:
        """Seconds since the epoch by the chain: of the block read, or of now where blocks come only on demand."""
        ...

    async def stored(self, name: str) -> Stored:
        """What the token sink holds under this name."""
        ...


async def record_of(read: Reader, identity_ref: str, adopted: str | None) -> Json | None:
    """A machine's record in Machine Markets: from the list, or else the one adopted by its id."""
    found = await read.find("identityRef", identity_ref, "machines")
    if found is not None and found.get("status") == "archived":
        # One machine may have been enrolled again after its record was archived.
        same = [r for r in await read.items("machines") if str(r.get("identityRef")).lower() == identity_ref.lower()]
        found = next((record for record in same if record.get("status") != "archived"), found)
    if found is not None or adopted is None:
        return found
    try:
        return await read.item("machines", adopted)
    except Rejected as error:
        if error.reason == "NOT_FOUND":
            return None
        raise


def whole(item: Json, *fields: str) -> Json:
    """`item`, if all `fields` are texts; ValueError where not, since an answer of another shape is unreadable."""
    if missing := [name for name in fields if not isinstance(item.get(name), str)]:
        raise ValueError(f"no {', '.join(missing)}")
    return item


class Block(Value):
    number: int
    hash: str
    timestamp: int
    base_fee: int
    gas_limit: int
    transactions: tuple[str, ...] = ()
    """Hashes."""
    parent: str = ""
    """Hash of the block before it."""


class Raw(Value):
    """A call ready for the wire: `to` and `data` are 0x-hex, `value` is wei."""

    to: str
    data: str
    value: int


class Simulated(Value):
    """Outcome of an eth_call or gas estimate: `revert` is "" where it would succeed, and `remedy` what to do else."""

    gas: int = 0
    revert: str = ""
    remedy: str = ""

    @property
    def told(self) -> str:
        """Why it would fail, and what to do about it where that is known."""
        return ": ".join(filter(None, (self.revert, self.remedy)))


class Fees(Value):
    """Price of gas in wei; `tip` is None on a chain without EIP-1559."""

    max_fee: int
    tip: int | None


class Draft(Value):
    """A transaction before it is signed."""

    nonce: int
    call: Raw
    gas: int
    fees: Fees
    chain_id: int


class Signed(Value):
    """A transaction on paper: `draft` is what was signed, in gas and fees perhaps more than was asked for."""

    hash: str
    raw: str
    draft: Draft


class Mined(Value):
    """A receipt, reduced: where it was included and whether it succeeded."""

    hash: str
    block: int
    block_hash: str
    ok: bool
    gas_used: int


class Chain(Protocol):
    """Write side of a chain. Every method raises Unreachable where no clear answer came."""

    async def head(self, tag: str = "latest") -> Block: ...
    async def recent(self, number: int = 0) -> Block:
        """The newest block as somebody read it just now, if it is at least `number`; else as it is read now."""
        ...

    async def block(self, number: int) -> Block | None: ...
    async def nonce(self, address: str, tag: str) -> int: ...
    async def next_nonce(self, address: str) -> int:
        """That of its next transaction, as somebody read it just now where nothing was sent since."""
        ...

    async def balance(self, address: str) -> int: ...
    async def fees(self) -> Fees: ...
    async def estimate(self, sender: str, call: Raw) -> Simulated:
        """Gas it would take now, or why it would revert."""
        ...

    async def dry_run(self, sender: str, call: Raw, block: int) -> Simulated:
        """Why it would revert on top of `block`, without regard to gas."""
        ...

    async def broadcast(self, raw: str) -> None:
        """Hand over signed bytes. Already known counts as done; Rejected where the pool refuses for good."""
        ...

    async def mined(self, hashes: Iterable[str]) -> Mapping[str, Mined]:
        """Receipts that exist now, by hash."""
        ...

    async def receipts(self, block: Block) -> Mapping[str, Mined]:
        """All receipts of one block, by hash."""
        ...

    async def known(self, tx_hash: str) -> bool:
        """True where the node has the transaction, mined or pending."""
        ...

    def encode(self, call: ChainCall) -> Raw: ...
    def pack(self, calls: Sequence[Raw]) -> Raw:
        """One Batch call that does all of them, atomically, as the sender."""
        ...


class Keyring(Protocol):
    """Keys at hand. Private keys never leave it."""

    def address(self, signer: Signer) -> str: ...
    def has(self, signer: Signer) -> bool:
        """True where the key itself is here: it can sign anything."""
        ...

    def sign_transaction(self, signer: Signer, draft: Draft) -> Signed: ...
    def sign_message(self, signer: Signer, text: str) -> str:
        """EIP-191 signature, 65 bytes as 0x-hex."""
        ...


class Api(Protocol):
    """Write side of Machine Markets. Ambiguous where a write was sent and no answer came."""

    @property
    def hosts(self) -> Sequence[str]:
        """The names under which it may ask for a signature: its host, with the port and without."""
        ...

    async def send(self, method: str, path: Sequence[str], body: Json | None) -> Json: ...


class Secrets(Protocol):
    """Secrets that the manifest refers to."""

    def reveal(self, kept: Mapping[str, str], what: str) -> str:
        """The secret kept there. ConfigError where it is missing or not fit; it never says the secret itself."""
        ...


class Sink(Protocol):
    """Where secrets are delivered."""

    def write(self, name: str, secret: str) -> None:
        """Durable when it returns."""
        ...

    def stored(self, name: str) -> Stored: ...


class CodedApi(Protocol):
    """A service that wants a one-time code with every request, and does once what a request id asks for."""

    async def send(self, signer: Signer, request: HttpRequest, code: str) -> None:
        """One request, when a code that was never used is at hand; it goes into `code` of the body.

        Unreachable and Ambiguous: may be sent again with the same id. Rejected: no, and nothing was done; Deferred:
        not today. Returns where it was done, now or earlier under this id.
        """
        ...


class Label(Value):
    """Which step of which resource an effect belongs to."""

    address: str
    step: str


class Sent(Value):
    """A transaction in the journal: everything needed to send the same bytes again."""

    hash: str
    sender: str
    signer: str
    """role/name"""
    nonce: int
    raw: str
    labels: tuple[Label, ...]
    gas: int = 0
    max_fee: int = 0
    tip: int | None = None


class Entry(Value):
    """One intent as a person looks it up: a transaction's if `hash` is set, else a request's."""

    number: int
    address: str
    step: str
    outcome: str
    hash: str | None
    request: str | None
    signer: str | None
    nonce: int | None
    block: int | None


class Journal(Memory, Protocol):
    """Effects in flight, and receipts of tokens. Every write is durable when it returns."""

    async def signed(self, sent: Sent) -> None:
        """Record a signed transaction. Only after this may it be broadcast."""
        ...

    async def mined(self, mined: Mined) -> None: ...
    async def settled(self, tx_hash: str, outcome: str) -> None:
        """Close a transaction's intents; `outcome` is done, failed or void."""
        ...

    async def requested(self, label: Label, request: str) -> int:
        """Record that a write is about to be sent; the number closes it."""
        ...

    async def answered(self, number: int, outcome: str) -> None:
        """`outcome` is done, failed or unknown."""
        ...

    async def keep(self, receipt: Receipt) -> None: ...
    def unsettled(self) -> Sequence[Sent]:
        """Transactions without a final outcome, by sender, nonce and fee."""
        ...

    def unanswered(self) -> Sequence[tuple[int, Label, str]]: ...
    def requests(self, label: Label) -> Sequence[tuple[str, str]]:
        """Requests recorded under a label and their outcomes, newest first."""
        ...

    async def remember(self, fleet: str, converged: Mapping[str, str]) -> None:
        """Keep what was seen converged, by address, all or nothing. Only ever told, never acted upon."""
        ...

    def remembered(self, fleet: str) -> Mapping[str, str]:
        """What was last seen converged."""
        ...

    def entries(self, limit: int = 1000) -> Sequence[Entry]:
        """Intents, newest first."""
        ...


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None: ...
