"""How every machine is: in step with the manifest or not, rated how, bonded, funded, paired, and for how long."""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

from reconciler.adapters.fleet_list import listed
from reconciler.adapters.http_api import HttpApi
from reconciler.cli.planning import Wishes, make_plan
from reconciler.cli.wiring import Session
from reconciler.core.address import Address
from reconciler.core.change import Action
from reconciler.core.errors import Rejected, Unreachable
from reconciler.core.funding import Balance
from reconciler.core.observation import Present
from reconciler.core.plan import PlannedChange
from reconciler.core.selection import Selection
from reconciler.core.value import Value, field
from reconciler.kinds.peaq_v2.ground import subscription_of

MOST_LISTED = 2_560
"""Machines of one operator: the attribute that names them holds no more bytes."""
MOST_SINGLE = 60
"""Ratings asked for one by one: the public API allows 90 requests a minute."""


T = TypeVar("T")


class Health(Value):
    """One machine. Amounts are wei, `None` where it does not apply or could not be read."""

    name: str
    sync: str
    """Synced, OutOfSync, Blocked, Parked, Suspended, Retired (and nothing left to do) or Unknown."""
    id: str | None
    rating: str | None
    score: int | None
    negative: bool | None
    bond: int | None
    balance: int | None
    pairings: Mapping[str, str]
    """Status by agent."""
    token_seconds: Mapping[str, float | None] = field(default_factory=dict)
    """Seconds until the session ends, by agent."""
    successor_of: str | None = None
    """DID of the machine whose place it takes, if it takes one's."""


SUSPENDED, RETIRED = "Suspended", "Retired"


class Survey(Value):
    machines: list[Health]
    unmanaged: tuple[Address, ...]
    """What exists and is not in the manifest."""


async def survey_health(session: Session, selection: Selection) -> Survey:
    """The machines of the manifest that are chosen, and what is beside it. Needs no private key."""
    wishes = Wishes(session.project.keyring.declared, selection=selection, ignore_windows=True)
    planned = await make_plan(session, wishes)
    chosen = {change.resource.machine for change in planned.plan.changes}
    states = {a: o.state for a, o in planned.scene.observations.items() if isinstance(o, Present)}
    ids = _ids(session, states)
    ratings, bonds = await asyncio.gather(_ratings(session, ids), _bonds(session, ids))
    changes: dict[str, list[PlannedChange]] = {}
    for change in planned.plan.changes:
        changes.setdefault(change.address.name.partition("/")[0], []).append(change)
    inner: dict[str, dict[Address, Any]] = {}
    for address, state in states.items():
        inner.setdefault(address.name.partition("/")[0], {})[address] = state
    rated = {name: (i, bonds.get(i), ratings.get(i, {})) for name, i in ids.items()}
    fleet = session.project.fleet
    machines = [
        _health(
            machine.name,
            SUSPENDED if planned.scene.held.get(machine.name) else _sync(changes.get(machine.name, []), calm),
            inner.get(machine.name, {}),
            rated.get(machine.name, (None, None, {})),
            fleet.identity_of(former).did if (former := fleet.predecessor_of(machine)) else None,
        )
        for machine in fleet.machines
        for calm in ("Synced" if machine.state == "active" else RETIRED,)
        if machine.name in chosen
    ]
    beside = tuple(change.address for change in planned.plan.changes if change.action is Action.UNMANAGED)
    return Survey(machines, beside)


def _ids(session: Session, states: Mapping[Address, Any]) -> dict[str, str]:
    """Machine ids by name, of the machines that are there."""
    fleet = session.project.fleet
    made = {fleet.identity_of(machine).made for machine in fleet.machines}
    return {
        resource.machine: str(resource.kind.outputs(resource.spec, states[resource.address])["id"])
        for resource in session.project.resources
        if resource.address in made and resource.address in states
    }


def _health(
    name: str,
    sync: str,
    inner: Mapping[Address, Any],
    rated: tuple[str | None, int | None, Mapping[str, Any]],
    former: str | None,
) -> Health:
    machine_id, bond, rating = rated
    balance = next((s.balance for s in inner.values() if isinstance(s, Balance)), None)
    paired = {a.name.partition("/")[2]: str(s.get("status")) for a, s in inner.items() if a.kind == "agent_pairing"}
    tokens = {a.name.partition("/")[2]: s.seconds_left for a, s in inner.items() if a.kind == "session_token"}
    return Health(
        name,
        sync,
        machine_id,
        _if(str, rating.get("mcr")),
        _if(int, rating.get("mcr_score")),
        _if(bool, rating.get("negative_flag")),
        bond,
        balance,
        paired,
        tokens,
        former,
    )


def _if(sort: type[T], value: object) -> T | None:
    """`value` where it is of that sort: a rating is shown as it should be, or not at all."""
    return value if isinstance(value, sort) else None


def _sync(changes: list[PlannedChange], calm: str) -> str:
    """The worst of a machine's resources, or `calm` where all are as declared."""
    if any(change.unreadable for change in changes):
        return "Unknown"
    actions = {change.action for change in changes}
    if Action.BLOCKED in actions:
        return "Blocked"
    if any(action.acts for action in actions):
        return "OutOfSync"
    return "Parked" if Action.PARKED in actions else calm


async def _bonds(session: Session, ids: Mapping[str, str]) -> dict[str, int]:
    reader = await session.world.snapshot(0)
    new = {machine.name for machine in session.project.fleet.of("v2")}

    async def one(name: str, machine_id: str) -> int | None:
        try:
            if name in new:
                return (await subscription_of(reader, machine_id)).bond
            return int((await reader.view("identityStaking", "getStake(uint256)(uint256)", int(machine_id)))[0])
        except (Rejected, Unreachable):
            return None

    found = await asyncio.gather(*(one(name, machine_id) for name, machine_id in ids.items()))
    return {machine_id: wei for machine_id, wei in zip(ids.values(), found, strict=True) if wei is not None}


async def _ratings(session: Session, ids: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Ratings by machine id: from the operators' lists, and for those that the lists leave out one by one."""
    if session.mcr is None:
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for operator in session.project.fleet.operators.values():
        found |= await _listed(session.mcr, operator.address or "")
    fleet = session.project.fleet
    dids = {machine.name: fleet.identity_of(machine).did for machine in fleet.machines}
    missing = [(i, dids[name]) for name, i in ids.items() if i not in found][:MOST_SINGLE]
    single = await asyncio.gather(*(_single(session.mcr, did) for _, did in missing))
    return found | {i: rating for (i, _), rating in zip(missing, single, strict=True) if rating}


async def _listed(mcr: HttpApi, operator: str) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    try:
        async for machine in listed(mcr, operator, MOST_LISTED):
            found[str(machine.get("machine_id"))] = machine
    except (Unreachable, Rejected):
        return found
    return found


async def _single(mcr: HttpApi, did: str) -> Mapping[str, Any]:
    try:
        return await mcr.get(("mcr", did))
    except (Unreachable, Rejected):
        return {}
