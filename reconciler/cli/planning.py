"""From a connected session to a plan and what speaks against it: shared by plan, apply and drift."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from reconciler.adapters.totp import PERIOD
from reconciler.cli import holding
from reconciler.cli.leaving import meet, protected, unmanaged
from reconciler.cli.legacy_guard import legacy_refusals
from reconciler.cli.preflight import Finding, Level, chain_findings
from reconciler.cli.provenance import Sources
from reconciler.cli.selecting import describing, scope_of
from reconciler.cli.wiring import Project, Session
from reconciler.core.address import Address
from reconciler.core.change import Action
from reconciler.core.effects import CodedRequest, Signer
from reconciler.core.fleet import Fleet, Mistake
from reconciler.core.guards import Refusal, refusals
from reconciler.core.ignoring import Ignoring
from reconciler.core.kind import Resource
from reconciler.core.money import format_amount
from reconciler.core.moved import Applied, Movements, differing, movements
from reconciler.core.plan import Plan, PlannedChange, Scene, spelled_out, steps_of
from reconciler.core.ports import Reader
from reconciler.core.removals import removal_refusals
from reconciler.core.selection import EVERYTHING, Scope, Selection
from reconciler.core.value import Value, field, replace
from reconciler.engine.execute import Result
from reconciler.engine.survey import Quest, advice, look_around, observe_all, quests, survey


class Planned(Value):
    plan: Plan
    scene: Scene
    refusals: tuple[Refusal, ...]
    block: int
    wei: Mapping[Signer, int]
    """What each account that is to pay holds."""
    moved: Movements = field(default_factory=dict)
    """Who moved what differs."""
    sources: Sources = field(default_factory=dict)
    """Where fields come from, if that was asked."""

    # asyncio spells out what a run returns, and this holds a whole fleet.
    __repr__ = object.__repr__


def whole(plan: Plan, scene: Scene) -> Plan:
    """All of it may be done."""
    return plan


class Wishes(Value):
    """What the user asked for beside the manifest."""

    has_key: Callable[[Signer], bool]
    allow_token_loss: bool = False
    accept_legacy: bool = True
    allow_widening: bool = False
    scan: bool = False
    """Look for machines of ours on the whole chain."""
    max_removals: int | None = None
    """What may be removed this once, whatever the manifest says."""
    ahead: Collection[Signer] = ()
    """Machines whose transactions are signed elsewhere."""
    selection: Selection = EVERYTHING
    ignore_windows: bool = False
    at: float | None = None
    """The moment that windows are looked at, in seconds; None for now."""
    narrow: Callable[[Plan, Scene], Plan] = whole
    """Leaves of a plan what may be done."""


async def make_plan(session: Session, wishes: Wishes, tick: Callable[[], None] = lambda: None) -> Planned:
    """Observe everything at one block, plan, simulate, and check balances and guards. Writes nothing."""
    world, project = session.world, session.project
    scope = scope_of(project, wishes.selection)
    resources = (*scope.planned, *scope.watched)
    now = world.clock.now() if wishes.at is None else wishes.at
    held = holding.held(project.fleet, now, ignore_windows=wishes.ignore_windows)
    reader = await world.snapshot(0)
    (observations, found, unseen), fees, advised, _ = await asyncio.gather(
        look_around(resources, _searches(project, scope, wishes), reader, tick),
        world.chain.fees(),
        advice(project.kinds, project.fleet, reader),
        _prefetched(project, reader),
    )
    strays, left_out = _chosen(project, wishes, found)
    meet(project, strays)
    observations |= await observe_all(strays, reader)
    scene = Scene(
        (*resources, *strays),
        observations,
        wishes.has_key,
        gas_price=fees.max_fee,
        allow_token_loss=wishes.allow_token_loss,
        notices=(
            *project.notices,
            *_in_flight(session),
            *_warnings(await chain_findings(session)),
            *unseen,
            *_placed(project, advised),
            *holding.notices(project.fleet, now, held),
        ),
        unmanaged=unmanaged(project, strays),
        protected=protected(project, project.resources + tuple(strays)),
        unseen=tuple(unseen),
        ahead=wishes.ahead,
        left_out={**scope.left_out, **left_out},
        held=held,
        ignoring=Ignoring.of(project.fleet),
    )
    plan, scene = await survey(world, scene, reader.block)
    plan = wishes.narrow(plan, scene)
    plan = replace(plan, notices=(*plan.notices, *_pacing(plan), *_taken_in(plan, scope)))
    wei = await _balances(session, plan, reader)
    refused = await _refusals(session, plan, wishes, wei, reader.block)
    refused += [] if wishes.ignore_windows else holding.refusals(project.fleet, plan, now)
    return Planned(plan, scene, tuple(refused), reader.block, wei, _moved(session, plan, scene))


def _moved(session: Session, plan: Plan, scene: Scene) -> Movements:
    # The record of a large fleet is long, and mostly nothing differs.
    if not any(differing(plan)):
        return {}
    return movements(plan, scene.observations, session.world.journal.remembered(memory_of(session.project.fleet)))


def memory_of(fleet: Fleet) -> str:
    """Under what name the journal remembers what this fleet was when it converged."""
    return f"{fleet.name} on {fleet.network.chain_id}"


async def remember(session: Session, planned: Planned, result: Result) -> None:
    """Keep what this apply found or made as declared, so that a later plan can tell who moved."""
    calm = [change.resource for change in spelled_out(planned.plan, planned.scene).changes if _calm(change)]
    ignoring = planned.scene.ignoring
    converged = {str(each.address): Applied.of(each, ignoring).text() for each in (*calm, *result.converged.values())}
    await session.world.journal.remember(memory_of(session.project.fleet), converged)


def _calm(change: PlannedChange) -> bool:
    # What a saved plan leaves as it is does differ.
    return change.action is Action.NO_OP and not change.fields


def _searches(project: Project, scope: Scope, wishes: Wishes) -> list[Quest]:
    others = {m.name for m in project.fleet.machines} - {resource.machine for resource in scope.planned}
    return quests(project.kinds, project.fleet, others, deep=wishes.scan)


def _chosen(project: Project, wishes: Wishes, strays: Sequence[Resource]) -> tuple[list[Resource], dict[Address, str]]:
    """The strays that the selection is about, and by which option the rest is left out.

    What is left out and others wait for is there all the same: they do not go before it.
    """
    describe = describing(project)
    refused = {stray.address: option for stray in strays if (option := wishes.selection.refused(describe(stray)))}
    waited_for = [s for s in strays if s.address in refused and any(s.kind.precedes(s.spec))]
    chosen = [s for s in strays if s.address not in refused]
    return [*chosen, *waited_for], {s.address: refused[s.address] for s in waited_for}


def _taken_in(plan: Plan, scope: Scope) -> list[str]:
    """What was not chosen and is changed all the same."""
    found = [str(change.address) for change in plan.acting if change.address in scope.taken_in]
    if not found:
        return []
    shown = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
    return [f"{len(found)} resource(s) come along, because what --only names cannot do without them: {shown}"]


def _placed(project: Project, advised: Sequence[Mistake]) -> dict[str, None]:
    """Each once, although what stands in defaults is about every machine."""
    found = [project.manifest.problem(mistake.loc, mistake.message, mistake.hint) for mistake in advised]
    return dict.fromkeys(f"{problem}; {problem.hint}" for problem in found)


def _warnings(findings: Sequence[Finding]) -> list[str]:
    return [f"{finding.what}: {finding.detail}" for finding in findings if finding.level is not Level.OK]


def _in_flight(session: Session) -> list[str]:
    open_ = session.world.journal.unsettled()
    if not open_:
        return []
    worst = sum(sent.gas * sent.max_fee for sent in open_)
    cost = format_amount(worst)
    return [f"{len(open_)} transaction(s) of an earlier apply are in flight, gas ≤ {cost}; apply settles them first"]


def _pacing(plan: Plan) -> list[str]:
    """How long one-time codes will take: one a time step, and operators do not wait for each other."""
    effects = [step.effect for step in steps_of(plan.acting)]
    codes = Counter(effect.signer for effect in effects if isinstance(effect, CodedRequest))
    if not codes:
        return []
    minutes = -(-max(codes.values()) * PERIOD // 60)
    return [f"TOTP pacing: {codes.total()} code{'s'[: codes.total() > 1]}, about {minutes} min"]


async def _prefetched(project: Project, reader: Reader) -> None:
    """Ask with everything else for what is wanted last: who is to pay is mostly an operator."""
    accounts = [operator.address or "" for operator in project.fleet.operators.values()]
    await asyncio.gather(*(reader.balance(account) for account in accounts), return_exceptions=True)


async def _balances(session: Session, plan: Plan, reader: Reader) -> dict[Signer, int]:
    """Of the same block as everything else, and for the most part read already."""
    signers = list(plan.costs())
    found = await asyncio.gather(*(reader.balance(session.world.keyring.address(signer)) for signer in signers))
    return dict(zip(signers, found, strict=True))


async def _refusals(
    session: Session, plan: Plan, wishes: Wishes, wei: Mapping[Signer, int], block: int
) -> list[Refusal]:
    accounts = {signer: session.world.keyring.address(signer) for signer in wei}
    fleet = session.project.fleet
    found = [*refusals(plan, fleet.guards, wei, accounts), *removal_refusals(plan, fleet, wishes.max_removals)]
    return [*found, *await legacy_refusals(session, plan, block, accepted=wishes.accept_legacy)]
