"""Where a provider runs on the machine's side, such as a local model server."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from reconciler.core.address import Address, Output
from reconciler.core.change import FieldChange
from reconciler.core.diff import compare
from reconciler.core.effects import HttpRequest, Step
from reconciler.core.fleet import Fleet, Mistake, Section
from reconciler.core.kind import Kind, Need
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Json, Reader, record_of
from reconciler.core.urls import Endpoint

ProviderKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class RuntimeEndpoint(Section):
    endpoint_base_url: Endpoint = Field(pattern=r"^https?://[^/?#]+/?$")
    """Scheme, host and port; the server keeps no path."""
    label: str | None = None
    model_alias: str | None = None
    network_scope: Literal["loopback", "lan", "vpn", "public"] | None = None
    probe_path: str | None = None


class EndpointsSection(Section):
    runtime_endpoints: Mapping[ProviderKey, RuntimeEndpoint | None] = {}
    """By provider key, e.g. qvac; null removes one."""


@dataclass(frozen=True)
class Spec:
    address: Address
    identity_ref: str
    provider: str
    record: str | Output
    adopted: str | None
    """Id of a record that the list does not show."""
    fields: Mapping[str, Any] | None
    """None where the endpoint must not exist."""


class RuntimeEndpointKind(Kind[Spec, Json]):
    name = "runtime_endpoint"
    sections = {"machine": EndpointsSection}

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine in fleet.machines:
            section = machine.section(EndpointsSection)
            for key, endpoint in (section.runtime_endpoints if section and machine.custody != "none" else {}).items():
                yield Spec(
                    Address(self.name, f"{machine.name}/{key.lower()}"),
                    f"did:peaq:{machine.address}",
                    key.lower(),
                    Output(Address("machine_record", machine.name), "id"),
                    getattr(getattr(machine, "market", None), "record_id", None),
                    None if endpoint is None else _fields(endpoint),
                )

    def check(self, fleet: Fleet) -> Iterable[Mistake]:
        for index, machine in enumerate(fleet.machines):
            section = machine.section(EndpointsSection)
            if section and section.runtime_endpoints and getattr(machine, "market", None) is None:
                hint = "add a market block to the machine or to defaults"
                message = "only an enrolled machine has runtime endpoints"
                yield Mistake(loc=("machines", index, "runtimeEndpoints"), message=message, hint=hint)

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("machine_record", spec.address.name.split("/")[0]))

    async def observe(self, spec: Spec, read: Reader) -> Present[Json] | Absent | Unreadable:
        record = await record_of(read, spec.identity_ref, spec.adopted)
        if record is None:
            return Absent()
        endpoint = await read.find("providerKey", spec.provider, "machines", record["id"], "runtime-endpoints")
        return Absent() if endpoint is None else Present(endpoint)

    def wanted(self, spec: Spec) -> bool:
        return spec.fields is not None

    def diff(self, spec: Spec, state: Json) -> tuple[FieldChange, ...]:
        base = state.get("endpointBaseUrl")
        return compare(spec.fields or {}, {**state, "endpointBaseUrl": _origin(str(base)) if base else base})

    def steps(self, spec: Spec, state: Json | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        path = ("machines", spec.record, "runtime-endpoints", spec.provider)
        if spec.fields is None:
            return (Step("remove the endpoint", HttpRequest("DELETE", path)),)
        body = {name: value for name, value in spec.fields.items() if value is not None}
        return (Step("set the endpoint", HttpRequest("PUT", path, body)),)

    def creates(self, spec: Spec) -> tuple[FieldChange, ...]:
        return tuple(FieldChange(name, None, value) for name, value in (spec.fields or {}).items() if value is not None)


def _fields(endpoint: RuntimeEndpoint) -> dict[str, Any]:
    fields = endpoint.model_dump(by_alias=True, mode="json")
    return {**fields, "endpointBaseUrl": _origin(endpoint.endpoint_base_url)}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"
