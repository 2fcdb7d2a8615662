"""The services in a v2 machine's DID document: one ordered list, which is always written as a whole."""

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
from reconciler.kinds.peaq_v2.ground import BY_ACTIVATION, SERVICES, SET_ENDPOINTS, Parties, endpoints_of, serving

ENDPOINTS = "serviceEndpointsOf(uint256)((string,string,string)[])"
Endpoint = tuple[str, str, str]
"""Id, type, URL."""


class Spec(Value):
    address: Address
    who: Parties
    endpoints: tuple[Endpoint, ...]


class State(Value):
    there: bool
    endpoints: tuple[Endpoint, ...]


class ServiceEndpoints(Kind[Spec, State]):
    name = "service_endpoints"
    protocol = "v2"
    fields = ("serviceEndpoints",)

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine, block, who in serving(fleet):
            if (endpoints := endpoints_of(machine, block)) is not None:
                yield Spec(Address(self.name, machine.name), who, endpoints)

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("machine_activation", spec.who.name))
        yield Need(Address("controller", spec.who.name))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        if await owner_of(read, spec.who.id) is None:
            return Present(State(False, spec.endpoints))
        (endpoints,) = await read.view("machineRegistry", ENDPOINTS, int(spec.who.id))
        return Present(State(True, tuple(map(tuple, endpoints))))

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        (found,) = await read.view("machineRegistry", ENDPOINTS, int(machine.id))
        left, metadata = [tuple(each) for each in found], {}
        for key, service in SERVICES.items():
            if left and left[0][:2] == service:
                metadata[key] = left.pop(0)[2]
        services = [dict(zip(("id", "type", "url"), each, strict=True)) for each in left]
        entry = {"metadata": metadata, "v2": {"serviceEndpoints": services} if services else {}}
        return Adopted({key: part for key, part in entry.items() if part})

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        if spec.endpoints == state.endpoints:
            return ()
        return (FieldChange("serviceEndpoints", _listed(state.endpoints), _listed(spec.endpoints)),)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        gas = 150_000 + 100_000 * len(spec.endpoints)
        call = ChainCall(spec.who.manager, "machineRegistry", SET_ENDPOINTS, (spec.who.id, spec.endpoints), gas=gas)
        return (Step("write the service endpoints", ChainGroup((call,))),)

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"serviceEndpoints": _listed(spec.endpoints)}

    def subject(self, spec: Spec) -> str:
        return f"did:peaq:{spec.who.id}"

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        machine = ("machines", spec.address.name)
        return ((*machine, "v2", field), (*machine, "metadata"))

    def equal(self, spec: Spec, state: State) -> str:
        return f"{len(state.endpoints)} service(s) as declared" if state.there else BY_ACTIVATION


def _listed(endpoints: Iterable[Endpoint]) -> str:
    return ", ".join(map(" ".join, endpoints)) or "none"
