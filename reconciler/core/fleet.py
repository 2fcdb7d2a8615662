"""The desired state, after parsing: what every protocol shares. Kinds add their own sections to it.

`Fleet` and `Machine` here are bases: the manifest composes the full models from the sections that kinds contribute
(`Kind.sections`), and a kind asks for its own with `machine.section(ItsSection)`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from reconciler.core.money import Amount
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
        # Most are never used by themselves, only inside the model that is composed of them.
        defer_build=True,
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
Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
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
    """The account that it signs for."""
    kind: Literal["web3signer", "clef"] = "web3signer"
    """What it speaks."""


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
    """Registry of machine identities."""
    identity_staking: EvmAddress
    """Where bonds are kept."""
    machine_nft: EvmAddress
    """Machine NFTs."""
    did: EvmAddress = "0x0000000000000000000000000000000000000800"
    """DID precompile."""
    batch: EvmAddress = "0x0000000000000000000000000000000000000805"
    """Batch precompile."""
    multicall: EvmAddress | None = "0xcA11bde05977b3631167028862bE2a173976CA11"
    """Multicall3; null where the chain has none."""


class Confirmations(Section):
    """When a transaction counts as settled: so many blocks deep, or at or below a tagged block."""

    depth: int | None = Field(default=None, ge=1, le=1000)
    """Settled when so many blocks deep, the transaction's own included."""
    tag: Literal["safe", "finalized"] | None = None
    """Settled when at or below the block that the node calls so."""

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
    """Chain id, as the node must report it."""
    contracts: ContractAddresses
    """Addresses of peaq's contracts on this chain."""
    confirmations: Confirmations = Confirmations(depth=1)
    """When a transaction counts as settled."""
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
    """Gas Station, which pays for wallets that hold nothing yet."""


class Operator(Section):
    """An account that registers machines, pays their bonds and publishes the fleet."""

    address: EvmAddress | None = None
    """May be left out where the key gives it."""
    key: KeyRef | None = None
    """Where the operator's private key is kept."""
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


Prunable = Literal["pairings"]
"""What may be removed although the manifest never named it (`Kind.prunable`)."""


class Guards(Section):
    """Limits that an apply refuses to cross."""

    max_spend: Amount | None = None
    """Most that one apply may spend, bonds, transfers, deposits and worst-case gas together."""
    policy_widening: Literal["ask", "deny", "allow"] = "ask"
    """A change that gives an agent more authority: `ask` wants --allow-widening, or a yes of its own."""
    max_fee: Amount | None = None
    """Most to pay for one unit of gas, offers for slow transactions included, e.g. 500 gwei."""
    max_removals: int | None = Field(default=None, ge=0)
    """Most resources that one apply may remove or replace."""


class Metadata(Section):
    """What a machine says of itself, in any protocol."""

    documentation_url: str | None = Field(default=None, min_length=1, max_length=2560)
    """Where the machine is documented."""
    data_api: str | None = Field(default=None, min_length=1, max_length=2560)
    """Where its data can be had."""


class Machine(Section):
    """One machine. Protocol blocks, `market`, `pairings` and the rest are added by kinds."""

    name: Name
    """What the machine is called here and in plans."""
    address: EvmAddress | None = None
    """May be left out where the key gives it."""
    key: KeyRef | None = None
    """Where the machine's own key is kept; without one its own steps are parked."""
    custody: Literal["key", "none"] = "key"
    """`none`: nobody will ever sign for this machine, so it gets its identity and NFT only."""
    operator: Name = "default"
    """Which of the operators registers it."""
    metadata: Metadata = Metadata()
    """What the machine says of itself, in any protocol."""


class Fleet(Section):
    """The whole desired state."""

    name: Name
    """What the fleet is called."""
    network: Network
    protocol: Literal["v1"] = "v1"
    """The protocol of the machines; must be written out where real money moves."""
    services: Services = Services()
    """The services of peaq that this fleet uses."""
    operators: Mapping[Name, Operator]
    """Accounts that register machines and pay for them, by name."""
    guards: Guards = Guards()
    """Limits that an apply refuses to cross."""
    prune: tuple[Prunable, ...] = ()
    """What is removed where it exists and the manifest does not name it; all else is only shown."""
    agents: Mapping[Name, Agent] = {}
    """AI agents that may be paired to machines, by name."""
    machines: tuple[Machine, ...] = ()
    """The machines, one entry each."""

    def operator_of(self, machine: Machine) -> Operator:
        return self.operators[machine.operator]


Loc = tuple[str | int, ...]


class Mistake(BaseModel):
    """What a kind finds wrong across sections; `loc` is the path in the manifest: machines, 3, pairings, 0."""

    model_config = ConfigDict(frozen=True)
    loc: tuple[Any, ...]
    message: str
    hint: str = ""
