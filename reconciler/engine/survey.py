"""Reading the world and planning against it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from reconciler.core.address import Address, is_bound
from reconciler.core.change import Action
from reconciler.core.effects import ChainCall, ChainGroup, Signer
from reconciler.core.errors import Rejected, Unreachable
from reconciler.core.fleet import Fleet, Mistake
from reconciler.core.graph import Needs
from reconciler.core.kind import AnyKind, Resource, Search, Spec, Strength
from reconciler.core.observation import SHAPES, Observation, Unreadable
from reconciler.core.plan import Plan, PlannedChange, Scene, build_plan
from reconciler.core.ports import Reader
from reconciler.core.text import quoted
from reconciler.core.value import Value, replace
from reconciler.engine.world import World

MOST_GAS = 8_000_000
"""Gas of the probes that are tried by one call: nodes limit what a call may take."""
SLICE, SLICES_AT_ONCE = 1000, 2
"""Resources that are looked at together: while services are slow to answer for some, the chain is asked for others."""
UNFUNDED = "FundsUnavailable"
"""The token's refusal for want of coins: the check of balances tells that in numbers."""
T = TypeVar("T")
Seen = dict[Address, Observation[Any]]
Probe = tuple[Address, tuple[ChainCall, ...]]


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in parts of `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


async def observe(resource: Resource, reader: Reader) -> Observation[Any]:
    """What is there. Any failure to read is Unreadable, never absent."""
    return await _clearly(resource.kind.observe(resource.spec, reader))


async def _clearly(reading: Awaitable[T]) -> T | Unreadable:
    """What was read, or why it could not be."""
    try:
        return await reading
    except (Unreachable, Rejected) as error:
        hint = f"; {error.hint}" if error.hint else ""
        return Unreadable(f"{error}{hint}")
    except SHAPES as error:
        return Unreadable(quoted(f"it was answered with data of another shape ({type(error).__name__}: {error})"))


class Quest(Value, eq=False):
    """A search, and the kind whose strays it finds."""

    kind: AnyKind
    search: Search[Any]
    fleet: Fleet

    @property
    def machine(self) -> str:
        return self.search.machine

    def stray(self, spec: Spec) -> Resource:
        return Resource.of(self.fleet, self.kind, spec)


def quests(kinds: Iterable[AnyKind], fleet: Fleet, left: Collection[str] = (), *, deep: bool = False) -> list[Quest]:
    """Where to look for what exists and the manifest does not name.

    The fleet is always the whole one, or what it was made smaller by would seem not to be named. What belongs to the
    machines in `left` is not looked for.
    """
    asked = (Quest(kind, search, fleet) for kind in kinds for search in kind.searches(fleet))
    return [quest for quest in asked if quest.machine not in left and (deep or not quest.search.deep)]


async def look_around(
    resources: Sequence[Resource], searches: Sequence[Quest], reader: Reader, tick: Callable[[], None] = lambda: None
) -> tuple[Seen, list[Resource], list[str]]:
    """Every resource as it is, the strays, and what to tell where these cannot be read.

    So much of it at once as fills the batches that reads travel in; `tick` is called after each resource.
    """
    seen: dict[Address, Observation[Any]] = {}
    found: dict[Quest, Iterable[Spec] | Unreadable] = {}

    async def one(about: Resource | Quest) -> None:
        if isinstance(about, Quest):
            found[about] = await _clearly(about.search.find(reader))
        else:
            seen[about.address] = await observe(about, reader)
            tick()

    # What is about one machine asks the same questions, so it is looked at together, and the answers are let go.
    everything: tuple[Resource | Quest, ...] = (*resources, *searches)
    slices = batched(sorted(everything, key=lambda about: about.machine), SLICE)

    async def work() -> None:
        for part in slices:
            await asyncio.gather(*(one(about) for about in part))

    await asyncio.gather(*(work() for _ in range(SLICES_AT_ONCE)))
    return seen, *_strays((quest, found[quest]) for quest in searches)


def _strays(found: Iterable[tuple[Quest, Iterable[Spec] | Unreadable]]) -> tuple[list[Resource], list[str]]:
    strays: dict[Address, Resource] = {}
    unseen: list[str] = []
    for quest, specs in found:
        if isinstance(specs, Unreadable):
            unseen.append(f"{quest.search.where}: {specs.reason}")
        else:
            strays |= {spec.address: quest.stray(spec) for spec in specs}
    told = (
        f"what the manifest does not name cannot be read at {len(unseen)} place(s), first {unseen[0]}" if unseen else ""
    )
    return list(strays.values()), [told] if told else []


async def observe_all(resources: Sequence[Resource], reader: Reader, tick: Callable[[], None] = lambda: None) -> Seen:
    """Every resource as it is."""
    return (await look_around(resources, (), reader, tick))[0]


async def advice(kinds: Iterable[AnyKind], fleet: Fleet, reader: Reader) -> list[Mistake]:
    """What the kinds have to say of a fleet in this world, as far as it can be read."""
    found = await asyncio.gather(*(_clearly(kind.advise(fleet, reader)) for kind in kinds))
    return [mistake for mistakes in found if not isinstance(mistakes, Unreadable) for mistake in mistakes]


async def survey(world: World, scene: Scene, block: int) -> tuple[Plan, Scene]:
    """A plan for `scene`, with every change already blocked that would be refused on top of `block`.

    That is the block the scene was read at: on a newer one, what an earlier run sent may have been mined meanwhile.
    """
    plan = build_plan(scene)
    denials = await _denials(world, plan, block)
    if not denials:
        return plan, scene
    scene = replace(scene, denials={**scene.denials, **denials})
    return build_plan(scene), scene


async def _denials(world: World, plan: Plan, block: int) -> dict[Address, str]:
    actions = {change.address: change.action for change in plan.changes}
    needs = Needs({change.address: change.resource for change in plan.changes})
    asked = [(change.address, calls) for change in plan.acting for calls in _probes(change, needs, actions)]
    found = await asyncio.gather(*(_refused(world, probes, block) for probes in _packs(world, asked)))
    return {address: reason for reasons in found for address, reason in reasons.items()}


def _packs(world: World, asked: Sequence[Probe]) -> list[list[Probe]]:
    """Probes of one signer that can be tried by one call."""
    packs: list[list[Probe]] = []
    newest: dict[Signer, int] = {}
    for probe in asked:
        signer = probe[1][0].signer
        if not isinstance(signer, Signer):
            continue
        at = newest.get(signer)
        if at is None or not world.settings.batch or _gas([*packs[at], probe]) > MOST_GAS:
            newest[signer] = at = len(packs)
            packs.append([])
        packs[at].append(probe)
    return packs


def _gas(probes: Iterable[Probe]) -> int:
    return sum(call.gas for _, calls in probes for call in calls)


async def _refused(world: World, probes: Sequence[Probe], block: int) -> dict[Address, str]:
    """Why which of `probes` would fail now. Those that fail together are halved until the culprits are alone."""
    reason = await _ask(world, [call for _, calls in probes for call in calls], block)
    if not reason:
        return {}
    if len(probes) == 1:
        return {probes[0][0]: reason}
    half = len(probes) // 2
    first, second = await asyncio.gather(*(_refused(world, part, block) for part in (probes[:half], probes[half:])))
    return {**first, **second}


def _probes(
    change: PlannedChange, all_needs: Needs, actions: Mapping[Address, Action]
) -> Iterable[tuple[ChainCall, ...]]:
    """Calls to try now: what the kind asks to be tried, and whole effects that depend on nothing in this plan."""
    needs = (need for need in all_needs[change.address] if need.strength is not Strength.SOFT)
    free = all(actions.get(need.address, Action.NO_OP) is Action.NO_OP for need in needs)
    for step in change.steps:
        yield from ((probe,) for probe in step.probes if is_bound(probe))
        if free and isinstance(step.effect, ChainGroup) and is_bound(step.effect):
            yield step.effect.calls


async def _ask(world: World, calls: Sequence[ChainCall], block: int) -> str:
    """Why these calls of one signer would fail on top of `block`, or ""."""
    raws = [world.chain.encode(call) for call in calls]
    if len(raws) > 1 and not world.settings.batch:
        return ""
    raw = raws[0] if len(raws) == 1 else world.chain.pack(raws)
    sender = world.keyring.address(ChainGroup(tuple(calls)).signer)
    try:
        outcome = await world.chain.dry_run(sender, raw, block)
        # Who cannot pay is told so by the guard of balances, with the sum that is missing.
        poor = outcome.revert and (
            outcome.revert == UNFUNDED or await world.chain.balance(sender) < sum(r.value for r in raws)
        )
    except Unreachable:
        # Not an answer: it will be simulated again before anything is sent.
        return ""
    return "" if poor else outcome.told
