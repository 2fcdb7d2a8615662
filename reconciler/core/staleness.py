"""A saved plan against the world of today: what of it is left to do, what is done already, and what moved.

Every resource must be in its before-state or its after-state, field by field, so that a plan whose apply was
interrupted can be finished. What runs is the plan of today without all that was not approved.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from reconciler.core.address import NEVER, Address, Burden, Resolve, bind, placeholders
from reconciler.core.change import Action, FieldChange
from reconciler.core.diff import same
from reconciler.core.effects import signer_of
from reconciler.core.errors import StalePlan
from reconciler.core.money import format_amount
from reconciler.core.plain import plain
from reconciler.core.plan import WAITS, Plan, PlannedChange, Scene, build_plan, known_outputs
from reconciler.core.saved import SavedChange, SavedPlan
from reconciler.core.text import quoted
from reconciler.core.value import Value, replace

UNKNOWN = "known after apply"
SHOWN = 10
"""Resources that are named where many moved."""
LEFT_OUT = "left out by the saved plan; plan again to do it"
AGAIN = "make a new plan with `fleetctl plan --out FILE`, and have it approved"


class Verdict(StrEnum):
    DO = "do"
    """As it was: what was approved is still to be done."""
    DONE = "done"
    """In its after-state."""
    LEFT = "left"
    """Not to be done now, although nobody moved it: it cannot be read, its key is not here, or it was not approved."""
    QUIET = "quiet"
    """Nothing was to be done, and nothing is."""


class Comparison(Value):
    verdicts: Mapping[Address, Verdict]
    moved: Mapping[Address, str]
    """How those differ that are neither as they were nor as they were to become."""

    def count(self, verdict: Verdict) -> int:
        return sum(found is verdict for found in self.verdicts.values())


def approved(saved: SavedPlan, fresh: Plan, scene: Scene) -> Plan:
    """`fresh`, made from `scene`, with nothing to do but what `saved` has in it. StalePlan where anything moved."""
    found = compare_plans(saved, scene)
    if found.moved:
        raise StalePlan(_told(found.moved), hint=AGAIN)
    said = {change.key: change for change in saved.changes}
    changes = tuple(_restricted(change, said, found.verdicts) for change in fresh.changes)
    return replace(fresh, changes=changes, notices=(*fresh.notices, *_progress(saved, found)))


def compare_plans(saved: SavedPlan, scene: Scene) -> Comparison:
    """At the price of gas of the saved plan: what wallets are to hold follows from it, and it is nobody's doing."""
    fresh = {change.address: change for change in build_plan(replace(scene, gas_price=int(saved.gas_price))).changes}
    said = {change.key: change for change in saved.changes}
    judge = _Judge(scene, said, known_outputs(scene))
    found = {address: judge.verdict(said.get(address), fresh.get(address)) for address in {**said, **fresh}}
    return Comparison(
        {address: v for address, v in found.items() if isinstance(v, Verdict)},
        {address: v for address, v in found.items() if not isinstance(v, Verdict)},
    )


class _Judge:
    """Compares one resource at a time; a text instead of a verdict says how it moved."""

    def __init__(self, scene: Scene, said: Mapping[Address, SavedChange], known: Resolve) -> None:
        self._scene, self._said, self._known = scene, said, known
        self._burdened = {r.address for r in scene.resources if any(_burdens(r.spec))}

    def verdict(self, said: SavedChange | None, now: PlannedChange | None) -> Verdict | str:
        if now is None:
            # A stray that is not there any more, or that could not be looked for.
            gone = Verdict.LEFT if self._scene.unseen else Verdict.DONE
            return gone if said is not None and said.action.acts else Verdict.QUIET
        if now.action in (Action.NO_OP, Action.UNMANAGED):
            return Verdict.DONE if said is not None and said.action.acts else Verdict.QUIET
        if said is None:
            return (
                f"it is not in the plan, and would be changed now ({now.action})" if now.action.acts else Verdict.LEFT
            )
        if now.unreadable or (now.action is Action.BLOCKED and now.reason.startswith(WAITS)):
            return Verdict.LEFT
        if said.action in (Action.BLOCKED, Action.PARKED):
            return Verdict.DO if self._signed_elsewhere(now) and not self._differs(said, now) else Verdict.LEFT
        if self._follows(now):
            return _if_possible(now)
        if said.action is Action.NO_OP:
            return Verdict.LEFT if _worn(now) else _unlike(now)
        return self._differs(said, now) or _if_possible(now)

    def _signed_elsewhere(self, now: PlannedChange) -> bool:
        """Whoever hands in a signature for a change approves of it."""
        return any(signer_of(step.effect) in self._scene.ahead for step in now.steps)

    def _differs(self, said: SavedChange, now: PlannedChange) -> str:
        """How a change of now is not what was approved, nor what is left of it, or ""."""
        if now.action is Action.BLOCKED and not now.fields:
            return now.reason
        if Action.DELETE in (said.action, now.action) and now.action.acts and said.action is not now.action:
            return f"to {now.action} it is needed now; the plan says {said.action}"
        if now.pays > int(said.pays):
            return f"it would take {format_amount(now.pays)} now; the plan says {format_amount(int(said.pays))}"
        if now.address in self._burdened:
            # How much a wallet is short of follows from what else is still to be done.
            return ""
        fields = {field.field: field.change() for field in said.fields}
        return next(filter(None, (self._field(said, fields.get(f.field), f, now) for f in now.fields)), "")

    def _follows(self, now: PlannedChange) -> bool:
        """True where this is about what a replacement under way brings, such as the token of a new pairing."""
        needs = now.resource.kind.needs(now.resource.spec)
        causes = (self._said.get(need.address) for need in needs if need.triggers)
        return any(cause is not None and cause.action is Action.REPLACE for cause in causes)

    def _field(self, said: SavedChange, then: FieldChange | None, now: FieldChange, change: PlannedChange) -> str:
        """How one field is neither as it was nor as it was to become, or ""."""
        makes = said.action in (Action.CREATE, Action.REPLACE)
        if makes and change.resource.kind.unfinished(now):
            return ""
        new = said.action is Action.REPLACE and now.before is None
        if then is None:
            return "" if new else f"{now.field} is {_shown(now.before)} now, and the plan does not change it"
        if not new and not same(plain(then.before), plain(now.before)):
            return f"{now.field} is {_shown(now.before)} now; it was {_shown(then.before)} when the plan was made"
        if not self._agrees(then.after, now.after):
            return f"{now.field} would become {_shown(now.after)} now; the plan says {_shown(then.after)}"
        return ""

    def _agrees(self, then: object, now: object) -> bool:
        if NEVER in set(placeholders(now)) or (isinstance(then, str) and UNKNOWN in then):
            return True
        return same(plain(bind(then, self._known)), plain(now))


def _burdens(spec: object) -> Iterable[Burden]:
    return (found for found in placeholders(spec) if isinstance(found, Burden))


def _if_possible(now: PlannedChange) -> Verdict:
    return Verdict.DO if now.action.acts else Verdict.LEFT


def _worn(now: PlannedChange) -> bool:
    return bool(now.fields) and all(now.resource.kind.wears(field) for field in now.fields)


def _unlike(now: PlannedChange) -> str:
    """How a resource that was as declared is not so any more."""
    if not now.fields:
        return now.reason or f"to {now.action} it is needed now"
    first = now.fields[0]
    return f"{first.field} is {_shown(first.before)} now; it was {_shown(first.after)} when the plan was made"


def _shown(value: object) -> str:
    return "(none)" if value is None else quoted(str(plain(value)), 80)


def _told(moved: Mapping[Address, str]) -> str:
    lines = [f"{address}: {how}" for address, how in list(moved.items())[:SHOWN]]
    more = [f"and {len(moved) - SHOWN} more"] if len(moved) > SHOWN else []
    count = f"{len(moved)} resource{'s' * (len(moved) > 1)} moved"
    return "\n  ".join([f"the plan is stale, {count}:", *lines, *more])


def _restricted(
    change: PlannedChange, said: Mapping[Address, SavedChange], verdicts: Mapping[Address, Verdict]
) -> PlannedChange:
    if not change.action.acts or verdicts.get(change.address) is Verdict.DO:
        return change
    then = said.get(change.address)
    action = then.action if then is not None and not then.action.acts else Action.NO_OP
    return PlannedChange(change.resource, action, LEFT_OUT, change.fields)


def _progress(saved: SavedPlan, found: Comparison) -> Iterable[str]:
    """What there is to tell of a plan that was applied before, in part or whole."""
    count = sum(change.action.acts for change in saved.changes)
    done = found.count(Verdict.DONE)
    if done == count:
        yield f"the saved plan is finished: {f'all its {count} changes are' if count else 'nothing was to be'} done"
    elif done:
        yield f"{done} of the {count} changes of the saved plan are done already"
