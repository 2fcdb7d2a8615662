"""Plans and results as JSON. `formatVersion` grows its second number with additions, its first with breaks."""

import json
from collections.abc import Mapping
from typing import Any

from reconciler.cli.planning import Planned
from reconciler.cli.render.errors import FORMAT
from reconciler.cli.render.plan_text import summary
from reconciler.cli.wiring import Session
from reconciler.core.change import Action
from reconciler.core.money import Cost
from reconciler.core.moved import Movement, counted
from reconciler.core.plain import plain
from reconciler.core.plan import PlannedChange
from reconciler.core.value import asdict
from reconciler.engine.execute import Result


def plan_data(session: Session, planned: Planned) -> dict[str, Any]:
    """Amounts are wei as decimal strings, ids are strings."""
    plan, fleet = planned.plan, session.project.fleet
    return {
        "formatVersion": FORMAT,
        "fleet": fleet.name,
        "network": {"name": fleet.network.name, "chainId": str(fleet.network.chain_id), "block": str(planned.block)},
        "manifestDigest": session.project.manifest.digest,
        "digest": plan.digest,
        "headline": summary(plan),
        "summary": {str(action): plan.count(action) for action in Action},
        "changes": [
            change_data(change, planned.moved.get(change.address), planned.sources.get(change.address))
            for change in plan.changes
        ],
        "moved": {mover: dict(amount) for mover, amount in counted(planned.moved).items()},
        "leftOut": {str(address): option for address, option in plan.left_out.items()},
        "cost": {str(signer): _cost(cost) for signer, cost in plan.costs().items()},
        "notices": list(plan.notices),
        "refusals": [asdict(refusal) for refusal in planned.refusals],
    }


def result_data(result: Result) -> dict[str, Any]:
    outcomes = [
        {
            "address": str(outcome.address),
            "action": outcome.action,
            "outcome": outcome.stage,
            "reason": outcome.reason,
            "hint": outcome.hint,
        }
        for outcome in result.outcomes.values()
    ]
    return {
        "outcomes": outcomes,
        "transactions": result.transactions,
        "writes": result.writes,
        "unsettled": result.unsettled,
    }


def dump(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)


def change_data(
    change: PlannedChange, movement: Movement | None = None, sources: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """`moved` is null where nothing differs; `source` is there where it was asked for."""
    movers = movement.fields if movement else {}
    explained = {} if sources is None else {"sources": dict(sources)}
    return {
        "address": str(change.address),
        "action": change.action,
        "reason": change.reason,
        "moved": movement.whole if movement else None,
        "fields": [
            {
                **plain(field),
                "moved": movers.get(field.field),
                **({"source": sources.get(field.field)} if sources else {}),
            }
            for field in change.fields
        ],
        "ignored": [plain(field) for field in change.ignored],
        "steps": [step.title for step in change.steps],
        "irreversible": change.irreversible,
        "rotates": change.rotates,
        "widens": change.widens,
        "unreadable": change.unreadable,
        **explained,
    }


def _cost(cost: Cost) -> dict[str, str]:
    return {name: str(wei) for name, wei in asdict(cost).items()} | {"total": str(cost.total)}
