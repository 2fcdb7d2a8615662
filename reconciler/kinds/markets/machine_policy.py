"""A machine policy of Machine Markets: a named set of rules that machine records refer to."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from reconciler.core.address import Address
from reconciler.core.change import FieldChange
from reconciler.core.diff import compare
from reconciler.core.effects import HttpRequest, Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader, whole
from reconciler.core.section import Loc, Name, Section
from reconciler.core.value import Value


class BudgetCap(Section):
    currency: str
    """Currency of the amount, such as USD."""
    amount: float = Field(ge=0)
    """Most that may be spent."""


class MachinePolicy(Section):
    """Rules for whole machines; what is left out is the server's to decide."""

    allowed_skill_keys: tuple[str, ...] | None = None
    """Skills that the machine may use."""
    denied_skill_keys: tuple[str, ...] | None = None
    """Skills that it may not use."""
    budget_cap: BudgetCap | None = None
    """Most that the machine may cost."""
    region_rules: tuple[str, ...] | None = None
    """Regions it may work in, such as eu."""
    native_only: bool | None = None
    """True: only what runs on the machine itself."""
    handoff_allowed: bool | None = None
    """True: it may hand work on to others."""
    required_capabilities: tuple[str, ...] | None = None
    """Capabilities a machine must have."""


class PoliciesSection(Section):
    machine_policies: Mapping[Name, MachinePolicy] = {}
    """Machine-wide rules by name, attached with market.policies."""


class Spec(Value):
    address: Address
    fields: Mapping[str, Any]


class State(Value):
    policy: Mapping[str, Any]
    namesakes: int


class MachinePolicyKind(Kind[Spec, State]):
    name = "machine_policy"
    sections = {"fleet": PoliciesSection}
    fields = tuple(field.alias or name for name, field in MachinePolicy.model_fields.items())
    of_machine = False

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        section = fleet.section(PoliciesSection)
        for name, policy in (section.machine_policies if section else {}).items():
            yield Spec(Address(self.name, name), policy.model_dump(by_alias=True, exclude_none=True, mode="json"))

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        found = [policy for policy in await read.items("policies") if policy.get("name") == spec.address.name]
        return Present(State(whole(found[0], "id"), len(found))) if found else Absent()

    def refuse(self, spec: Spec, state: State | None) -> str | None:
        if state is not None and state.namesakes > 1:
            return f"{state.namesakes} policies are named {spec.address.name}; rename all but one in Machine Markets"
        return None

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        return compare(spec.fields, state.policy)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        if state is None:
            request = HttpRequest("POST", ("policies",), {"name": spec.address.name, **spec.fields})
            return (Step("create the policy", request),)
        body = {change.field: change.after for change in fields}
        return (Step("change the policy", HttpRequest("PATCH", ("policies", state.policy["id"]), body)),)

    def declared(self, spec: Spec) -> Mapping[str, object]:
        return spec.fields

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return (("machinePolicies", spec.address.name, field),)

    def outputs(self, spec: Spec, state: State) -> dict[str, object]:
        return {"id": state.policy["id"]}
