"""Plans and results as JSON. `formatVersion` grows its second number with additions, its first with breaks."""

import json
from typing import Any

from reconciler.cli.planning import Planned
from reconciler.cli.render.errors import FORMAT
from reconciler.cli.render.plan_text import summary
from reconciler.cli.wiring import Session
from reconciler.core.change import Action
from reconciler.core.money import Cost
from reconciler.core.plan import PlannedChange, plain
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
        "changes": [change_data(change) for change in plan.changes],
        "cost": {str(signer): _cost(cost) for signer, cost in plan.costs().items()},
        "notices": list(plan.notices),
        "refusals": [vars(refusal) for refusal in planned.refusals],
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


def change_data(change: PlannedChange) -> dict[str, Any]:
    return {
        "address": str(change.address),
        "action": change.action,
        "reason": change.reason,
        "fields": [plain(field) for field in change.fields],
        "steps": [step.title for step in change.steps],
        "irreversible": change.irreversible,
        "rotates": change.rotates,
        "widens": change.widens,
        "unreadable": change.unreadable,
    }


def _cost(cost: Cost) -> dict[str, str]:
    return {name: str(wei) for name, wei in vars(cost).items()} | {"total": str(cost.total)}
