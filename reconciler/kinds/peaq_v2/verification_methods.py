"""The keys in a v2 machine's DID document, and which of them it authenticates with: by place, so the two go together.

A list that shrinks must not be pointed into any more before it does; one that grows can be pointed into only then.
"""

from collections.abc import Iterable

from reconciler.core.address import Address
from reconciler.core.adoption import Adopted, Found
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind, Need
from reconciler.core.minted import owner_of
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.section import Loc
from reconciler.core.value import Value
from reconciler.kinds.peaq_v2.ground import (
    BY_ACTIVATION,
    SET_AUTHENTICATION,
    SET_METHODS,
    Parties,
    authentication_of,
    methods_of,
    serving,
)

METHODS, AUTHENTICATION = "verificationMethods", "authentication"
NONE = "none"
Method = tuple[str, str, str, str]
"""Id, type, controller, key; the controller in small letters."""


class Spec(Value):
    address: Address
    who: Parties
    methods: tuple[Method, ...]
    authentication: tuple[int, ...] | None
    """Places in the list of methods; None where that is not ours."""


class State(Value):
    there: bool
    methods: tuple[Method, ...]
    authentication: tuple[int, ...]


class VerificationMethods(Kind[Spec, State]):
    name = "verification_methods"
    protocol = "v2"
    fields = (METHODS, AUTHENTICATION)

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine, block, who in serving(fleet):
            if block.verification_methods is not None:
                places = None if block.authentication is None else authentication_of(block)
                yield Spec(Address(self.name, machine.name), who, _lower(methods_of(block, who)), places)

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("machine_activation", spec.who.name))
        yield Need(Address("controller", spec.who.name))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        if await owner_of(read, spec.who.id) is None:
            return Present(State(False, spec.methods, spec.authentication or ()))
        methods, places = await _document(read, spec.who.id)
        return Present(State(True, _lower(methods), places))

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        methods, places = await _document(read, machine.id)
        if not methods:
            return Adopted()
        ids = [method[0] for method in methods]
        if len(set(ids)) < len(ids) or max(places, default=0) >= len(ids):
            return Adopted(notes=("its DID document holds keys that a manifest cannot say, and they are left alone",))
        (controller,) = await read.view("machineRegistry", "controllerOf(uint256)(address)", int(machine.id))
        said = [_said(method, controller) for method in methods]
        return Adopted({"v2": {METHODS: said, AUTHENTICATION: [ids[place] for place in places]}})

    def refuse(self, spec: Spec, state: State | None) -> str | None:
        if (
            state is None
            or spec.authentication is not None
            or max(state.authentication, default=-1) < len(spec.methods)
        ):
            return None
        return "it authenticates with a method that is not declared any more; declare v2.authentication too"

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        found = []
        if spec.methods != state.methods:
            found.append(FieldChange(METHODS, _listed(state.methods), _listed(spec.methods)))
        if spec.authentication is not None and spec.authentication != state.authentication:
            before, after = _used(state.authentication, state.methods), _used(spec.authentication, spec.methods)
            found.append(FieldChange(AUTHENTICATION, before, after))
        return tuple(found)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        names = [change.field for change in fields]
        wanted = {METHODS: (SET_METHODS, spec.methods), AUTHENTICATION: (SET_AUTHENTICATION, spec.authentication)}
        if state is not None and len(spec.methods) < len(state.methods):
            names.reverse()
        calls = tuple(
            ChainCall(
                spec.who.manager,
                "machineRegistry",
                function,
                (spec.who.id, value),
                gas=150_000 + 100_000 * len(value or ()),
            )
            for function, value in (wanted[name] for name in names)
        )
        return (Step(f"write {' and '.join(names)}", ChainGroup(calls)),)

    def declared(self, spec: Spec) -> dict[str, object]:
        used = None if spec.authentication is None else _used(spec.authentication, spec.methods)
        return {METHODS: _listed(spec.methods), AUTHENTICATION: used}

    def subject(self, spec: Spec) -> str:
        return f"did:peaq:{spec.who.id}"

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return (("machines", spec.address.name, "v2", field),)

    def equal(self, spec: Spec, state: State) -> str:
        return f"{len(state.methods)} method(s) as declared" if state.there else BY_ACTIVATION


async def _document(read: Reader, machine_id: str) -> tuple[list[Method], tuple[int, ...]]:
    function = "verificationMethodsOf(uint256)((string,string,address,string)[])"
    (methods,) = await read.view("machineRegistry", function, int(machine_id))
    (places,) = await read.view("machineRegistry", "authenticationOf(uint256)(uint256[])", int(machine_id))
    return list(methods), tuple(places)


def _said(method: Method, controller: str) -> dict[str, str]:
    name, sort, whose, key = method
    own = {} if whose.lower() == controller.lower() else {"controller": whose}
    return {"id": name, "type": sort, **own, "publicKeyMultibase": key}


def _lower(methods: Iterable[Method]) -> tuple[Method, ...]:
    return tuple((name, sort, controller.lower(), key) for name, sort, controller, key in methods)


def _listed(methods: Iterable[Method]) -> str:
    return ", ".join(map(" ".join, methods)) or NONE


def _used(places: Iterable[int], methods: tuple[Method, ...]) -> str:
    return ", ".join(f"{place} {methods[place][0]}" if place < len(methods) else str(place) for place in places) or NONE
