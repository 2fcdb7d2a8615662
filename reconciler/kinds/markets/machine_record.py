"""A machine's record in Machine Markets: enrolled with a proof of its identity, then activated."""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Literal

from reconciler.core.address import Address, Output, placeholders
from reconciler.core.adoption import Adopted, Found, Named
from reconciler.core.change import FieldChange
from reconciler.core.diff import compare, same
from reconciler.core.effects import HttpRequest, Segment, Step, machine_proof, renewed_proof
from reconciler.core.errors import Rejected
from reconciler.core.fleet import Fleet, Mistake
from reconciler.core.identity import Identity
from reconciler.core.kind import Kind, Need, Search
from reconciler.core.leaving import GONE, former_machines
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Json, Reader, record_of, whole
from reconciler.core.section import NAME, Loc, Name, Section
from reconciler.core.value import Value

RULES = (
    "allowedSkillKeys",
    "deniedSkillKeys",
    "budgetCap",
    "regionRules",
    "nativeOnly",
    "handoffAllowed",
    "requiredCapabilities",
)
"""What a machine policy says, in the words of the API and of the manifest."""
UNPROVEN = "unproven"
"""Key of a state that could not be read for want of a good proof: why."""
NO_WAY_BACK = (
    "and Machine Markets has no documented way back: keep it so with market.status: archived, or ask them to reopen it"
)

FIELDS = (
    "displayName", "ownerId", "machineType", "runtimeProfile", "capabilities", "labels", "policyIds", "skillKeys"
)  # fmt: skip


class MarketSection(Section):
    """Enrols the machine in Machine Markets. Leave the whole block out to keep it out."""

    machine_type: str
    """Free text, e.g. air-sensor, robot, edge-node."""
    runtime_profile: str
    """Free text, e.g. linux-arm64, linux-docker."""
    display_name: str | None = None
    """The machine's name unless said otherwise."""
    owner_id: str | None = None
    """did:peaq:<operator> unless said otherwise."""
    capabilities: tuple[str, ...] | None = None
    """What the machine can do, such as price-feed."""
    labels: Mapping[str, str] | None = None
    """Words of your own by key."""
    policies: tuple[Name, ...] | None = None
    """Names under machinePolicies."""
    skill_keys: tuple[str, ...] | None = None
    """Skills that the record lists."""
    record_id: str | None = None
    """Adopts a record that the list does not show, by its id (mach_…)."""
    status: Literal["active", "archived"] = "active"
    """archived takes the record out of service, which cannot be undone; its pairings and endpoints must go first."""


class Spec(Value):
    address: Address
    identity: Identity
    fields: Mapping[str, Any]
    record_id: str | None
    operator: str
    archived: bool = False
    """True where the record is to be out of service, or not there at all."""
    leaves: str = ""
    """Why the machine leaves the fleet, or "" where it does not."""

    @property
    def identity_ref(self) -> str:
        return self.identity.did


class MachineRecord(Kind[Spec, Json]):
    name = "machine_record"
    sections = {"machine.market": MarketSection}
    fields = (*FIELDS, "status", "identityProof")
    prunable = "records"

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        for machine in fleet.machines:
            market, identity = machine.section(MarketSection), fleet.identity_of(machine)
            if market is not None and identity.provable:
                owner = f"did:peaq:{fleet.operator_of(machine).address}"
                address = Address(self.name, machine.name)
                leaves = GONE[1] if machine.state == "retired" else ""
                fields = _fields(fleet.known_as(machine), market, owner)
                archived = bool(leaves) or market.status == "archived"
                yield Spec(address, identity, fields, market.record_id, machine.operator, archived, leaves)

    def check(self, fleet: Fleet) -> Iterable[Mistake]:
        known = getattr(fleet, "machine_policies", {})
        for index, machine in enumerate(fleet.machines):
            market = machine.section(MarketSection)
            if market is None:
                continue
            if fleet.services.markets is None:
                message = "the machine is to be enrolled, but services.markets is not set"
                hint = "add `services: {markets: {url: …}}`, or take the market block out"
                yield Mistake(loc=("machines", index, "market"), message=message, hint=hint)
            for key, what in (("pairings", "pairings"), ("runtime_endpoints", "runtimeEndpoints")):
                if market.status == "archived" and _any(getattr(machine, key, ())):
                    hint = "take them out, or write an empty one where defaults bring them"
                    yield Mistake(loc=("machines", index, what), message=f"an archived record has no {what}", hint=hint)
            for place, name in enumerate(market.policies or ()):
                if name not in known:
                    loc = ("machines", index, "market", "policies", place)
                    hint = f"declared policies: {', '.join(known) or 'none'}"
                    yield Mistake(loc=loc, message=f"no policy `{name}` under machinePolicies", hint=hint)

    async def advise(self, fleet: Fleet, read: Reader) -> list[Mistake]:
        message = "peaq's SDK shows and writes this label under another name"
        hint = "what stands here is sent as it is; use small letters, digits, `.`, `-` and `/` to read it there too"
        return [
            Mistake(loc=("machines", index, "market", "labels", key), message=message, hint=hint)
            for index, machine in enumerate(fleet.machines)
            if (market := machine.section(MarketSection)) is not None
            for key in market.labels or ()
            if "_" in key or key != key.lower()
        ]

    def needs(self, spec: Spec) -> Iterable[Need]:
        if spec.archived:
            return
        yield Need(spec.identity.shown)
        if not spec.leaves:
            # What shows it may come with it, and then has nothing to wait for by itself.
            yield Need(spec.identity.made)
        for output in placeholders(spec.fields.get("policyIds")):
            if isinstance(output, Output):
                yield Need(output.address)

    def precedes(self, spec: Spec) -> Iterable[Need]:
        if spec.leaves:
            yield Need(spec.identity.made)

    def searches(self, fleet: Fleet) -> Iterable[Search[Spec]]:
        if fleet.services.markets is not None:
            yield Search("the records that were ours", partial(self._strays, fleet))

    async def _strays(self, fleet: Fleet, read: Reader) -> list[Spec]:
        return [
            Spec(
                Address(self.name, f"{former.name}/id:{record['id']}" if number else former.name),
                Identity(str(record["identityRef"]), former.made, former.made),
                {},
                str(record["id"]),
                former.operator,
                archived=True,
                leaves=GONE[0],
            )
            for former in await former_machines(fleet, read)
            for number, record in enumerate(former.records)
        ]

    async def observe(self, spec: Spec, read: Reader) -> Present[Json] | Absent | Unreadable:
        try:
            if spec.leaves == GONE[0]:
                record = await read.find("id", str(spec.record_id), "machines")
            else:
                record = await record_of(read, spec.identity_ref, spec.record_id)
        except Rejected as error:
            if spec.record_id is None or not error.reason.startswith("MACHINE_IDENTITY_PROOF_"):
                raise
            # It is there, and shown to nobody until its identity is proven again.
            unproven = {"id": spec.record_id, "identityRef": spec.identity_ref, "status": "active"}
            return Present({**unproven, UNPROVEN: error.reason})
        gone = record is None or (spec.archived and record.get("status") == "archived")
        if gone or record is None:
            return Absent()
        if spec.leaves:
            # What cannot be seen could not be revoked first.
            await read.items("machines", whole(record, "id")["id"], "agent-pairings")
        return Present(whole(record, "id", "status"))

    def refuse(self, spec: Spec, state: Json | None) -> str | None:
        if state is None:
            return None
        if str(state.get("identityRef")).lower() != spec.identity_ref.lower():
            return f"record {state['id']} belongs to {state.get('identityRef')}; correct market.recordId"
        if spec.archived:
            return None
        if state.get("status") == "archived":
            return f"record {state['id']} is archived, {NO_WAY_BACK}"
        if state.get("status") not in ("draft", "active"):
            return f"Machine Markets made the record {state.get('status')}; clear that with them"
        return None

    def wanted(self, spec: Spec) -> bool:
        return not spec.archived

    def unwanted(self, spec: Spec, state: Json) -> str:
        return spec.leaves or "declared archived"

    def diff(self, spec: Spec, state: Json) -> tuple[FieldChange, ...]:
        if unproven := state.get(UNPROVEN):
            return (FieldChange("identityProof", unproven, "fresh proof"),)
        return compare({**spec.fields, "status": "active"}, state)

    def steps(self, spec: Spec, state: Json | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        if state is not None and spec.archived:
            return (Step("archive the record", HttpRequest("DELETE", ("machines", state["id"])), irreversible=True),)
        if state is not None and state.get(UNPROVEN):
            request = HttpRequest("PATCH", ("machines", state["id"]), _declared(spec))
            proof = machine_proof(spec.identity_ref, spec.address.name, spec.operator, request)
            return (Step("prove the identity again", proof),)
        if state is not None:
            body = {change.field: change.after for change in fields}
            return (self._patch(spec, "change the record", state["id"], body),)
        request = HttpRequest("POST", ("machines",), {"identityRef": spec.identity_ref, **_declared(spec)})
        enrol = machine_proof(spec.identity_ref, spec.address.name, spec.operator, request)
        activate = self._patch(spec, "activate", Output(spec.address, "id"), {"status": "active"})
        return (Step("enrol", enrol), activate)

    def _patch(self, spec: Spec, title: str, record: Segment, body: Mapping[str, Any]) -> Step:
        renewal = renewed_proof(spec.identity_ref, spec.address.name, spec.operator, record)
        return Step(title, HttpRequest("PATCH", ("machines", record), body), renewal=renewal)

    async def members(self, operator: str, fleet: Fleet, read: Reader) -> Iterable[str]:
        records = [] if fleet.services.markets is None else await read.items("machines")
        ours = [str(r.get("identityRef")) for r in records if same(f"did:peaq:{operator}", r.get("ownerId"))]
        return [ref.removeprefix("did:peaq:") for ref in ours if re.fullmatch("did:peaq:0x[0-9a-fA-F]{40}", ref)]

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        record = None if fleet.services.markets is None else await record_of(read, machine.did, None)
        if record is None:
            return Adopted()
        policies, notes = await _attached(record, read)
        status, own = record.get("status"), same(f"did:peaq:{machine.operator}", record.get("ownerId"))
        market = {
            "machineType": record.get("machineType"),
            "runtimeProfile": record.get("runtimeProfile"),
            "displayName": record.get("displayName"),
            "ownerId": None if own else record.get("ownerId"),
            "capabilities": record.get("capabilities"),
            "labels": record.get("labels"),
            "policies": policies,
            "skillKeys": record.get("skillKeys"),
            "status": "archived" if status == "archived" else None,
        }
        if status not in ("active", "archived"):
            notes += (f"its record in Machine Markets is {status}, and plans say so",)
        said = {key: value for key, value in market.items() if value}
        return Adopted({"market": said}, notes=notes, name=str(record.get("displayName") or ""))

    def creates(self, spec: Spec) -> tuple[FieldChange, ...]:
        fields = {"identityRef": spec.identity_ref, **spec.fields}
        return tuple(FieldChange(name, None, value) for name, value in fields.items() if value is not None)

    def declared(self, spec: Spec) -> dict[str, object]:
        return {**_declared(spec), "status": "active"}

    def subject(self, spec: Spec) -> str:
        return spec.identity_ref

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        machine, operator = ("machines", spec.address.name), ("operators", spec.operator)
        market: Loc = (*machine, "market")
        return {
            "identityRef": ((*machine, "v2", "credentialSubject"), (*machine, "address"), (*machine, "key")),
            "displayName": ((*market, "displayName"), (*machine, "name")),
            "ownerId": ((*market, "ownerId"), (*operator, "address"), (*operator, "key")),
            "policyIds": ((*market, "policies"),),
            "identityProof": (),
        }.get(field, ((*market, field),))

    def unfinished(self, field: FieldChange) -> bool:
        return (field.field, field.before) == ("status", "draft")

    def outputs(self, spec: Spec, state: Json) -> dict[str, object]:
        return {"id": state["id"]}


def _any(declared: Mapping[str, object] | Iterable[object]) -> bool:
    """True where anything is declared that is to exist."""
    return any(declared.values() if isinstance(declared, Mapping) else declared)


async def _attached(record: Json, read: Reader) -> tuple[list[Named] | None, tuple[str, ...]]:
    """The policies of a record by their names, or None and why they cannot be named."""
    ids = record.get("policyIds") or []
    known = await read.items("policies") if ids else []
    names = [str(policy.get("name")) for policy in known]
    attached = [policy for ident in ids for policy in known if policy.get("id") == ident]
    if len(attached) < len(ids) or any(names.count(str(policy.get("name"))) > 1 for policy in attached):
        return None, ("its machine policies are missing, or share a name with others: they are left as they are",)
    if any(not re.fullmatch(NAME, str(policy.get("name"))) for policy in attached):
        return None, ("the names of its machine policies are not names in a manifest: they are left as they are",)
    return [_policy(policy) for policy in attached], ()


def _policy(policy: Json) -> Named:
    rules = {field: policy[field] for field in RULES if policy.get(field) not in (None, [])}
    return Named("machinePolicies", str(policy["name"]), str(policy["name"]), rules, exact=True)


def _declared(spec: Spec) -> dict[str, Any]:
    return {name: value for name, value in spec.fields.items() if value is not None}


def _fields(name: str, market: MarketSection, owner: str) -> dict[str, Any]:
    policies = market.policies
    return {
        "displayName": market.display_name or name,
        "ownerId": market.owner_id or owner,
        "machineType": market.machine_type,
        "runtimeProfile": market.runtime_profile,
        "capabilities": market.capabilities,
        "labels": market.labels,
        "policyIds": None if policies is None else tuple(Output(Address("machine_policy", n), "id") for n in policies),
        "skillKeys": market.skill_keys,
    }
