"""Running a plan: every resource for itself, as soon as what it needs is there, and read back before it counts."""

import asyncio
from collections import ChainMap, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.core.address import NEVER, Address, Burden, Output, Placeholder, Resolve, bind, is_bound, placeholders
from reconciler.core.change import Action
from reconciler.core.effects import ChainGroup, CodedRequest, Signer, Step
from reconciler.core.errors import Ambiguous, Deferred, FleetError, NotConverged, Rejected, Unreachable
from reconciler.core.graph import Needs
from reconciler.core.kind import Resource, Strength
from reconciler.core.money import burdens_of
from reconciler.core.observation import Observation, Present
from reconciler.core.plan import Plan, PlannedChange, Scene, judge, steps_of
from reconciler.core.ports import Label, Reader
from reconciler.core.value import Value, replace
from reconciler.engine.coded import perform_coded
from reconciler.engine.events import Event, Stage
from reconciler.engine.forecast import Forecast, places
from reconciler.engine.lanes import Lane, Shared
from reconciler.engine.purse import Purse
from reconciler.engine.requests import perform
from reconciler.engine.survey import observe
from reconciler.engine.watch import OVERTAKEN, Watch
from reconciler.engine.world import Gauge, Lookout, World

FIRST, LONGEST = 0.05, 5.0
"""Seconds between looks while an effect does not show yet."""
LOOKS_KEPT = 500
"""Resources whose dependents may go on with the look that found them as declared: a look holds all that it read."""
GONE = "what it needs is no longer there"
BEHIND = "the node is behind: it does not show yet what was sent before, and that may be what is to be done"
ROUNDS = 3
"""Times a resource is planned afresh when foreign transactions got in its way."""


class Outcome(Value):
    """How one acting change ended: `stage` is DONE, FAILED, SKIPPED, PARKED or UNKNOWN."""

    address: Address
    action: Action
    stage: Stage
    reason: str = ""
    hint: str = ""


@dataclass
class Result:
    outcomes: dict[Address, Outcome] = field(default_factory=dict)
    transactions: int = 0
    writes: int = 0
    unsettled: list[str] = field(default_factory=list)
    converged: dict[Address, Resource] = field(default_factory=dict)
    """What was read back as declared, with its spec bound."""
    reorged: bool = False
    """True where blocks that were built upon left the chain: what was read from them must be read again."""

    def count(self, stage: Stage) -> int:
        return sum(outcome.stage is stage for outcome in self.outcomes.values())

    def then(self, later: "Result") -> "Result":
        """This run and a later one as one: what the later one says of a resource holds."""
        return Result(
            {**self.outcomes, **later.outcomes},
            self.transactions + later.transactions,
            self.writes + later.writes,
            later.unsettled,
            {**self.converged, **later.converged},
            later.reorged,
        )


class Look(Value):
    """A look at the world: the how-manyth of the run, and the watch's turns before it."""

    number: int
    reader: Reader
    turns: int


class Execution:
    """One run of one plan."""

    def __init__(self, world: World, plan: Plan, scene: Scene) -> None:
        self._world = world
        self._plan = plan
        self._scene = scene
        self._lookout = Lookout(world)
        self._watch = Watch(world)
        self._lanes: dict[Signer, Lane] = {}
        self._tasks: dict[Address, asyncio.Task[Outcome]] = {}
        self._resources = scene.by_address
        self._needs = Needs(self._resources)
        self._observations: dict[Address, Observation[Any]] = dict(scene.observations)
        self._burdens = burdens_of(steps_of(plan.acting), plan.gas_price)
        self._riders = _riders(plan) if world.settings.batch else {}
        self._forecast = Forecast(places(plan.acting, self._needs, self._riders), world.emit, self._watch.pace)
        purse = Purse(world.settings.max_spend)
        self._shared = Shared(world, self._watch, Gauge(world), purse, self._forecast)
        self._result = Result()
        self._looks = 0
        self._seen: OrderedDict[Address, Look] = OrderedDict()
        """By which look the last resources were found as declared."""

    async def run(self) -> Result:
        """Never raises for what goes wrong with a resource: that is in the result."""
        for change in self._plan.acting:
            self._tasks[change.address] = asyncio.ensure_future(self._resource(change))
        guard = asyncio.ensure_future(self._watch.guard())
        try:
            await asyncio.gather(*self._tasks.values())
            await self._settle()
        finally:
            for task in (guard, *self._tasks.values()):
                task.cancel()
        return self._result

    async def _resource(self, change: PlannedChange) -> Outcome:
        outcome = await self._stuck(change) or await self._tried(change)
        self._result.outcomes[change.address] = outcome
        self._forecast.ended(Label(str(change.address), step.title) for step in change.steps)
        self._world.emit(Event(outcome.stage, str(change.address), outcome.reason))
        return outcome

    async def _stuck(self, change: PlannedChange) -> Outcome | None:
        """Wait for what it needs; an outcome where one of those did not succeed."""
        for need in self._needs[change.address]:
            if need.address in self._tasks and (need.through is None or need.through in self._tasks):
                outcome = await asyncio.shield(self._tasks[need.address])
                if need.strength is Strength.SOFT or outcome.stage is Stage.DONE:
                    continue
                if outcome.stage is Stage.PARKED:
                    reason = f"waits for {need.address}, which is parked"
                    return Outcome(change.address, change.action, Stage.PARKED, reason)
                reason = f"needs {need.address}, which was not done"
                return Outcome(change.address, change.action, Stage.SKIPPED, reason)
        return None

    async def _tried(self, change: PlannedChange) -> Outcome:
        try:
            await self._converge(change)
        except Ambiguous as error:
            return Outcome(change.address, change.action, Stage.UNKNOWN, str(error), error.hint)
        except Deferred as error:
            return Outcome(change.address, change.action, Stage.PARKED, str(error), error.hint)
        except FleetError as error:
            return Outcome(change.address, change.action, Stage.FAILED, str(error), error.hint)
        except Exception as error:
            # One resource that meets what nobody thought of must not stop the others.
            # Its words are not shown: they may quote what it was given.
            reason = f"something unexpected happened ({type(error).__name__})"
            return Outcome(change.address, change.action, Stage.FAILED, reason, "report it, with what --debug prints")
        return Outcome(change.address, change.action, Stage.DONE)

    async def _converge(self, change: PlannedChange) -> None:
        """Look, do what is needed, look again until nothing differs."""
        resource = self._resources[change.address]
        look = self._handed_on(resource)
        for _ in range(ROUNDS):
            now, look = await self._ready(resource, look or await self._look())
            if now.action is Action.NO_OP:
                self._keep(now, look)
                return
            look = None
            if not now.action.acts:
                refused = Deferred if now.action is Action.PARKED else Rejected
                raise refused(now.reason, reason=now.action)
            self._world.emit(Event(Stage.STARTED, str(change.address)))
            try:
                await self._verify(resource, await self._steps(resource, now))
                return
            except Rejected as error:
                if error.reason != OVERTAKEN:
                    raise
        raise NotConverged("transactions sent by somebody else with the same key keep getting in the way")

    def _handed_on(self, resource: Resource) -> Look | None:
        """The look by which the last of what it needs was found as declared: newer than every effect on those."""
        looks = [self._seen.get(n.address) for n in self._needs[resource.address] if n.address in self._tasks]
        return max((look for look in looks if look), key=lambda look: look.number) if looks and all(looks) else None

    async def _look(self, block: int = 0) -> Look:
        """At the world as it is from now on, at `block` or later."""
        self._looks += 1
        number, turns = self._looks, self._watch.turns
        return Look(number, await self._lookout.look(block), turns)

    async def _ready(self, resource: Resource, look: Look) -> tuple[PlannedChange, Look]:
        """What to do, once what it needs can be read: a reorganisation may take that away for a while."""
        waited = Patience(self._world)
        while True:
            now = await self._judge(resource, look)
            # Else what we did already was gone while we looked, and it is back, or comes back by itself.
            if not now.action.acts or await self._watch.steady() == look.turns:
                gone = NEVER in set(placeholders(now.steps))
                if not gone and await self._is_new_enough(now, look):
                    return now, look
                if not await waited.more():
                    raise NotConverged(GONE if gone else BEHIND, hint="apply again")
            look = await self._look()

    async def _is_new_enough(self, change: PlannedChange, look: Look) -> bool:
        """Whether the look shows all that was sent by those who are to pay: on an older one they would pay again."""
        effects = [step.effect for step in change.steps] if change.pays else []
        lanes = [self._lane(effect.signer) for effect in effects if isinstance(effect, ChainGroup)]
        return all([await lane.shows(look.reader.block) for lane in lanes])

    async def _steps(self, resource: Resource, change: PlannedChange) -> int:
        """Perform the steps in order; the block at or after which their effect shows."""
        block = 0
        for step in change.steps:
            bound = step if is_bound(step.effect) else await self._bind_own(resource, step)
            block = max(block, await self._step(resource, bound))
        return block

    async def _step(self, resource: Resource, step: Step) -> int:
        label = Label(str(resource.address), step.title)
        match step.effect:
            case ChainGroup() as group:
                return await self._sent(resource.address, group, label)
            case CodedRequest() as coded:
                return await self._coded(resource, coded, label)
            case request:
                await perform(self._world, request, label, step.renewal)
                self._result.writes += 1
                return 0

    async def _sent(self, address: Address, group: ChainGroup, label: Label) -> int:
        together, labels = self._with_riders(address, group, label)
        return (await self._lane(together.signer).submit(together, labels)).block

    async def _coded(self, resource: Resource, effect: CodedRequest, label: Label) -> int:
        """As asked, or by the effect's other way where the service declines and something is missing still."""
        try:
            await perform_coded(self._world, effect, label)
            self._result.writes += 1
            return 0
        except Rejected as error:
            if error.reason not in effect.declines:
                raise
            # Waiting for codes takes its time: what is missing now is not what was missing then.
            await self._world.chain.head()
            now = await self._judge(resource, await self._look())
            others = [step.effect.otherwise for step in now.steps if isinstance(step.effect, CodedRequest)]
            if now.action is Action.NO_OP:
                return 0
            if not others or others[0] is None:
                raise
            self._world.emit(Event(Stage.WAITING, label.address, f"{error}; doing it the declared other way"))
            return await self._sent(resource.address, others[0], label)

    def _with_riders(self, address: Address, group: ChainGroup, label: Label) -> tuple[ChainGroup, tuple[Label, ...]]:
        """The group, and what shares its atomic transaction."""
        labels = [label]
        for rider in self._riders.get(address, ()):
            for step in rider.steps:
                if isinstance(step.effect, ChainGroup) and step.effect.signer == group.signer:
                    group = ChainGroup(group.calls + step.effect.calls)
                    labels.append(Label(str(rider.address), step.title))
        return group, tuple(labels)

    def _lane(self, signer: Signer) -> Lane:
        if signer not in self._lanes:
            self._lanes[signer] = Lane(self._shared, signer)
        return self._lanes[signer]

    async def _judge(self, resource: Resource, look: Look) -> PlannedChange:
        """The resource as the world stands there, and with it what it needs."""
        named = {output.address for output in placeholders(resource.spec) if isinstance(output, Output)}
        fresh = [resource, *(self._resources[a] for a in sorted(named) if a in self._tasks)]
        found = await asyncio.gather(*(observe(each, look.reader) for each in fresh))
        seen = {each.address: observation for each, observation in zip(fresh, found, strict=True)}
        scene = replace(self._scene, observations=ChainMap(seen, self._observations), denials={})
        return judge(scene, resource, lambda wanted: self._resolve(wanted, scene))

    def _resolve(self, wanted: Placeholder, scene: Scene) -> object:
        if isinstance(wanted, Burden):
            return self._burdens.get(wanted, 0)
        observation = scene.observations.get(wanted.address)
        if not isinstance(observation, Present):
            # All it needs is dealt with, so what is not known now will not be.
            return NEVER
        resource = self._resources[wanted.address]
        return resource.kind.outputs(resource.spec, observation.state).get(wanted.field, NEVER)

    async def _bind_own(self, resource: Resource, step: Step) -> Step:
        """`step` with the outputs of its own resource, which an earlier step has just created."""
        waited = Patience(self._world)
        while True:
            observation = await observe(resource, await self._lookout.look())
            if isinstance(observation, Present):
                return bind(step, _among(resource.kind.outputs(resource.spec, observation.state)))
            if not await waited.more():
                raise NotConverged("what was just created does not show", hint="apply again a little later")

    async def _verify(self, resource: Resource, block: int) -> None:
        waited = Patience(self._world)
        look = await self._look(block)
        while (now := await self._judge(resource, look)).action is not Action.NO_OP:
            if not await waited.more():
                raise NotConverged(_still(now), hint="plan again to see what differs")
            look = await self._look(block)
        self._keep(now, look)

    def _keep(self, found: PlannedChange, look: Look) -> None:
        """It is as declared, by this look."""
        self._result.converged[found.address] = found.resource
        self._seen[found.address] = look
        if len(self._seen) > LOOKS_KEPT:
            self._seen.popitem(last=False)

    async def _settle(self) -> None:
        try:
            await self._watch.settle()
        except (Ambiguous, Unreachable) as error:
            self._result.unsettled.append(str(error))
        self._result.transactions = self._watch.count
        self._result.reorged = self._watch.reorged


class Patience:
    """Growing pauses while an effect does not show yet, as long as the settings allow."""

    def __init__(self, world: World) -> None:
        self._clock = world.clock
        self._end = world.clock.now() + world.settings.reading_back
        self._pause = FIRST

    async def more(self) -> bool:
        """Pause once; False when it has been long enough."""
        if self._clock.now() >= self._end:
            return False
        await self._clock.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST)
        return True


def _among(outputs: Mapping[str, object]) -> Resolve:
    return lambda wanted: outputs.get(wanted.field) if isinstance(wanted, Output) else None


def _riders(plan: Plan) -> dict[Address, list[PlannedChange]]:
    """By resource that acts: those whose effect may share its transaction."""
    acting = {change.address for change in plan.acting}
    riders: dict[Address, list[PlannedChange]] = {}
    for change in plan.acting:
        for need in change.resource.kind.needs(change.resource.spec):
            if need.strength is Strength.RIDES and need.address in acting:
                riders.setdefault(need.address, []).append(change)
    return riders


def _still(change: PlannedChange) -> str:
    fields = ", ".join(f"{f.field} is {f.before!r}" for f in change.fields[:3])
    return f"done, but reading it back shows otherwise: {fields or change.reason or change.action}"
