"""A plan as a file and back, without a network."""

import json
from typing import Any

from kinds_harness import Played, play

from reconciler.cli.render.as_json import change_data, dump
from reconciler.core.effects import Signer
from reconciler.core.errors import StalePlan
from reconciler.core.money import Cost
from reconciler.core.plan import Plan
from reconciler.core.saved import SavedPlan, checksum, read_saved
from reconciler.core.staleness import Verdict, approved, compare_plans
from reconciler.core.value import asdict

HASH = "0x" + "ab" * 32
DIGEST = "cd" * 32


def content_of(plan: Plan) -> dict[str, Any]:
    """What `plan --out` would write of this plan, with bindings that nothing looks at here."""
    data: dict[str, Any] = {
        "formatVersion": "1.0",
        "kind": "Plan",
        "created": "2026-01-01T00:00:00Z",
        "fleet": "test",
        "network": {"name": "sandbox", "chainId": "31338", "block": "7", "blockHash": HASH},
        "manifestDigest": DIGEST,
        "git": {"commit": "0" * 40, "dirty": True},
        "contracts": {"did": {"address": "0x" + "08" * 20, "code": HASH, "implementation": None}},
        "operators": {"default": "0x" + "0e" * 20},
        "gasPrice": str(plan.gas_price),
        "digest": plan.digest,
        "changes": [{**change_data(change), "pays": str(change.pays)} for change in plan.changes],
        "cost": {str(signer): _cost(cost) for signer, cost in plan.costs().items()},
        "notices": list(plan.notices),
    }
    return json.loads(dump(data))  # type: ignore[no-any-return]


def _cost(cost: Cost) -> dict[str, str]:
    return {name: str(wei) for name, wei in asdict(cost).items()}


def text_of(content: dict[str, Any]) -> str:
    """With a checksum that fits."""
    return dump({**content, "checksum": checksum(content)})


def saved_of(plan: Plan) -> SavedPlan:
    return read_saved(text_of(content_of(plan)), "plan.json")


def later(before: Played, now: Played) -> dict[str, str]:
    """What the plan of before comes to now, by address: a verdict, or how the resource moved; quiet ones left out."""
    found = compare_plans(saved_of(before.plan), now.scene)
    said = {**{a: str(v) for a, v in found.verdicts.items() if v is not Verdict.QUIET}, **found.moved}
    return {str(address): how for address, how in said.items()}


def left_to_do(before: Played, now: Played) -> dict[str, str]:
    """Actions that would still run, by address. Raises StalePlan."""
    plan = approved(saved_of(before.plan), now.plan, now.scene)
    return {str(change.address): str(change.action) for change in plan.acting}


def stale(before: Played, now: Played) -> str:
    try:
        left_to_do(before, now)
    except StalePlan as error:
        return error.message
    raise AssertionError("it is not stale")


__all__ = ["Signer", "content_of", "later", "left_to_do", "play", "saved_of", "stale", "text_of"]
