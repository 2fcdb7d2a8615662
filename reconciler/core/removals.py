"""How much one apply may take out of service: a slip of the pen must not empty a fleet."""

from reconciler.core.change import Action
from reconciler.core.fleet import Fleet
from reconciler.core.guards import Refusal
from reconciler.core.plan import Plan
from reconciler.core.value import Value

FEW, SHARE = 3, 30
"""Where nothing is said: no more than so many removals, unless they are no more than so many percent."""
EXISTING = (Action.UPDATE, Action.REPLACE, Action.DELETE, Action.NO_OP, Action.UNMANAGED)


class Limit(Value):
    """Most removals, and who says so."""

    most: int
    who: str


def removal_refusals(plan: Plan, fleet: Fleet, allowed: int | None) -> list[Refusal]:
    """Why the removals of `plan` must not be run. `allowed` is what the user let pass this once."""
    # Who is taken off a list is removed besides, as a rule, and counts once; without its key it is not.
    count = max(sum(change.removes for change in plan.acting), sum(change.drops for change in plan.acting))
    existing = plan.count(*EXISTING)
    limit = _limit(plan, fleet, allowed, existing)
    if limit is None or count <= limit.most:
        return []
    what = f"{count} of {existing} resources ({count * 100 // max(existing, 1)} %)"
    message = f"the plan removes, replaces or deactivates {what}; {limit.who}"
    hint = f"pass --max-removals {count} if that is what you want"
    return [Refusal("guard.max_removals", message, hint)]


def _limit(plan: Plan, fleet: Fleet, allowed: int | None, existing: int) -> Limit | None:
    said = fleet.guards.max_removals
    if allowed is not None:
        return Limit(allowed, f"--max-removals allows {allowed}")
    if not fleet.machines:
        return Limit(0, "a manifest without machines removes nothing unasked")
    if isinstance(said, int):
        return Limit(said, f"guards.maxRemovals allows {said}")
    if said is not None:
        share = int(said.removesuffix("%"))
        # Of a small fleet, a share would be nothing at all.
        most = max(existing * share // 100, min(share, 1))
        return Limit(most, f"guards.maxRemovals allows {said}, which is {most}")
    if not any(change.drops or (change.removes and change.action is not Action.REPLACE) for change in plan.acting):
        return None
    most = max(FEW, existing * SHARE // 100)
    return Limit(most, f"without guards.maxRemovals {most} are allowed: {FEW}, or {SHARE} % where that is more")
