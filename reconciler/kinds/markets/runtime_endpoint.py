"""Where a provider runs on the machine's side, such as a local model server."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from reconciler.core.address import Address, Output
from reconciler.core.adoption import Adopted, Found
from reconciler.core.change import FieldChange
from reconciler.core.diff import compare, left_alone
from reconciler.core.effects import HttpRequest, SecretSource, Step, renewed_proof
from reconciler.core.fleet import Fleet, Mistake, SecretRef
from reconciler.core.kind import Kind, Need
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Json, Reader, record_of
from reconciler.core.section import Loc, Section
from reconciler.core.urls import Endpoint
from reconciler.core.value import Value

HIDDEN = "(secret)"
TOLD = ("endpointBaseUrl", "label", "modelAlias", "networkScope", "probePath")
"""What can be read back and compared."""
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
    runtime_endpoints: Mapping[ProviderKey, RuntimeEndpoint | None] = Field(default_factory=dict)
    """By provider key, e.g. qvac; null removes one."""


class Spec(Value):
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
    key: str = ""
    """The provider as the manifest writes it."""


class RuntimeEndpointKind(Kind[Spec, Json]):
    name = "runtime_endpoint"
    sections = {"machine": EndpointsSection}
    fields = tuple(field.alias or name for name, field in RuntimeEndpoint.model_fields.items())

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine in fleet.active:
            section, identity = machine.section(EndpointsSection), fleet.identity_of(machine)
            for key, endpoint in (section.runtime_endpoints if section and identity.provable else {}).items():
                yield Spec(
                    Address(self.name, f"{machine.name}/{key.lower()}"),
                    identity.did,
                    key.lower(),
                    Output(Address("machine_record", machine.name), "id"),
                    getattr(getattr(machine, "market", None), "record_id", None),
                    machine.operator,
                    None if endpoint is None else _fields(endpoint),
                    _kept(endpoint),
                    key,
                )

    def check(self, fleet: Fleet) -> Iterable[Mistake]:
        for index, machine in enumerate(fleet.machines):
            section = machine.section(EndpointsSection)
            # One that must not exist is absent already, and may be written against what defaults bring.
            wanted = any(section.runtime_endpoints.values()) if section else False
            if wanted and getattr(machine, "market", None) is None:
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
        # What is put replaces all that was there, so what others look after is put as they left it.
        kept = {} if state is None else left_alone(self.diff(spec, state), fields)
        wanted = {name: kept.get(name, value) for name, value in spec.fields.items()}
        body = {name: value for name, value in wanted.items() if value is not None}
        what = f"the token of {spec.address}"
        # So the token goes along with every change.
        secret = None if spec.token is None else SecretSource("authToken", spec.token, what)
        return (Step("set the endpoint", HttpRequest("PUT", path, body, secret=secret), renewal=renewal),)

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        record = None if fleet.services.markets is None else await record_of(read, machine.did, None)
        if record is None or record.get("status") == "archived":
            return Adopted()
        known = await read.items("machines", record["id"], "runtime-endpoints")
        # What an agent on the machine reports is not for a manifest to say.
        manual = {str(e["providerKey"]): e for e in known if e.get("source") != "agent"}
        endpoints = {key: {n: e[n] for n in TOLD if e.get(n)} for key, e in manual.items()}
        notes = tuple(
            f"the endpoint {key} holds a token, which nobody can read back: to send it another, name its `authType` "
            "and `authToken`"
            for key, endpoint in manual.items()
            if endpoint.get("hasAuthToken")
        )
        return Adopted({"runtimeEndpoints": endpoints} if endpoints else {}, notes=notes)

    def declared(self, spec: Spec) -> dict[str, object]:
        fields = {**(spec.fields or {}), "authToken": None if spec.token is None else HIDDEN}
        return {name: value for name, value in fields.items() if value is not None}

    def subject(self, spec: Spec) -> str:
        return spec.identity_ref

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return (("machines", spec.address.name.split("/")[0], "runtimeEndpoints", spec.key, field),)


def _fields(endpoint: RuntimeEndpoint) -> dict[str, Any]:
    fields = endpoint.model_dump(by_alias=True, mode="json", exclude={"auth_token"})
    return {**fields, "endpointBaseUrl": _origin(endpoint.endpoint_base_url)}


def _kept(endpoint: RuntimeEndpoint | None) -> dict[str, str] | None:
    token = endpoint.auth_token if endpoint else None
    return None if token is None else token.model_dump(exclude_none=True)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"
