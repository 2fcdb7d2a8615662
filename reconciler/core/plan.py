"""The plan: a value, built without I/O, that says what to do with every resource and why."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from reconciler.core.address import NEVER, Address, Asked, Burden, Placeholder, Resolve, bind
from reconciler.core.change import Action, FieldChange
from reconciler.core.effects import ChainGroup, Effect, SignedRequest, Signer, Step, paid, receivers, signer_of
from reconciler.core.graph import Needs, ordered
from reconciler.core.ignoring import Ignoring
from reconciler.core.kind import Need, Resource, Strength
from reconciler.core.money import Cost, burdens_of, cost_of
from reconciler.core.observation import SHAPES, Observation, Present, Unreadable
from reconciler.core.plain import plain
from reconciler.core.value import Value, field, replace

WAITS = "waits for "
"""How the reason begins of what is stopped by what it needs."""


class Scene(Value, dict=True):
    """Everything a plan is made from."""

    resources: tuple[Resource, ...]
    observations: Mapping[Address, Observation[Any]]
    has_key: Callable[[Signer], bool]
    denials: Mapping[Address, str] = field(default_factory=dict)
    """Why the world would refuse a change, found by simulating it."""
    gas_price: int = 0
    """Worst case, in wei."""
    allow_token_loss: bool = False
    notices: tuple[str, ...] = ()
    unmanaged: frozenset[Address] = frozenset()
    """Strays that are shown and left alone."""
    protected: Mapping[Address, str] = field(default_factory=dict)
    """Why these may not be removed, replaced or deactivated."""
    unseen: tuple[str, ...] = ()
    """Where strays could not be looked for, and why."""
    ahead: Collection[Signer] = ()
    """Those whose transactions somebody else signs: their calls are not parked, though no key is at hand."""
    left_out: Mapping[Address, str] = field(default_factory=dict)
    """What the plan is not about, and the option that says so. Of these only what others depend on is observed."""
    held: Mapping[str, str] = field(default_factory=dict)
    """By machine of which nothing may be changed now: why."""
    ignoring: Ignoring = field(default_factory=Ignoring)

    @cached_property
    def by_address(self) -> Mapping[Address, Resource]:
        return {resource.address: resource for resource in self.resources}


class PlannedChange(Value):
    resource: Resource
    """With its spec bound as far as values are known; that of a no-op only once it is `spelled_out`."""
    action: Action
    reason: str = ""
    fields: tuple[FieldChange, ...] = ()
    steps: tuple[Step, ...] = ()
    unreadable: bool = False
    ignored: tuple[FieldChange, ...] = ()
    """Differences that the manifest says are none."""

    @property
    def address(self) -> Address:
        return self.resource.address

    @property
    def irreversible(self) -> bool:
        return any(step.irreversible for step in self.steps)

    @property
    def widens(self) -> bool:
        return self.action.acts and any(change.widens for change in self.fields)

    @property
    def removes(self) -> bool:
        """True where something is taken out of service, if only to be replaced."""
        return self.action in (Action.DELETE, Action.REPLACE) or any(field.removes for field in self.fields)

    @property
    def drops(self) -> int:
        """How many are taken off a list."""
        return sum(field.drops for field in self.fields)

    @property
    def pays(self) -> int:
        """Wei that it moves, gas and deposits aside: bonds and transfers, a service's included."""
        return sum(paid(step.effect) for step in self.steps)

    @property
    def rotates(self) -> bool:
        return any(step.rotates and isinstance(step.effect, SignedRequest) for step in self.steps)


class Plan(Value, dict=True):
    changes: tuple[PlannedChange, ...]
    """In an order in which each comes after what it needs."""
    gas_price: int = 0
    notices: tuple[str, ...] = ()
    left_out: Mapping[Address, str] = field(default_factory=dict)
    """What the plan says nothing of, and the option that left it out."""

    @cached_property
    def acting(self) -> tuple[PlannedChange, ...]:
        return tuple(change for change in self.changes if change.action.acts)

    def count(self, *actions: Action) -> int:
        return sum(change.action in actions for change in self.changes)

    def costs(self) -> dict[Signer, Cost]:
        """What each signer may have to pay at worst."""
        return cost_of(steps_of(self.acting), self.gas_price)

    def incoming(self) -> dict[str, int]:
        """Wei that this plan brings, by account in lower case."""
        totals: dict[str, int] = {}
        for step in steps_of(self.acting):
            for account, wei in receivers(step.effect):
                totals[account.lower()] = totals.get(account.lower(), 0) + wei
        return totals

    @property
    def digest(self) -> str:
        """SHA-256 over what the plan would do; the same for the same fleet and world in any order."""
        parts = sorted(json.dumps(plain(_essence(change)), sort_keys=True) for change in self.changes)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def build_plan(scene: Scene) -> Plan:
    """Judge every resource in order of need: once to learn what wallets will be asked for, and then knowing that."""
    resources = scene.by_address
    needs = Needs(resources)
    order = ordered(resources, lambda address: (need.address for need in needs[address]))
    place = {address: index for index, address in enumerate(order)}
    known = known_outputs(scene)
    settled: list[PlannedChange | None] = []
    burdens = burdens_of(steps_of(_at_first(scene, place, needs, known, settled)), scene.gas_price)
    orphans = {n.address: address for address in scene.left_out for n in needs.get(address, ()) if n.triggers}
    done: dict[Address, PlannedChange] = {}
    for address, early in zip(place, settled, strict=True):
        needed = needs[address]
        before = (done[need.address] for need in needed if need.address in done)
        if early is not None and all(each.action is Action.NO_OP for each in before):
            done[address] = early
            continue
        change = _held(judge(scene, resources[address], _resolver(known, burdens, done)), scene)
        change = _answered(change, orphans, scene)
        done[address] = _thin(_propagate(change, needed, done, place, scene), resources[address])
    planned = tuple(change for address, change in done.items() if address not in scene.left_out)
    return Plan(planned, scene.gas_price, scene.notices, scene.left_out)


def _at_first(
    scene: Scene,
    place: Mapping[Address, int],
    needs: Needs,
    known: Resolve,
    settled: list[PlannedChange | None],
) -> Iterator[PlannedChange]:
    """What would be done if no wallet had to be asked for anything; in order, and kept no longer than it takes.

    What stays as it is whatever is asked of wallets, as long as all that it needs does, is put into `settled`; None
    for all else.
    """
    seen: dict[Address, PlannedChange] = {}
    for address in place:
        resource, needed, asked = scene.by_address[address], needs[address], Asked(known)
        change = _propagate(_held(judge(scene, resource, asked), scene), needed, seen, place, scene)
        stays = change.action is Action.NO_OP and asked.all_known
        certain = stays and asked.whose <= {need.address for need in needed}
        seen[address] = _thin(change, resource) if certain else PlannedChange(resource, change.action)
        settled.append(seen[address] if certain else None)
        if change.action.acts:
            yield change


def _thin(change: PlannedChange, resource: Resource) -> PlannedChange:
    # Bound, every spec of a large fleet would be there twice, and hardly anybody asks for those of what stays as it is.
    stays = change.action is Action.NO_OP and resource.kind.of_machine
    return replace(change, resource=resource) if stays else change


def spelled_out(plan: Plan, scene: Scene) -> Plan:
    """With the specs of what stays as it is bound too, for those who show or remember them."""
    burdens = burdens_of(steps_of(plan.acting), plan.gas_price)
    resolve = _resolver(known_outputs(scene), burdens, {change.address: change for change in plan.changes})
    bound = (replace(c, resource=_bound(c.resource, resolve)) if c.action is Action.NO_OP else c for c in plan.changes)
    return replace(plan, changes=tuple(bound))


def _bound(resource: Resource, resolve: Resolve) -> Resource:
    spec = bind(resource.spec, resolve)
    return resource if spec is resource.spec else replace(resource, spec=spec)


def judge(scene: Scene, resource: Resource, resolve: Resolve) -> PlannedChange:
    """What to do with one resource as it stands now, its needs aside."""
    bound = _bound(resource, resolve)
    observation = scene.observations[resource.address]
    if isinstance(observation, Unreadable):
        return PlannedChange(bound, Action.BLOCKED, observation.reason, unreadable=True)
    state = observation.state if isinstance(observation, Present) else None
    try:
        return _judged(scene, bound, state)
    except SHAPES as error:
        # Without an answer in it, this can only be a mistake of ours.
        if state is None:
            raise
        reason = f"it was answered with data of another shape ({type(error).__name__})"
        return PlannedChange(bound, Action.BLOCKED, reason, unreadable=True)


def _judged(scene: Scene, bound: Resource, state: Any) -> PlannedChange:
    kind, spec = bound.kind, bound.spec
    if bound.address in scene.unmanaged and state is not None:
        return PlannedChange(bound, Action.UNMANAGED, f"{kind.unwanted(spec, state)}; {kind.remedy(spec)}")
    if refusal := kind.refuse(spec, state):
        return PlannedChange(bound, Action.BLOCKED, refusal)
    if not kind.wanted(spec):
        return _removal(bound, state, scene)
    if state is None:
        steps = kind.steps(spec, None, ())
        return _permitted(PlannedChange(bound, Action.CREATE, "", kind.creates(spec), steps), scene)
    return _compared(scene, bound, state)


def _compared(scene: Scene, bound: Resource, state: object) -> PlannedChange:
    kind, spec = bound.kind, bound.spec
    found = kind.diff(spec, state)
    fields = tuple(change for change in found if not scene.ignoring.covers(bound, change.field))
    action = Action.REPLACE if any(f.replaces for f in fields) else Action.UPDATE
    if action is Action.REPLACE:
        # What is made anew is made as declared, and must not give more than is shown.
        fields = found
    ignored = tuple(change for change in found if change not in fields)
    if not fields:
        reason = "what differs is ignored" if ignored else kind.equal(spec, state)
        return PlannedChange(bound, Action.NO_OP, reason, ignored=ignored)
    reason = "; ".join(dict.fromkeys(f.note for f in fields if f.note))
    change = PlannedChange(bound, action, reason, fields, kind.steps(spec, state, fields), ignored=ignored)
    return _permitted(change, scene)


def _removal(bound: Resource, state: object, scene: Scene) -> PlannedChange:
    if state is None:
        return PlannedChange(bound, Action.NO_OP, "absent, as declared")
    steps = bound.kind.steps(bound.spec, state, ())
    return _permitted(PlannedChange(bound, Action.DELETE, bound.kind.unwanted(bound.spec, state), (), steps), scene)


def _permitted(change: PlannedChange, scene: Scene) -> PlannedChange:
    """`change`, unless it is protected, the world would refuse it, or a key it takes is not at hand."""
    if change.removes and (protection := scene.protected.get(change.address)):
        return PlannedChange(change.resource, Action.BLOCKED, protection, change.fields)
    if denial := scene.denials.get(change.address):
        return PlannedChange(change.resource, Action.BLOCKED, denial, change.fields)
    for step in change.steps:
        if missing := _missing_key(step.effect, scene):
            reason = f"the key of {missing} is not at hand"
            return PlannedChange(change.resource, Action.PARKED, reason, change.fields)
        if not scene.allow_token_loss and not all(scene.has_key(key) for key in step.keys):
            reason = f"{step.otherwise}; pass --allow-token-loss to do it all the same"
            return PlannedChange(change.resource, Action.BLOCKED, reason, change.fields)
    return change


def _held(change: PlannedChange, scene: Scene) -> PlannedChange:
    """`change`, unless nothing of its resource is to be changed now."""
    option = scene.left_out.get(change.address)
    why = f"left out by {option}" if option else scene.held.get(change.resource.machine, "")
    if not why or change.unreadable or change.action in (Action.NO_OP, Action.UNMANAGED):
        return change
    return PlannedChange(change.resource, Action.PARKED, why, change.fields, ignored=change.ignored)


def _answered(change: PlannedChange, orphans: Mapping[Address, Address], scene: Scene) -> PlannedChange:
    """`change`, unless it would end a session and what issues the next one is left out."""
    if change.address not in orphans or not _ends_session(change) or scene.allow_token_loss:
        return change
    token = orphans[change.address]
    reason = f"it would end the session of {token}, which is left out by {scene.left_out[token]}"
    return PlannedChange(change.resource, Action.BLOCKED, reason, change.fields)


def _missing_key(effect: Effect, scene: Scene) -> Signer | None:
    signer = signer_of(effect)
    if not isinstance(signer, Signer):
        # Nobody signs, or who does follows from a resource that is blocked or parked, and so this will be too.
        return None
    if isinstance(effect, ChainGroup) and signer in scene.ahead:
        return None
    others = effect.others if isinstance(effect, SignedRequest) else ()
    return None if any(scene.has_key(s) for s in (signer, *others)) else signer


def _propagate(
    change: PlannedChange,
    needs: Iterable[Need],
    done: Mapping[Address, PlannedChange],
    place: Mapping[Address, int],
    scene: Scene,
) -> PlannedChange:
    """Spread blocked and parked to what needs it, and rotation to what it triggers."""
    hard = [done[n.address] for n in needs if n.address in done and _binds(n, done)]
    if change.action.acts:
        for action in (Action.BLOCKED, Action.PARKED):
            if found := [d for d in hard if d.action is action]:
                # The others may wait for this one, too.
                stuck = min(found, key=lambda change: place[change.address])
                if option := scene.left_out.get(stuck.address):
                    reason = f"needs {stuck.address}, which is left out by {option}"
                    return PlannedChange(change.resource, Action.BLOCKED, reason, change.fields)
                reason = f"{WAITS}{stuck.address}, which is {action}"
                return PlannedChange(change.resource, action, reason, change.fields)
    triggers = {n.address for n in needs if n.triggers}
    if change.action is Action.NO_OP and any(_ends_session(d) for d in hard if d.address in triggers):
        return _triggered(change, scene)
    return change


def _binds(need: Need, done: Mapping[Address, PlannedChange]) -> bool:
    shared = need.through is None or need.through not in done or done[need.through].action is not Action.NO_OP
    return need.strength is not Strength.SOFT and shared


def _ends_session(change: PlannedChange) -> bool:
    return change.action.acts and any(step.rotates for step in change.steps)


def _triggered(change: PlannedChange, scene: Scene) -> PlannedChange:
    kind, spec = change.resource.kind, change.resource.spec
    observation = scene.observations[change.address]
    fields = tuple(f for f in kind.triggered(spec) if not scene.ignoring.covers(change.resource, f.field))
    if not fields or not isinstance(observation, Present):
        return change
    steps = kind.steps(spec, observation.state, fields)
    return _permitted(PlannedChange(change.resource, Action.UPDATE, fields[0].note, fields, steps), scene)


def known_outputs(scene: Scene) -> Resolve:
    """Resolves the Outputs of what is already there."""

    def resolve(wanted: Placeholder) -> object | None:
        if isinstance(wanted, Burden) or wanted.address not in scene.by_address:
            return None
        resource, observation = scene.by_address[wanted.address], scene.observations[wanted.address]
        if not isinstance(observation, Present):
            return None
        return resource.kind.outputs(resource.spec, observation.state).get(wanted.field)

    return resolve


def _resolver(known: Resolve, burdens: Mapping[Burden, int], done: Mapping[Address, PlannedChange]) -> Resolve:
    def resolve(wanted: Placeholder) -> object | None:
        if isinstance(wanted, Burden):
            return burdens.get(wanted, 0)
        change = done.get(wanted.address)
        if change is not None and change.action is Action.BLOCKED:
            return NEVER
        value = known(wanted)
        return NEVER if value is None and change is not None and change.action is Action.PARKED else value

    return resolve


def steps_of(changes: Iterable[PlannedChange]) -> Iterator[Step]:
    return (step for change in changes for step in change.steps)


def _essence(change: PlannedChange) -> dict[str, object]:
    return {
        "address": str(change.address),
        "action": change.action,
        "fields": change.fields,
        "steps": [(step.title, step.effect) for step in change.steps],
    }
