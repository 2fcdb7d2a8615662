"""Where a provider runs on the machine's side, such as a local model server."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from reconciler.core.address import Address, Output
from reconciler.core.change import FieldChange
from reconciler.core.diff import compare
from reconciler.core.effects import HttpRequest, SecretSource, Step, renewed_proof
from reconciler.core.fleet import Fleet, Mistake, SecretRef, Section
from reconciler.core.kind import Kind, Need
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Json, Reader, record_of
from reconciler.core.urls import Endpoint

HIDDEN = "(secret)"
ProviderKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class RuntimeEndpoint(Section):
    endpoint_base_url: Endpoint = Field(pattern=r"^https?://[^/?#]+/?$")
    """Scheme, host and port; the server keeps no path."""
    label: str | None = None
    """A name for people."""
    model_alias: str | None = None
    """What the model behind it is called."""
    network_scope: Literal["loopback", "lan", "vpn", "public"] | None = None
    """From where it can be reached."""
    probe_path: str | None = None
    """Path that answers when it is well."""
    auth_type: Literal["none", "api-key", "bearer"] | None = None
    """How a caller shows who it is; `none` wants no authToken."""
    auth_token: SecretRef | None = None
    """What the endpoint wants to see: sent to Machine Markets with every change, and never shown."""

    @model_validator(mode="after")
    def _fits(self) -> "RuntimeEndpoint":
        if (self.auth_token is not None) != (self.auth_type in ("api-key", "bearer")):
            raise ValueError("`authToken` goes with `authType: api-key` or `authType: bearer`, and only with them")
        return self


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
    operator: str
    fields: Mapping[str, Any] | None
    """None where the endpoint must not exist."""
    token: Mapping[str, str] | None = None
    """Where its token is kept."""


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
                    machine.operator,
                    None if endpoint is None else _fields(endpoint),
                    _kept(endpoint),
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
        lost = spec.token is not None and not state.get("hasAuthToken")
        token = (FieldChange("authToken", None, HIDDEN),) if lost else ()
        return token + compare(spec.fields or {}, {**state, "endpointBaseUrl": _origin(str(base)) if base else base})

    def steps(self, spec: Spec, state: Json | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        path = ("machines", spec.record, "runtime-endpoints", spec.provider)
        renewal = renewed_proof(spec.identity_ref, spec.address.name.split("/")[0], spec.operator, spec.record)
        if spec.fields is None:
            return (Step("remove the endpoint", HttpRequest("DELETE", path), renewal=renewal),)
        body = {name: value for name, value in spec.fields.items() if value is not None}
        what = f"the token of {spec.address}"
        # What is put replaces all that was there, so the token goes along with every change.
        secret = None if spec.token is None else SecretSource("authToken", spec.token, what)
        return (Step("set the endpoint", HttpRequest("PUT", path, body, secret=secret), renewal=renewal),)

    def creates(self, spec: Spec) -> tuple[FieldChange, ...]:
        fields = {**(spec.fields or {}), "authToken": None if spec.token is None else HIDDEN}
        return tuple(FieldChange(name, None, value) for name, value in fields.items() if value is not None)


def _fields(endpoint: RuntimeEndpoint) -> dict[str, Any]:
    fields = endpoint.model_dump(by_alias=True, mode="json", exclude={"auth_token"})
    return {**fields, "endpointBaseUrl": _origin(endpoint.endpoint_base_url)}


def _kept(endpoint: RuntimeEndpoint | None) -> dict[str, str] | None:
    token = endpoint.auth_token if endpoint else None
    return None if token is None else token.model_dump(exclude_none=True)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"
