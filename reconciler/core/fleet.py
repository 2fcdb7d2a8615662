"""The desired state, after parsing: what every protocol shares. Kinds add their own sections to it.

`Fleet` and `Machine` here are bases: the manifest composes the full models from the sections that kinds contribute
(`Kind.sections`), and a kind asks for its own with `machine.section(ItsSection)`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from reconciler.core.money import Amount
from reconciler.core.schedule import Cron, TimeZone
from reconciler.core.urls import PrivateUrl

SectionT = TypeVar("SectionT", bound="Section")
ZERO_ADDRESS = "0x" + "0" * 40


class Section(BaseModel):
    """A part of the manifest: camelCase outside, unknown keys are mistakes, never changed after parsing."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
    )

    def parts(self) -> Iterator["Section"]:
        """This section and every section directly inside it."""
        yield self
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Section):
                yield value

    def section(self, wanted: type[SectionT]) -> SectionT | None:
        """The part of this section that is (or contains the fields of) `wanted`, or None where it was left out."""
        return next((part for part in self.parts() if isinstance(part, wanted)), None)


def _not_zero(address: str) -> str:
    if address.lower() == ZERO_ADDRESS:
        raise ValueError("the zero address is nobody's; write the machine's own address")
    return address


EvmAddress = Annotated[
    str,
    Field(pattern=r"^0x[0-9a-fA-F]{40}$", description="20 bytes in hex, EIP-55 checksummed if in mixed case"),
    AfterValidator(_not_zero),
]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
Name = Annotated[
    str,
    Field(
        pattern=NAME,
        description="1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit",
    ),
]


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(text: object) -> int:
    match = re.fullmatch(r"(\d+)([smhd])", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"a duration needs a unit, such as `30s`, `10m` or `1h`; got {text!r}")
    return int(match[1]) * _SECONDS[match[2]]


Duration = Annotated[
    int,
    BeforeValidator(_seconds),
    WithJsonSchema({"type": "string", "pattern": r"^\d+[smhd]$", "examples": ["30s", "10m"]}),
]


class SecretRef(Section):
    """Where a secret is kept. The secret itself never stands in a manifest."""

    env: str | None = None
    """Environment variable that holds it."""
    file: str | None = None
    """File that holds it, mode 0600; relative to the manifest."""
    command: str | None = None
    """Command whose standard output is it."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "SecretRef":
        chosen = [n for n in type(self).model_fields if n != "password" and getattr(self, n) is not None]
        if len(chosen) != 1:
            options = ", ".join(n for n in type(self).model_fields if n != "password")
            raise ValueError(f"name exactly one of: {options}")
        return self


class Remote(Section):
    """A remote signer's JSON-RPC."""

    url: PrivateUrl
    """https beyond loopback."""
    address: EvmAddress
    kind: Literal["web3signer", "clef"] = "web3signer"


class KeyRef(SecretRef):
    """Where a private key is kept."""

    keystore: str | None = None
    """Encrypted V3 keystore (JSON); relative to the manifest."""
    password: SecretRef | None = None
    """Where the keystore's password is kept."""
    remote: Remote | None = None
    """A signer that keeps the key to itself."""

    def __str__(self) -> str:
        for name in ("env", "file", "keystore", "command", "remote"):
            if (value := getattr(self, name)) is not None:
                return name if name == "remote" else f"{name} {value}"
        return "no key"


class ContractAddresses(Section):
    identity_registry: EvmAddress
    identity_staking: EvmAddress
    machine_nft: EvmAddress
    did: EvmAddress = "0x0000000000000000000000000000000000000800"
    batch: EvmAddress = "0x0000000000000000000000000000000000000805"
    multicall: EvmAddress | None = "0xcA11bde05977b3631167028862bE2a173976CA11"


class Confirmations(Section):
    """When a transaction counts as settled: so many blocks deep, or at or below a tagged block."""

    depth: int | None = Field(default=None, ge=1, le=1000)
    tag: Literal["safe", "finalized"] | None = None

    @model_validator(mode="after")
    def _one(self) -> "Confirmations":
        if (self.depth is None) == (self.tag is None):
            raise ValueError("name exactly one of: depth, tag")
        return self


class Network(Section):
    """A chain by its own numbers. The presets `sandbox`, `peaq` and `agung` fill this in."""

    name: str = "custom"
    rpc_url: str | tuple[str, ...]
    """JSON-RPC endpoint, or several of the same chain in order of preference."""
    chain_id: int = Field(ge=1)
    contracts: ContractAddresses
    confirmations: Confirmations = Confirmations(depth=1)
    did_deposit: Amount = 5 * 10**15
    """What the chain reserves for each new DID attribute."""
    live: bool = False
    """True where real money moves: then `protocol` must be written out."""

    @property
    def rpc_urls(self) -> tuple[str, ...]:
        return (self.rpc_url,) if isinstance(self.rpc_url, str) else self.rpc_url


class Service(Section):
    url: str
    """Base URL; https beyond loopback. `${VAR}` is replaced from the environment."""
    api_key: SecretRef | None = None
    """Platform key, sent as `x-api-key`."""


class Services(Section):
    markets: Service | None = None
    """Machine Markets (the orchestrator)."""
    mcr: Service | None = None
    """Machine Credit Rating API."""
    gas_station: Service | None = None


class Operator(Section):
    """An account that registers machines, pays their bonds and publishes the fleet."""

    address: EvmAddress | None = None
    """May be left out where the key gives it."""
    key: KeyRef | None = None
    totp: SecretRef | None = None
    """TOTP secret for the Gas Station."""


class Agent(Section):
    """An AI agent that may be paired to machines."""

    address: EvmAddress | None = None
    """May be left out where the key gives it."""
    did: str | None = Field(default=None, pattern=r"^did:pkh:eip155:[0-9]+:0x[0-9a-fA-F]{40}$")
    """did:pkh:eip155:<chain id>:<its address>; left out, Machine Markets makes one up and it is not compared."""
    provider: str
    """Who runs it: anthropic, openai, virtuals, …"""
    key: KeyRef | None = None
    """Needed to pair and to rotate; without it those steps are parked."""


Prunable = Literal["pairings", "records", "identities"]
"""What may be removed although the manifest never named it (`Kind.prunable`)."""


_PERCENT = r"^(100|[1-9]?[0-9])%$"


def _number_or_share(value: object) -> object:
    number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if number or (isinstance(value, str) and re.fullmatch(_PERCENT, value)):
        return value
    raise ValueError('expected a number or a share; write for example `3` or `"10%"`')


NumberOrShare = Annotated[
    int | str,
    BeforeValidator(_number_or_share),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _PERCENT}]}),
]


class Guards(Section):
    """Limits that an apply refuses to cross."""

    max_spend: Amount | None = None
    """Most that one apply may spend, bonds, transfers, deposits and worst-case gas together."""
    policy_widening: Literal["ask", "deny", "allow"] = "ask"
    """A change that gives an agent more authority: `ask` wants --allow-widening, or a yes of its own."""
    max_fee: Amount | None = None
    """Most to pay for one unit of gas, offers for slow transactions included, e.g. 500 gwei."""
    max_removals: NumberOrShare | None = None
    """Most resources that one apply may remove, replace or deactivate: a number, or a share of those that exist."""
    signed_plans: Literal["optional", "required"] = "optional"
    """`required`: apply takes nothing but a saved plan that an operator signed (`plan --out FILE --sign`)."""


LabelValue = Annotated[str, Field(pattern=r"^[^,\x00-\x1f\x7f]{1,255}$")]
Ignored = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9_*?]+\.[^\s,]+$",
        description="A kind and one of its fields as a plan shows it; `*` and `?` as in file names",
        examples=["machine_record.displayName", "wallet_funding.*"],
    ),
]


class Window(Section):
    """A time in which applies may change things, or may not. Windows that name no machines are about the fleet."""

    allow: Cron | None = None
    """When it begins: minute, hour, day, month, weekday. Where there are such windows, one of them must be open."""
    deny: Cron | None = None
    """When a time begins in which nothing is changed, whatever else allows it."""
    for_: Duration = Field(alias="for")
    """How long it lasts, e.g. 2h."""
    time_zone: TimeZone = "UTC"
    """Whose clocks the rule is about, e.g. Europe/Berlin."""
    machines: tuple[str, ...] = ()
    """Only these machines; `*` and `?` as in file names."""
    labels: Mapping[Name, LabelValue] = {}
    """Only machines with all of these labels; patterns as well."""

    @model_validator(mode="after")
    def _one_rule(self) -> "Window":
        if (self.allow is None) == (self.deny is None):
            raise ValueError("name exactly one of: allow, deny")
        if self.for_ == 0:
            raise ValueError("a window of no length never opens; write for example `for: 2h`")
        return self

    @property
    def rule(self) -> str:
        return self.allow or self.deny or ""

    @property
    def particular(self) -> bool:
        return bool(self.machines or self.labels)


class Metadata(Section):
    """What a machine says of itself, in any protocol."""

    documentation_url: str | None = Field(default=None, min_length=1, max_length=2560)
    data_api: str | None = Field(default=None, min_length=1, max_length=2560)


class Machine(Section):
    """One machine. Protocol blocks, `market`, `pairings` and the rest are added by kinds."""

    name: Name
    address: EvmAddress | None = None
    """May be left out where the key gives it."""
    key: KeyRef | None = None
    """Where the machine's own key is kept; without one its own steps are parked."""
    custody: Literal["key", "none"] = "key"
    """`none`: nobody will ever sign for this machine, so it gets its identity and NFT only."""
    operator: Name = "default"
    """Which of the operators registers it."""
    labels: Mapping[Name, LabelValue] = {}
    """For --only, --skip and windows; never sent anywhere, unlike market.labels."""
    suspended: bool = False
    """It is read and shown, and nothing of it is changed."""
    ignore: tuple[Ignored, ...] = ()
    """Fields of this machine's resources that are somebody else's to change."""
    state: Literal["active", "retired"] = "active"
    """`retired`: its pairings are revoked, its record archived, its identity deactivated. The bond stays locked."""
    protect: bool = False
    """Nothing of this machine may be removed, replaced, archived or deactivated while this stands here."""
    metadata: Metadata = Metadata()


class Move(Section):
    """A machine that got another name in this file. Everywhere else it goes on under the old one."""

    from_: Name = Field(alias="from")
    """The name that it had."""
    to: Name
    """The name that it has."""


def origins(moves: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first name of everything that was renamed, by the last, however often it was. Circles are left out."""
    before = {new: old for old, new in moves}
    found = {}
    for last in before.keys() - set(before.values()):
        left = dict(before)
        first = last
        while first in left:
            first = left.pop(first)
        found[last] = first
    return found


class Fleet(Section):
    """The whole desired state."""

    name: Name
    network: Network
    protocol: Literal["v1"] = "v1"
    services: Services = Services()
    operators: Mapping[Name, Operator]
    guards: Guards = Guards()
    prune: tuple[Prunable, ...] = ()
    """What is removed where it exists and the manifest does not name it; all else is only shown."""
    ignore: tuple[Ignored, ...] = ()
    """Fields that are somebody else's to change, e.g. machine_record.displayName; machines may name more."""
    windows: tuple[Window, ...] = ()
    """When an apply may change things. Looked at when it begins; what has begun is finished."""
    former_keys: KeyRef | None = None
    """Where keys of machines that left the manifest are, with `{name}` or `{address}` in it: only they deactivate."""
    agents: Mapping[Name, Agent] = {}
    moved: tuple[Move, ...] = ()
    """Machines that were renamed: keep the entry as long as the old name is in use anywhere."""
    machines: tuple[Machine, ...] = ()

    @cached_property
    def renamed(self) -> Mapping[str, str]:
        """Old names of machines by new ones."""
        return origins((move.from_, move.to) for move in self.moved)

    def known_as(self, machine: Machine) -> str:
        """What the machine is called outside of this manifest."""
        return self.renamed.get(machine.name, machine.name)

    @property
    def active(self) -> tuple[Machine, ...]:
        """The machines that are in service, or are to be."""
        return tuple(machine for machine in self.machines if machine.state == "active")

    @property
    def retired(self) -> tuple[Machine, ...]:
        return tuple(machine for machine in self.machines if machine.state == "retired")

    def operator_of(self, machine: Machine) -> Operator:
        return self.operators[machine.operator]


Loc = tuple[str | int, ...]


class Mistake(BaseModel):
    """What a kind finds wrong across sections; `loc` is the path in the manifest: machines, 3, pairings, 0."""

    model_config = ConfigDict(frozen=True)
    loc: tuple[Any, ...]
    message: str
    hint: str = ""
