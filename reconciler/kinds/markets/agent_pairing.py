"""An agent paired to a machine, and what the agent may spend there."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from pydantic import Field

from reconciler.core.address import Address, Output
from reconciler.core.adoption import Adopted, Found, Named
from reconciler.core.catalogue import SERVICES, SKILLS
from reconciler.core.change import FieldChange
from reconciler.core.delegation import LIMITS, LISTS, Paired, fingerprint, living, normal, widens
from reconciler.core.diff import compare, left_alone, same
from reconciler.core.effects import (
    HttpRequest,
    SecretTarget,
    Segment,
    SignedRequest,
    Signer,
    Step,
    Touch,
    renewed_proof,
)
from reconciler.core.fleet import Agent, Fleet, Machine, Mistake
from reconciler.core.kind import Kind, Need, Search
from reconciler.core.leaving import GONE, former_machines
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Json, Reader, Receipt, record_of, whole
from reconciler.core.section import Loc, Name, Section
from reconciler.core.value import replace

FIELDS = ("agentAddress", "agentDid", "agentProvider", "agentRole", "description", "status")


class DelegationPolicy(Section):
    """What an agent may buy, from whom and for how much. A limit left out is no limit."""

    allowed_skill_keys: tuple[str, ...] = ()
    """Skills that the agent may use; empty: any that is not denied."""
    denied_skill_keys: tuple[str, ...] = ()
    """Skills that it may not use."""
    allowed_service_ids: tuple[str, ...] = ()
    """Services that it may use; empty: any that is not denied."""
    denied_service_ids: tuple[str, ...] = ()
    """Services that it may not use."""
    per_transaction_limit: float | None = Field(default=None, ge=0)
    """In units of `currency`."""
    daily_spend_limit: float | None = Field(default=None, ge=0)
    """In units of `currency`."""
    currency: str | None = None
    """Currency of the limits, such as USD."""


class DelegationSection(Section):
    delegation_policies: Mapping[Name, DelegationPolicy] = {}
    """What an agent may spend, by name; each pairing names one."""


class Pairing(Section):
    agent: Name
    """A name under agents."""
    role: str = Field(min_length=1)
    """Free text, e.g. ops, trader, buyer."""
    delegation_policy: Name | None = None
    """A name under delegationPolicies. Left out, the server's own default stands and is not compared."""
    description: str | None = None
    """A few words for people."""
    paused: bool = False
    """True: the pairing exists and the agent can do nothing with it."""


class PairingsSection(Section):
    pairings: tuple[Pairing, ...] = ()
    """Agents that may act for this machine."""


class Spec(Paired):
    fields: Mapping[str, Any]
    did: str | None = None
    """None where the server may make one up."""
    policy: str = ""
    """Name of its policy in the manifest."""
    place: int = 0
    """Its place among the machine's pairings."""
    stray: str | None = None
    """Id of a pairing that no entry of the manifest stands for."""
    leaves: str = ""
    """Why the machine leaves the fleet, or "" where it does not."""


class AgentPairing(Kind[Spec, Json]):
    name = "agent_pairing"
    sections = {"fleet": DelegationSection, "machine": PairingsSection}
    prunable = "pairings"
    fields = (*FIELDS, *(f"delegationPolicy.{name}" for name in (*LISTS, *LIMITS)))

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        # Hardly as many as there are pairings, and each is one value that all of these share.
        policies = {name: _wire(policy) for name, policy in _policies(fleet).items()}
        for machine in fleet.machines:
            identity = fleet.identity_of(machine)
            for place, pairing in enumerate(_declared(machine) if identity.provable else ()):
                agent = fleet.agents[pairing.agent]
                yield Spec(
                    Address(self.name, f"{machine.name}/{pairing.agent}"),
                    identity.did,
                    pairing.agent,
                    agent.address or "",
                    Output(Address("machine_record", machine.name), "id"),
                    getattr(getattr(machine, "market", None), "record_id", None),
                    machine.operator,
                    {
                        "agentProvider": agent.provider,
                        "agentRole": pairing.role,
                        "description": pairing.description,
                        "delegationPolicy": policies[pairing.delegation_policy] if pairing.delegation_policy else None,
                        "status": "paused" if pairing.paused else "active",
                    },
                    _did(agent),
                    pairing.delegation_policy or "",
                    place,
                    leaves=GONE[1] if machine.state == "retired" else "",
                )

    def check(self, fleet: Fleet) -> Iterable[Mistake]:
        policies = _policies(fleet)
        for name, agent in fleet.agents.items():
            if agent.did and agent.address and not agent.did.lower().endswith(agent.address.lower()):
                hint = f"write {_did(agent)}"
                yield Mistake(loc=("agents", name, "did"), message="this is the DID of another address", hint=hint)
        for index, machine in enumerate(fleet.machines):
            seen: set[str] = set()
            for place, pairing in enumerate(_declared(machine)):
                loc = ("machines", index, "pairings", place)
                if getattr(machine, "market", None) is None:
                    hint = "add a market block to the machine or to defaults"
                    yield Mistake(loc=loc, message="only an enrolled machine can be paired", hint=hint)
                if pairing.agent not in fleet.agents:
                    hint = f"declared agents: {', '.join(fleet.agents) or 'none'}"
                    yield Mistake(loc=(*loc, "agent"), message=f"no agent `{pairing.agent}` under agents", hint=hint)
                if pairing.agent in seen:
                    hint = "one machine and one agent make one pairing"
                    yield Mistake(loc=(*loc, "agent"), message=f"`{pairing.agent}` is paired twice here", hint=hint)
                if pairing.delegation_policy is not None and pairing.delegation_policy not in policies:
                    message = f"no policy `{pairing.delegation_policy}` under delegationPolicies"
                    hint = f"declared policies: {', '.join(policies) or 'none'}"
                    yield Mistake(loc=(*loc, "delegationPolicy"), message=message, hint=hint)
                seen.add(pairing.agent)

    async def advise(self, fleet: Fleet, read: Reader) -> list[Mistake]:
        skills, services = _listed(fleet, "SkillKeys"), _listed(fleet, "ServiceIds")
        return [*await SKILLS.advise(skills, read), *await SERVICES.advise(services, read)]

    def needs(self, spec: Spec) -> Iterable[Need]:
        # Authority must be revocable whatever is the matter with the record.
        if self.wanted(spec):
            yield Need(Address("machine_record", spec.address.name.split("/")[0]))

    def precedes(self, spec: Spec) -> Iterable[Need]:
        if spec.leaves:
            yield Need(Address("machine_record", spec.address.name.split("/")[0]))

    async def observe(self, spec: Spec, read: Reader) -> Present[Json] | Absent | Unreadable:
        record = await record_of(read, spec.identity_ref, spec.adopted)
        if record is None or (spec.leaves and record.get("status") == "archived"):
            return Absent()
        pairings = await living(read, record)
        if spec.stray is not None:
            found = next((p for p in pairings if p.get("id") == spec.stray), None)
        else:
            found = _ours(pairings, spec.agent_address, read.receipt(spec.address.name))
        return Absent() if found is None else Present(whole(found, "id", "updatedAt"))

    def searches(self, fleet: Fleet) -> Iterable[Search[Spec]]:
        for machine in fleet.machines:
            if fleet.identity_of(machine).provable and getattr(machine, "market", None) is not None:
                yield Search(f"the pairings of {machine.name}", partial(self._strays, fleet, machine), machine.name)
        if fleet.services.markets is not None:
            yield Search("the pairings that were ours", partial(self._left_behind, fleet))

    async def _strays(self, fleet: Fleet, machine: Machine, read: Reader) -> list[Spec]:
        identity, adopted = fleet.identity_of(machine).did, getattr(getattr(machine, "market", None), "record_id", None)
        record = await record_of(read, identity, adopted)
        if record is None:
            return []
        pairings = await living(read, record)
        declared = [(f"{machine.name}/{p.agent}", fleet.agents[p.agent].address or "") for p in _declared(machine)]
        ours = [_ours(pairings, address, read.receipt(name)) for name, address in declared]
        managed = {pairing["id"] for pairing in ours if pairing is not None}
        leaves = GONE[1] if machine.state == "retired" else ""
        whose = Spec(Address("", machine.name), identity, "", "", record["id"], adopted, machine.operator, {}, None)
        return [self._stray(replace(whose, leaves=leaves), p) for p in pairings if p["id"] not in managed]

    async def _left_behind(self, fleet: Fleet, read: Reader) -> list[Spec]:
        """The pairings of machines that left."""
        whose = [
            Spec(Address("", f.name), str(r["identityRef"]), "", "", r["id"], r["id"], f.operator, {}, leaves=GONE[0])
            for f in await former_machines(fleet, read)
            for r in f.records
        ]
        found = await read.together(living(read, {"id": spec.record}) for spec in whose)
        return [self._stray(spec, p) for spec, pairings in zip(whose, found, strict=True) for p in pairings]

    def _stray(self, whose: Spec, pairing: Json) -> Spec:
        address, agent = Address(self.name, f"{whose.address.name}/id:{pairing['id']}"), pairing.get("agentAddress")
        return replace(whose, address=address, agent_address=str(agent), stray=pairing["id"])

    def wanted(self, spec: Spec) -> bool:
        return spec.stray is None and not spec.leaves

    def pruned(self, spec: Spec, fleet: Fleet) -> bool:
        return spec.leaves == GONE[1] or super().pruned(spec, fleet)

    def unwanted(self, spec: Spec, state: Json) -> str:
        if spec.leaves == GONE[1]:
            return spec.leaves
        who = f"agent {state.get('agentAddress')} ({state.get('agentProvider')}, {state.get('agentRole')})"
        return f"{who} is paired and not in the manifest"

    def diff(self, spec: Spec, state: Json) -> tuple[FieldChange, ...]:
        observed = {**state, "delegationPolicy": normal(state.get("delegationPolicy") or {})}
        changes = compare({k: v for k, v in spec.fields.items() if k != "delegationPolicy"}, observed)
        # A pairing that was paused and no longer is lets its agent spend again.
        changes = tuple(replace(c, widens=c.field == "status" and c.after == "active") for c in changes)
        policy = spec.fields["delegationPolicy"]
        if policy is not None:
            before = observed["delegationPolicy"]
            changes += tuple(
                FieldChange(f"delegationPolicy.{name}", before[name], value, widens=widens(name, before, value))
                for name, value in policy.items()
                if not same(value, before[name])
            )
        fixed = compare({"agentAddress": spec.agent_address, "agentDid": spec.did}, observed)
        return (*(replace(change, replaces=True) for change in fixed), *changes)

    def steps(self, spec: Spec, state: Json | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        if state is None:
            return self._pair(spec)
        path: tuple[Segment, ...] = ("machines", spec.record, "agent-pairings", state["id"])
        if not self.wanted(spec):
            return (Step("revoke the pairing", HttpRequest("DELETE", path)),)
        if any(change.replaces for change in fields):
            return (Step("revoke the old pairing", HttpRequest("DELETE", path)), *self._pair(spec))
        names = {change.field.split(".")[0] for change in fields}
        body = {name: value for name, value in spec.fields.items() if name in names}
        if "delegationPolicy" in names:
            # It is replaced as a whole, so what others look after goes along as they left it.
            kept = left_alone(self.diff(spec, state), fields)
            policy = spec.fields["delegationPolicy"]
            body["delegationPolicy"] = {n: kept.get(f"delegationPolicy.{n}", value) for n, value in policy.items()}
        else:
            request = HttpRequest("PATCH", path, body, touches=Touch(spec.address.name, state["updatedAt"]))
            return (Step("change the pairing", request, renewal=_renewal(spec)),)
        otherwise = f"the new policy ends the session of agent {spec.agent}, and without its key no other can be had"
        agent = (Signer("agent", spec.agent),)
        request = HttpRequest("PATCH", path, body)
        return (
            Step(
                "change the delegation policy",
                request,
                rotates=True,
                keys=agent,
                otherwise=otherwise,
                renewal=_renewal(spec),
            ),
        )

    def _pair(self, spec: Spec) -> tuple[Step, ...]:
        base: tuple[Segment, ...] = ("machines", spec.record, "agent-pairings")
        who = {
            "agentAddress": spec.agent_address,
            "agentProvider": spec.fields["agentProvider"],
            "agentRole": spec.fields["agentRole"],
        }
        who |= {"agentDid": spec.did} if spec.did else {}
        more = {k: spec.fields[k] for k in ("description", "delegationPolicy") if spec.fields[k] is not None}
        create = SignedRequest(
            challenge=HttpRequest("POST", (*base, "challenges"), who),
            names=(spec.record, spec.agent_address),
            signer=Signer("agent", spec.agent),
            request=HttpRequest("POST", base, {**who, **more}),
            proof="agentProof",
            secret=SecretTarget("pairingToken", spec.address.name),
        )
        steps = (Step("pair the agent", create, renewal=_renewal(spec)),)
        if spec.fields["status"] != "paused":
            return steps
        path = (*base, Output(spec.address, "id"))
        touch = Touch(spec.address.name, Output(spec.address, "updated_at"))
        return (*steps, Step("pause the pairing", HttpRequest("PATCH", path, {"status": "paused"}, touch)))

    def declared(self, spec: Spec) -> dict[str, object]:
        who = {"agentAddress": spec.agent_address, "agentDid": spec.did, **spec.fields}
        policy = who.pop("delegationPolicy", None) or {}
        fields = {name: value for name, value in who.items() if value is not None}
        return fields | {f"delegationPolicy.{name}": value for name, value in policy.items()}

    def subject(self, spec: Spec) -> str:
        return spec.identity_ref

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        agent, pairing = ("agents", spec.agent), ("machines", spec.address.name.split("/")[0], "pairings", spec.place)
        if field.startswith("delegationPolicy."):
            return (("delegationPolicies", spec.policy, field.partition(".")[2]),)
        return {
            "agentAddress": ((*agent, "address"), (*agent, "key")),
            "agentDid": ((*agent, "did"),),
            "agentProvider": ((*agent, "provider"),),
            "agentRole": ((*pairing, "role"),),
            "description": ((*pairing, "description"),),
            "status": ((*pairing, "paused"),),
        }[field]

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        record = None if fleet.services.markets is None else await record_of(read, machine.did, None)
        if record is None or record.get("status") == "archived":
            return Adopted()
        there = await living(read, record)
        pairings = [_entry(whole(p, "agentAddress", "agentProvider", "agentRole"), fleet) for p in there]
        return Adopted({"pairings": pairings} if pairings else {})

    def unfinished(self, field: FieldChange) -> bool:
        return (field.field, field.after) == ("status", "paused")

    def outputs(self, spec: Spec, state: Json) -> dict[str, object]:
        return {"id": state["id"], "updated_at": state.get("updatedAt")}


def _entry(pairing: Json, fleet: Fleet) -> dict[str, Any]:
    """The pairing as an entry of a manifest."""
    policy = normal(pairing.get("delegationPolicy") or {})
    entry: dict[str, Any] = {"agent": _agent(pairing, fleet), "role": pairing["agentRole"]}
    entry["delegationPolicy"] = _policy(policy, fleet)
    entry |= {"description": pairing["description"]} if pairing.get("description") else {}
    return entry | ({"paused": True} if pairing.get("status") == "paused" else {})


def _agent(pairing: Json, fleet: Fleet) -> str | Named:
    address, provider, did = str(pairing["agentAddress"]), pairing["agentProvider"], pairing.get("agentDid")
    for name, agent in fleet.agents.items():
        if same(address, agent.address):
            return name
    content = {"address": address, "provider": provider}
    made_up = did is None or same(f"did:pkh:eip155:1:{address}", did)
    return Named("agents", address.lower(), str(provider), content if made_up else {**content, "did": did})


def _policy(policy: Json, fleet: Fleet) -> str | Named:
    for name, declared in _policies(fleet).items():
        if all(same(value, policy[field]) for field, value in _wire(declared).items()):
            return name
    content = {field: value for field, value in policy.items() if value not in (None, [])}
    limit, currency = policy["dailySpendLimit"], policy["currency"]
    name = f"{currency}-{limit:g}-a-day".lower() if limit is not None and currency else "policy"
    key = fingerprint({"delegationPolicy": policy})
    return Named("delegationPolicies", key, name if content else "no-limits", content)


def _renewal(spec: Spec) -> SignedRequest:
    return renewed_proof(spec.identity_ref, spec.address.name.split("/")[0], spec.operator, spec.record)


def _policies(fleet: Fleet) -> Mapping[str, DelegationPolicy]:
    section = fleet.section(DelegationSection)
    return section.delegation_policies if section else {}


def _listed(fleet: Fleet, ending: str) -> list[tuple[Loc, str]]:
    """What the lists of delegation policies name, in those lists whose names end so."""
    return [
        (("delegationPolicies", policy, field, place), name)
        for policy, declared in _policies(fleet).items()
        for field, names in _wire(declared).items()
        if field.endswith(ending)
        for place, name in enumerate(names)
    ]


def _declared(machine: Machine) -> tuple[Pairing, ...]:
    section = machine.section(PairingsSection)
    return section.pairings if section else ()


def _did(agent: Agent) -> str | None:
    """With the address as it stands for the agent: its letters have no case, but Machine Markets wants its checksum."""
    return agent.did and f"{agent.did.rpartition(':')[0]}:{agent.address or ''}"


def _ours(pairings: Iterable[Json], address: str, receipt: Receipt | None) -> Json | None:
    """The pairing of this agent, or else the one that we made for its name under another address."""
    known = None if receipt is None else receipt.pairing_id
    ours = [p for p in pairings if same(address, p.get("agentAddress")) or p.get("id") == known]
    return min(ours, key=lambda pairing: not same(address, pairing.get("agentAddress")), default=None)


def _wire(policy: DelegationPolicy) -> dict[str, Any]:
    """The whole policy with explicit nulls: a PATCH replaces it, and only null clears a limit for sure."""
    return policy.model_dump(by_alias=True, mode="json")
