"""A plan as a file: what was approved, and the manifest, chain, contracts and operators it was made for. No secrets."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from reconciler.core.address import Address, Output
from reconciler.core.change import Action, FieldChange
from reconciler.core.effects import HttpRequest, Signer, Step
from reconciler.core.errors import ConfigError
from reconciler.core.guards import Refusal
from reconciler.core.kind import AnyKind, Resource
from reconciler.core.money import Cost
from reconciler.core.plan import Plan, PlannedChange
from reconciler.core.section import EvmAddress, Section
from reconciler.core.signing import Moment, Wei
from reconciler.core.text import one_line
from reconciler.core.value import Value

MAJOR = "1"
OUTSIDE = ("checksum", "signature")
"""What the checksum is not about."""
_JSON = TypeAdapter[Any](Any)
"""A parser that gives up where what is nested without end would bring down the other."""
Version = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$", description="Grows its first number with breaks")]
Number = Annotated[str, Field(pattern=r"^[0-9]+$")]
Hash = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(Section):
    """A part of the file. Newer minor versions add fields, which are passed over."""

    model_config = ConfigDict(extra="ignore")


class SavedField(Part):
    field: str
    before: Any = None
    after: Any = None
    """A value that is known only after apply names the resource and the field that it comes from."""
    note: str = ""
    replaces: bool = False
    widens: bool = False

    def change(self) -> FieldChange:
        return FieldChange(
            self.field, _revived(self.before), _revived(self.after), self.note, self.replaces, self.widens
        )


class SavedChange(Part):
    address: Annotated[str, Field(pattern=r"^[a-z_0-9]+/.+$")]
    action: Action
    reason: str = ""
    fields: tuple[SavedField, ...] = ()
    steps: tuple[str, ...] = ()
    """What is done, in order, in words."""
    irreversible: bool = False
    rotates: bool = False
    widens: bool = False
    unreadable: bool = False
    ignored: tuple[SavedField, ...] = ()
    """Differences that the manifest says are none."""
    pays: Wei = "0"
    """Bonds and transfers, gas and deposits aside."""

    @property
    def key(self) -> Address:
        return Address(*self.address.split("/", 1))


class SavedNetwork(Part):
    name: str
    chain_id: Number
    block: Number
    """The block at which the world was read."""
    block_hash: Hash


class SavedContract(Part):
    address: str
    code: Hash
    """Keccak-256 of its code."""
    implementation: str | None = None
    """What its ERC-1967 slot points to, where it is a proxy."""


class SavedOrigin(Part):
    """The Git checkout that the manifest came from."""

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")]
    dirty: bool
    """True where files differed from the commit."""


class SavedChoice(Part):
    """What of the fleet the plan is about: as the options of `plan` said."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    scan: bool = False


class SavedCost(Part):
    bond: Wei
    transfer: Wei
    deposit: Wei
    gas: Wei

    def cost(self) -> Cost:
        return Cost(int(self.bond), int(self.transfer), int(self.deposit), int(self.gas))


class SavedRefusal(Part):
    code: str
    message: str
    hint: str


class PlanSignature(Part):
    """An operator's EIP-191 signature over the checksum, in the words of `signed_text`."""

    operator: str
    address: EvmAddress
    signature: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{130}$")]


class SavedPlan(Part):
    """What `plan --out` writes and `apply FILE` applies."""

    format_version: Version
    kind: Literal["Plan"]
    created: Moment
    fleet: str
    network: SavedNetwork
    manifest_digest: Digest
    """SHA-256 over all files of the manifest: included files, tables and the lock file too."""
    git: SavedOrigin | None = None
    contracts: Mapping[str, SavedContract]
    """By role."""
    operators: Mapping[str, EvmAddress]
    """Their accounts, by name."""
    choice: SavedChoice = SavedChoice()
    left_out: Mapping[str, str] = {}
    """What is not part of the plan, and the option that left it out."""
    gas_price: Wei
    """Worst case at the time, for a unit of gas."""
    digest: Digest
    """SHA-256 over what the plan does."""
    summary: Mapping[str, int] = {}
    """Number of changes, by action."""
    changes: tuple[SavedChange, ...]
    cost: Mapping[str, SavedCost]
    """By signer."""
    notices: tuple[str, ...] = ()
    refusals: tuple[SavedRefusal, ...] = ()
    checksum: Digest
    """SHA-256 over everything but itself and the signature, as JSON with sorted keys and no spaces."""
    signature: PlanSignature | None = None

    @property
    def signed_text(self) -> str:
        """What the operator signs."""
        return signed_text(self.fleet, self.network.chain_id, self.checksum)

    def plan(self, kinds: Mapping[str, AnyKind]) -> "RememberedPlan":
        """To be shown, not to be run; what would steer a terminal is written out."""
        return type(self).model_validate(_fit(self.model_dump(by_alias=True)))._plan(kinds)

    def _plan(self, kinds: Mapping[str, AnyKind]) -> "RememberedPlan":
        costs = {Signer(*who.split("/", 1)): saved.cost() for who, saved in self.cost.items()}
        changes = tuple(_remembered(change, kinds) for change in self.changes)
        left = {Address(*address.split("/", 1)): option for address, option in self.left_out.items()}
        return RememberedPlan(changes, int(self.gas_price), self.notices, left, spent=costs, known_as=self.digest)

    def refused(self) -> list[Refusal]:
        return [Refusal(r.code, one_line(r.message), one_line(r.hint)) for r in self.refusals]


class Named(Value):
    """All that a file tells of a resource's spec."""

    address: Address


class RememberedChange(PlannedChange):
    """A change as a file tells it: its steps have titles only, so its marks are told beside them."""

    marks: frozenset[str] = frozenset()
    paid: int = 0

    @property
    def irreversible(self) -> bool:
        return "irreversible" in self.marks

    @property
    def rotates(self) -> bool:
        return "rotates" in self.marks

    @property
    def widens(self) -> bool:
        return "widens" in self.marks

    @property
    def pays(self) -> int:
        return self.paid


class RememberedPlan(Plan):
    """A plan as a file tells it."""

    spent: Mapping[Signer, Cost] | None = None
    known_as: str = ""

    def costs(self) -> dict[Signer, Cost]:
        return dict(self.spent or {})

    @property
    def digest(self) -> str:
        return self.known_as


def checksum(content: Mapping[str, Any]) -> str:
    """Of the content of a file, as JSON data."""
    inside = {name: value for name, value in content.items() if name not in OUTSIDE}
    text = json.dumps(inside, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def signed_text(fleet: str, chain_id: str, digest: str) -> str:
    return f"fleetctl saved plan\nfleet: {fleet}\nchain: {chain_id}\nsha256: {digest}"


def read_saved(text: str, where: str) -> SavedPlan:
    """The content of a file. ConfigError where it is no plan, of a newer major version, or was changed."""
    again = "make a new one with `fleetctl plan --out FILE`"
    try:
        content = _JSON.validate_json(text)
    except ValidationError:
        raise ConfigError("it is no JSON, or was cut short", where=where, hint=again) from None
    if not isinstance(content, dict) or content.get("kind") != "Plan":
        raise ConfigError("it is no saved plan", where=where, hint="give the file that `fleetctl plan --out` wrote")
    version = str(content.get("formatVersion"))
    if version.partition(".")[0] != MAJOR:
        message = f"it is of format {version[:20]}, and this fleetctl reads {MAJOR}.x"
        raise ConfigError(message, where=where, hint="use the fleetctl that wrote it, or make a new one")
    try:
        found = SavedPlan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"it is damaged: {place}: {first['msg']}", where=where, hint=again) from None
    if found.checksum != checksum(content):
        message = "it was changed since it was written: its checksum does not fit"
        raise ConfigError(message, where=where, hint=f"{again}, and ask who changed this one")
    return found


def _remembered(saved: SavedChange, kinds: Mapping[str, AnyKind]) -> RememberedChange:
    key = saved.key
    if key.kind not in kinds:
        hint = "use the fleetctl that wrote it"
        raise ConfigError(f"it names {key}, a kind of resource that this fleetctl does not know", hint=hint)
    marks = frozenset(mark for mark in ("irreversible", "rotates", "widens") if getattr(saved, mark))
    return RememberedChange(
        Resource(kinds[key.kind], Named(key)),
        saved.action,
        saved.reason,
        tuple(field.change() for field in saved.fields),
        tuple(Step(title, HttpRequest("", ())) for title in saved.steps),
        saved.unreadable,
        tuple(field.change() for field in saved.ignored),
        marks=marks,
        paid=int(saved.pays),
    )


def _fit(value: Any) -> Any:
    """`value` with every text in it fit to be shown: anybody may have written the file."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {one_line(key): _fit(item) for key, item in value.items()}
    return [_fit(item) for item in value] if isinstance(value, list | tuple) else value


def _revived(value: Any) -> Any:
    """`value` with what is known only after apply as what it was: an Output."""
    if isinstance(value, list):
        return tuple(_revived(item) for item in value)
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"address", "field", "expected"} and isinstance(value["address"], Mapping):
        return Output(Address(**value["address"]), value["field"], _revived(value["expected"]))
    return {key: _revived(item) for key, item in value.items()}
