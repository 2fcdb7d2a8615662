"""The desired state, after parsing: what every protocol shares. Kinds add their own sections to it.

`Fleet` and `Machine` here are bases: the manifest composes the full models from the sections that kinds contribute
(`Kind.sections`), and a kind asks for its own with `machine.section(ItsSection)`.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_snake

from reconciler.core.errors import ConfigError
from reconciler.core.identity import Custody, Identity, ProtocolBlock, account_identity
from reconciler.core.money import Amount
from reconciler.core.rules import Ignored, LabelValue, Move, Window, origins
from reconciler.core.section import EvmAddress, Name, Section
from reconciler.core.urls import PrivateUrl


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
        if sum(value is not None for name, value in vars(self).items() if name != "password") != 1:
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


# Asked for with every read of a contract.
_snake = cache(to_snake)


class ContractAddresses(Section):
    identity_registry: EvmAddress | None = None
    """v1's registry of machine identities."""
    identity_staking: EvmAddress | None = None
    """Where v1 keeps bonds."""
    machine_nft: EvmAddress | None = None
    """v1's Machine NFTs."""
    info_desk: EvmAddress | None = None
    """v2's terms: prices, periods, and where its contracts are."""
    machine_registry: EvmAddress | None = None
    """v2's registry of machines, which are its tokens."""
    machine_state_and_sync: EvmAddress | None = None
    """Where v2 machines are activated and paused."""
    machine_subscription: EvmAddress | None = None
    """Where v2 keeps bonds, and what machines have paid for."""
    cross_chain_mirror: EvmAddress | None = None
    """Where v2 keeps the home chain of each machine."""
    peaq_token: EvmAddress = "0x0000000000000000000000000000000000000809"
    """The chain's own coin as a token, in which v2 bonds are paid."""
    did: EvmAddress = "0x0000000000000000000000000000000000000800"
    """DID precompile."""
    batch: EvmAddress = "0x0000000000000000000000000000000000000805"
    """Batch precompile."""
    multicall: EvmAddress | None = "0xcA11bde05977b3631167028862bE2a173976CA11"
    """Multicall3; null where the chain has none."""

    def at(self, role: str) -> str:
        """The address of a contract by its key here, such as machineRegistry. ConfigError where it is left out."""
        address: str | None = getattr(self, _snake(role))
        if address is None:
            raise ConfigError(f"network.contracts.{role} is not set", hint="write its address under network.contracts")
        return address

    def used(self, protocols: Iterable["Protocol"]) -> dict[str, str]:
        """Addresses by their keys here, without those that only other protocols use."""
        idle = {role for protocol in set(ROLES) - set(protocols) for role in (*ROLES[protocol], *BUILT_IN[protocol])}
        known: dict[str, str | None] = self.model_dump(by_alias=True, exclude={to_snake(role) for role in idle})
        return {role: address for role, address in known.items() if address is not None}

    def missing(self, protocol: "Protocol") -> list[str]:
        """The contracts that a protocol cannot do without and that are left out, by their keys."""
        return [role for role in ROLES[protocol] if getattr(self, to_snake(role)) is None]


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


Protocol = Literal["v1", "v2"]
ROLES: Mapping[Protocol, tuple[str, ...]] = {
    "v1": ("identityRegistry", "identityStaking", "machineNft"),
    "v2": ("infoDesk", "machineRegistry", "machineStateAndSync", "machineSubscription", "crossChainMirror"),
}
"""The contracts of each protocol, by their keys under network.contracts."""
BUILT_IN: Mapping[Protocol, tuple[str, ...]] = {"v1": ("did",), "v2": ("peaqToken",)}
"""What of the chain itself only one protocol uses, by the same keys."""

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
    protocol: Protocol | None = None
    """The protocol it lives by, where that is not the fleet's."""
    successor_of: Name | None = None
    """The v1 machine of this file that this one takes the place of: its credentialSubject says which (migrate plan)."""
    operator: Name = "default"
    """Which of the operators registers it."""
    labels: Mapping[Name, LabelValue] = Field(default_factory=dict)
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
    """What the machine says of itself, in any protocol."""

    @property
    def has_account(self) -> bool:
        """Whether it is an account on the chain, and not only an entry in a registry."""
        block = self.section(ProtocolBlock)
        return block is None or block.has_account

    @property
    def signs(self) -> bool:
        """False where nobody will ever sign as this machine."""
        custody = self.section(Custody)
        return self.has_account and (custody is None or custody.custody != "none")


class Fleet(Section):
    """The whole desired state."""

    name: Name
    """What the fleet is called."""
    network: Network
    protocol: Protocol = "v1"
    """The protocol of the machines; must be written out where real money moves. v1 is peaq's legacy one."""
    services: Services = Services()
    """The services of peaq that this fleet uses."""
    operators: Mapping[Name, Operator]
    """Accounts that register machines and pay for them, by name."""
    guards: Guards = Guards()
    """Limits that an apply refuses to cross."""
    prune: tuple[Prunable, ...] = ()
    """What is removed where it exists and the manifest does not name it; all else is only shown."""
    ignore: tuple[Ignored, ...] = ()
    """Fields that are somebody else's to change, e.g. machine_record.displayName; machines may name more."""
    windows: tuple[Window, ...] = ()
    """When an apply may change things. Looked at when it begins; what has begun is finished."""
    former_keys: KeyRef | None = None
    """Where keys of machines that left the manifest are, with `{name}` or `{address}` in it: only they deactivate."""
    agents: Mapping[Name, Agent] = {}
    """AI agents that may be paired to machines, by name."""
    moved: tuple[Move, ...] = ()
    """Machines that were renamed: keep the entry as long as the old name is in use anywhere."""
    machines: tuple[Machine, ...] = ()
    """The machines, one entry each."""

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

    @cached_property
    def successors(self) -> Mapping[str, str]:
        """Machines that take the place of others, by the names of those."""
        return {machine.successor_of: machine.name for machine in self.active if machine.successor_of is not None}

    @cached_property
    def awaited(self) -> Mapping[str, str]:
        """By machine that may leave only once another is all that it is to be: the name of that other."""
        return {m.name: self.successors[m.name] for m in self.retired if m.name in self.successors}

    def predecessor_of(self, machine: Machine) -> Machine | None:
        """The machine whose place this one takes, if that is in the file."""
        place = None if machine.successor_of is None else self._places.get(machine.successor_of)
        return None if place is None else self.machines[place]

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {machine.name: place for place, machine in enumerate(self.machines)}

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """Those that its machines live by, or its own while it has none."""
        lived: set[Protocol] = {machine.protocol or self.protocol for machine in self.machines}
        return tuple(sorted(lived or {self.protocol}))

    def operator_of(self, machine: Machine) -> Operator:
        return self.operators[machine.operator]

    def of(self, protocol: Protocol) -> tuple[Machine, ...]:
        """The machines that live by this protocol."""
        return tuple(machine for machine in self.machines if (machine.protocol or self.protocol) == protocol)

    def serving(self, protocol: Protocol) -> tuple[Machine, ...]:
        """Those of them that are in service, or are to be."""
        return tuple(machine for machine in self.of(protocol) if machine.state == "active")

    def identity_of(self, machine: Machine) -> Identity:
        """Who the machine is to the services."""
        block = machine.section(ProtocolBlock)
        if block is not None:
            return block.identity(machine.name)
        return account_identity(machine.name, f"{machine.address}", provable=machine.signs)


class Mistake(BaseModel):
    """What a kind finds wrong across sections; `loc` is the path in the manifest: machines, 3, pairings, 0."""

    model_config = ConfigDict(frozen=True)
    loc: tuple[Any, ...]
    message: str
    hint: str = ""
