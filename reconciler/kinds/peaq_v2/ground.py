"""What the kinds of protocol v2 have in common: the block of a machine, who it is, whose, and who signs for it."""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, model_validator

from reconciler.core.address import Address, Output
from reconciler.core.effects import ChainCall, ChainGroup, Signer
from reconciler.core.fleet import Fleet, Machine
from reconciler.core.identity import Identity, ProtocolBlock
from reconciler.core.money import Amount
from reconciler.core.ports import Reader
from reconciler.core.section import Duration, EvmAddress, Section
from reconciler.core.value import Value

WORD = 32
TIERS = ("entry", "basic", "pro")
SERVICES = {"documentationUrl": ("#documentation", "Documentation"), "dataApi": ("#data-api", "DataApi")}
"""Id and type of the services that `metadata` declares, in their order."""
NO_PRICE = "PriceNotAvailable"
APPROVE = "approve(address,uint256)"
ACTIVATE = (
    "activateMachine((string,address,(string,string,address,string)[],uint256[],(string,string,string)[]),"
    "string,bytes,address,uint8)"
)
SET_METHODS = "setVerificationMethods(uint256,(string,string,address,string)[])"
SET_AUTHENTICATION = "setAuthentication(uint256,uint256[])"
SET_ENDPOINTS = "setServiceEndpoints(uint256,(string,string,string)[])"
SET_CONTROLLER = "setController(uint256,address)"
SUSPEND, RESUME = "suspend(uint256)", "resume(uint256)"
OPEN, RENEW = "activate(uint256,uint8)", "renew(uint256)"
TERMINATED = 4
"""Of `subscriptionStatus`."""
BY_ACTIVATION = "comes with the activation"
PARTS = ("machine_activation", "controller", "verification_methods", "service_endpoints", "subscription", "operation")
"""The kinds that a machine is made of while its first owner has it."""
_KEY = re.compile(r"[0-9a-fA-F]{64}")
"""What a manifest takes for a private key."""
Text = Annotated[str, Field(min_length=1, max_length=2560)]


class HexSubject(Section):
    """Bytes of a credential subject that are no text."""

    hex: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{2}(_?[0-9a-fA-F]{2})*$")]
    """0x and an even number of hex digits; `_` may divide them, and must where 64 would look like a private key."""


class VerificationMethod(Section):
    """A key in the machine's DID document."""

    id: Text
    """Its name in the document, such as `#key-1`."""
    type: Text
    """Such as Ed25519VerificationKey2020."""
    controller: EvmAddress | None = None
    """Who controls the key; left out, the machine's controller."""
    public_key_multibase: Text
    """The key itself, in multibase."""


class ServiceEndpoint(Section):
    """A service in the machine's DID document."""

    id: Text
    """Its name in the document, such as `#telemetry`."""
    type: Text
    """What sort of service it is."""
    url: Text
    """Where it is."""


class MachineBlock(ProtocolBlock):
    """How a machine lives by protocol v2. Type and subject make its id, and never change."""

    machine_type: Text
    """Free text; with credentialSubject it makes the machine's id."""
    credential_subject: Text | HexSubject
    """What tells the machine from all others in the world; sent as UTF-8, or as the bytes of `hex`."""
    manufacturer: EvmAddress | None = None
    """Who made it, recorded once and for ever; left out, the operator."""
    tier: Literal["entry", "basic", "pro"] = "entry"
    """What it subscribes to when it is activated; cannot be changed afterwards."""
    custody: Literal["operator", "machine", "handover"] = "operator"
    """Who activates and pays: the operator, who keeps it; the machine's own key; the operator, for another owner.

    Once it is there, its controller manages it and pays for renewals: the operator, unless another one is declared.
    """
    owner: EvmAddress | None = None
    """Who gets the machine; always and only with `custody: handover`."""
    controller: EvmAddress | None = None
    """Who may manage it beside its owner; left out, the operator."""
    max_bond: Amount | None = None
    """Most that an activation or a renewal of it may cost, vouchers and rewards taken off."""
    verification_methods: tuple[VerificationMethod, ...] | None = None
    """All keys of its DID document, in order; left out, they are not ours."""
    authentication: tuple[Text, ...] | None = None
    """The ids of those of them that it authenticates with, in order; left out, that is not ours."""
    service_endpoints: tuple[ServiceEndpoint, ...] | None = None
    """All services of its DID document, in order, behind those of `metadata`; left out, they are not ours."""
    renew_before: Duration | None = None
    """Renew when less than this is left of what is paid for; left out, renewals are not ours."""

    @model_validator(mode="after")
    def _sound(self) -> "MachineBlock":
        if (self.owner is not None) != (self.custody == "handover"):
            raise ValueError("`owner` and `custody: handover` belong together")
        ids = [method.id for method in self.verification_methods or ()]
        if len(set(ids)) < len(ids):
            raise ValueError("two verification methods have one id")
        if unknown := [name for name in self.authentication or () if name not in ids]:
            raise ValueError(f"authentication names {unknown[0]!r}, which is no id of verificationMethods")
        return self

    @property
    def subject(self) -> bytes:
        said = self.credential_subject
        return said.encode() if isinstance(said, str) else bytes.fromhex(said.hex[2:].replace("_", ""))

    @cached_property
    def machine_id(self) -> str:
        """As the registry computes it, in decimal."""
        return str(token_id(self.machine_type, self.subject))

    @property
    def has_account(self) -> bool:
        return self.custody == "machine"

    def identity(self, name: str) -> Identity:
        # A proof of it is signed by its controller.
        made, shown = Address("machine_activation", name), Address("controller", name)
        return Identity(f"did:peaq:{self.machine_id}", made, shown)


def written_subject(subject: bytes) -> str | dict[str, str]:
    """As a manifest says it: as text where that is one that can stand there, else in hex."""
    text = subject.decode("utf-8", "replace")
    plain = text.encode() == subject and text.isprintable() and "${" not in text and not _KEY.search(text)
    digits = subject.hex()
    return text if plain else {"hex": "0x" + "_".join(digits[at : at + 16] for at in range(0, len(digits), 16))}


class Parties(Value):
    """A v2 machine and those who have to do with it. Accounts are addresses."""

    name: str
    id: str
    activator: Signer
    """Who activates it, pays the bond and is its first owner."""
    first_owner: str
    owner: str
    """Who is to own it in the end."""
    controller: str
    manager: Signer
    """Who signs for it once it is there: its controller where that is the operator, else whoever activated it."""

    @property
    def payers(self) -> frozenset[Signer]:
        """Who may have to pay for it, now or later."""
        return frozenset((self.activator, self.manager))

    @property
    def owners(self) -> tuple[str, ...]:
        return (self.first_owner.lower(), self.owner.lower())


def token_id(machine_type: str, subject: bytes) -> int:
    """keccak256(abi.encode(string, bytes)), as a number."""
    # Only where it is needed: fleets without a v2 machine start without all that it imports.
    from eth_hash.auto import keccak

    first, second = _padded(machine_type.encode()), _padded(subject)
    heads = (2 * WORD, 2 * WORD + len(first))
    return int.from_bytes(keccak(b"".join(at.to_bytes(WORD, "big") for at in heads) + first + second), "big")


def _padded(data: bytes) -> bytes:
    return len(data).to_bytes(WORD, "big") + data + b"\0" * (-len(data) % WORD)


def blocks(fleet: Fleet) -> Iterator[tuple[Machine, MachineBlock, Parties]]:
    """The v2 machines of a fleet, whether they are in service or leave it."""
    for machine in fleet.of("v2"):
        block = machine.section(MachineBlock)
        if block is not None:
            yield machine, block, _parties(fleet, machine, block)


def serving(fleet: Fleet) -> Iterator[tuple[Machine, MachineBlock, Parties]]:
    """Those that are in service, or are to be."""
    return (found for found in blocks(fleet) if found[0].state == "active")


def _parties(fleet: Fleet, machine: Machine, block: MachineBlock) -> Parties:
    operator = fleet.operator_of(machine).address or ""
    by_itself = block.custody == "machine"
    activator = Signer("machine", machine.name) if by_itself else Signer("operator", machine.operator)
    first = (machine.address or "") if by_itself else operator
    controller = block.controller or operator
    ours = controller.lower() == operator.lower()
    manager = Signer("operator", machine.operator) if ours else activator
    owner = block.owner or first
    return Parties(machine.name, block.machine_id, activator, first, owner, controller, manager)


class Subscription(Value):
    """What a machine has paid for. Times are seconds since the epoch; `start` is 0 where it never paid."""

    tier: int
    start: int
    end: int
    bond: int
    """Wei that are locked for it."""


async def subscription_of(read: Reader, machine_id: str) -> Subscription:
    function = "subscriptions(uint256)(uint8,uint64,uint64,uint256,uint256)"
    tier, start, end, bond, _ = await read.view("machineSubscription", function, int(machine_id))
    return Subscription(tier, start, end, bond)


def due(subscription: Subscription, now: float, renew_before: int | None) -> bool:
    """Whether a renewal is ours to pay now."""
    return renew_before is not None and subscription.start != 0 and subscription.end - now < renew_before


def methods_of(block: MachineBlock, who: Parties) -> tuple[tuple[str, str, str, str], ...]:
    """As the contracts take them."""
    found = block.verification_methods or ()
    return tuple((m.id, m.type, m.controller or who.controller, m.public_key_multibase) for m in found)


def authentication_of(block: MachineBlock) -> tuple[int, ...]:
    """As the contracts take it: places in the list of methods."""
    ids = [method.id for method in block.verification_methods or ()]
    return tuple(ids.index(name) for name in block.authentication or ())


def endpoints_of(machine: Machine, block: MachineBlock) -> tuple[tuple[str, str, str], ...] | None:
    """As the contracts take them: those of `metadata`, then the declared ones. None where none are declared."""
    said = (machine.metadata.documentation_url, machine.metadata.data_api)
    own = tuple((*service, url) for service, url in zip(SERVICES.values(), said, strict=True) if url is not None)
    if not own and block.service_endpoints is None:
        return None
    return own + tuple((each.id, each.type, each.url) for each in block.service_endpoints or ())


def document(machine: Machine, block: MachineBlock, who: Parties) -> tuple[object, ...]:
    """The DID document of an activation. The contract knows its id."""
    endpoints = endpoints_of(machine, block) or ()
    return ("", who.controller, methods_of(block, who), authentication_of(block), endpoints)


def allowing(payer: Signer, spender: str, wei: int | Output) -> ChainCall:
    """Lets `spender` take so much and no more from the payer's account."""
    return ChainCall(payer, "peaqToken", APPROVE, (spender, wei), gas=100_000)


def paying(call: ChainCall, spender: str, most: int | None) -> ChainGroup:
    """`call`, which has `spender` take its deposit. A machine pays for itself only, so it allows just that with it.

    Or the `most` that it may cost, where that is declared: prices move while what it signed is carried around. An
    operator, who pays for many, allows it for all of them before.
    """
    if not isinstance(call.signer, Signer) or call.signer.role != "machine" or call.deposit == 0:
        return ChainGroup((call,))
    return ChainGroup((allowing(call.signer, spender, call.deposit if most is None else most), call))
