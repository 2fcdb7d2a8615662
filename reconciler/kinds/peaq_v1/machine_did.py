"""The attributes of a machine's DID: flat text, written by the machine's own key, all changes in one atomic batch."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, get_args

from pydantic import Field

from reconciler.core.address import Address, Output
from reconciler.core.adoption import Adopted, Found
from reconciler.core.change import FieldChange
from reconciler.core.diff import compare
from reconciler.core.effects import ChainCall, ChainGroup, Signer, Step
from reconciler.core.fleet import Fleet, Machine, Mistake
from reconciler.core.identity import Custody
from reconciler.core.kind import Kind, Need
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.section import Loc
from reconciler.core.value import Value

ADD = "addAttribute(address,bytes,bytes,uint32)"
UPDATE = "updateAttribute(address,bytes,bytes,uint32)"
REMOVE = "removeAttribute(address,bytes)"
OWN_NAMES = ("machineId", "nftTokenId", "operator", "documentation_url", "data_api", "data_visibility")
PLACES = {
    "documentation_url": ("metadata", "documentationUrl"),
    "data_api": ("metadata", "dataApi"),
    "data_visibility": ("v1", "dataVisibility"),
}
"""Where a machine declares those of them that it declares at all."""
FOREVER = 0
EMPTY = "its DID is empty, as if nobody could sign for it; take `v1.custody` out to have it written"
Visibility = Literal["public", "private", "onchain"]
Ascii = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$", max_length=2560)]
AttributeName = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,64}$")]


class DidSection(Custody):
    attributes: Mapping[AttributeName, Ascii | None] = Field(default_factory=dict)
    """More DID attributes of your own; null removes one."""
    data_visibility: Visibility | None = None
    """Who may see the machine's data: public reads dataApi, onchain only on-chain events, private neither."""


class Spec(Value):
    address: Address
    account: str
    declared: Mapping[str, str | Output | None]
    """Value by attribute name; None means that it must not be there."""
    deposit: int


State = Mapping[str, str | None]


class MachineDid(Kind[Spec, State]):
    name = "machine_did"
    protocol = "v1"
    sections = {"machine.v1": DidSection}
    fields = ("*",)
    within = "attributes"

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine in fleet.serving("v1"):
            if machine.signs:
                address = Address(self.name, machine.name)
                operator = fleet.operator_of(machine).address
                declared = _declared(machine, f"did:peaq:{operator}")
                yield Spec(address, machine.address or "", declared, fleet.network.did_deposit)

    def check(self, fleet: Fleet) -> Iterable[Mistake]:
        for index, machine in enumerate(fleet.machines):
            section = machine.section(DidSection)
            for name in section.attributes if section else ():
                if name in OWN_NAMES:
                    loc = ("machines", index, "v1", "attributes", name)
                    yield Mistake(loc=loc, message=f"`{name}` is written by fleetctl itself", hint=_instead(name))

    def needs(self, spec: Spec) -> Iterable[Need]:
        for kind in ("machine_identity", "machine_nft", "wallet_funding"):
            yield Need(Address(kind, spec.address.name))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        state = await read.attributes(spec.account, spec.declared)
        return Present(state) if any(value is not None for value in state.values()) else Absent()

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        # The official clients write an empty `operator` where there is none.
        observed = {name: value or None for name, value in state.items()}
        removed = tuple(
            FieldChange(name, observed[name], None)
            for name, value in spec.declared.items()
            if not value and observed.get(name) is not None
        )
        return compare({name: value or None for name, value in spec.declared.items()}, observed) + removed

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        observed = state or {}
        wanted = [f.field for f in fields] if state else [n for n, v in spec.declared.items() if v]
        calls = tuple(self._call(spec, observed.get(name), name) for name in wanted)
        # An attribute that somebody else put on this DID can be changed by nobody but them.
        probes = tuple(
            self._write(spec, UPDATE, (spec.account, name.encode(), _text(observed[name]), FOREVER))
            for name in wanted
            if observed.get(name) is not None
        )
        title = f"write {len(calls)} DID attribute{'s' if len(calls) != 1 else ''}"
        return (Step(title, ChainGroup(calls), probes=probes),) if calls else ()

    def _call(self, spec: Spec, observed: str | None, name: str) -> ChainCall:
        value = spec.declared[name]
        if not value:
            return self._write(spec, REMOVE, (spec.account, name.encode()))
        args = (spec.account, name.encode(), value, FOREVER)
        if observed is None:
            return self._write(spec, ADD, args, spec.deposit)
        return self._write(spec, UPDATE, args)

    def _write(self, spec: Spec, function: str, args: tuple[object, ...], deposit: int = 0) -> ChainCall:
        signer = Signer("machine", spec.address.name)
        return ChainCall(signer, "did", function, args, deposit=deposit, gas=250_000, purpose="deposit")

    def declared(self, spec: Spec) -> dict[str, object]:
        return {name: value or None for name, value in spec.declared.items()}

    def subject(self, spec: Spec) -> str:
        return spec.account

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        if field in OWN_NAMES and field not in PLACES:
            return ()
        return (("machines", spec.address.name, *PLACES.get(field, ("v1", "attributes", field))),)

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        declared = {name for m in fleet.machines for name in (m.section(DidSection) or DidSection()).attributes}
        found = await read.attributes(machine.address, {*OWN_NAMES, *machine.attributes, *declared})
        if not any(found.values()):
            return Adopted({"v1": {"custody": "none"}}, notes=(EMPTY,))
        own = {name: found[name] for name in sorted(found) if name not in OWN_NAMES and found[name] is not None}
        fitting = {name: value for name, value in own.items() if _fits(name, value)}
        urls = {"documentationUrl": found["documentation_url"], "dataApi": found["data_api"]}
        shown = found["data_visibility"]
        entry = {
            "metadata": {name: url for name, url in urls.items() if url},
            "v1": {
                **({"dataVisibility": shown} if shown in get_args(Visibility) else {}),
                **({"attributes": fitting} if fitting else {}),
            },
        }
        notes = tuple(f"the DID attribute {name!r} holds what a manifest cannot say" for name in own.keys() - fitting)
        return Adopted({key: part for key, part in entry.items() if part}, notes=notes)

    def equal(self, spec: Spec, state: State) -> str:
        return f"all {len(spec.declared)} attributes as declared"


def _declared(machine: Machine, operator_did: str) -> dict[str, str | Output | None]:
    identity, nft = Address("machine_identity", machine.name), Address("machine_nft", machine.name)
    section = machine.section(DidSection) or DidSection()
    optional = {
        "documentation_url": machine.metadata.documentation_url,
        "data_api": machine.metadata.data_api,
        "data_visibility": section.data_visibility,
    }
    return {
        "machineId": Output(identity, "id"),
        "nftTokenId": Output(nft, "token"),
        "operator": Output(identity, "operator_did", expected=operator_did),
        **{name: value for name, value in optional.items() if value is not None},
        **section.attributes,
    }


def _text(value: str | None) -> str:
    return value or ""


def _fits(name: str, value: object) -> bool:
    try:
        DidSection.model_validate({"attributes": {name: value}})
    except ValueError:
        return False
    return True


def _instead(name: str) -> str:
    return f"set {'.'.join(PLACES[name])} instead" if name in PLACES else "leave it out"
