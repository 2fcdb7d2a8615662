"""No noise: a plan after an apply is empty for any fleet, however the world says the same thing again."""

import json
from random import Random
from typing import Any

from fakes import FakeWorld
from generated_fleets import generated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds_harness import fleet_of
from test_convergence import MACHINES, SIGNERS, carry_out, scene_of

from reconciler.core.moved import Applied, movements
from reconciler.core.plan import Plan, build_plan

KEYS = frozenset(SIGNERS)


def written(fleet: dict[str, Any]) -> str:
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in fleet.items())


def respelled(value: Any) -> Any:
    """The same data as another server would say it: lists turned round, whole numbers with a point, nothing as null."""
    if isinstance(value, dict):
        return {key: respelled(item) for key, item in reversed(value.items())} | {"unheardOf": None}
    if isinstance(value, list | tuple):
        return [respelled(item) for item in reversed(value)]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def again(world: FakeWorld) -> FakeWorld:
    lists = {path: [respelled(item) for item in items] for path, items in world.lists.items()}
    return FakeWorld(world.views, world.balances, world.attributes, lists, world.items, world.receipts, world.stored)


def check_calm(plan: Plan) -> None:
    assert not plan.acting, [(str(c.address), c.action, c.reason, c.fields) for c in plan.acting]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_a_plan_after_an_apply_is_empty_for_any_fleet(rng: Random) -> None:
    fleet = generated(rng, MACHINES, ["ops", "known"])
    _, resources = fleet_of(written(fleet))
    world = FakeWorld()
    first = build_plan(scene_of(resources, world, KEYS))
    carry_out(first, resources, world, KEYS)
    check_calm(build_plan(scene_of(resources, world, KEYS)))
    scene = scene_of(resources, again(world), KEYS)
    calm = build_plan(scene)
    check_calm(calm)
    # Nor does what is remembered of it say that anybody moved.
    records = {str(change.address): Applied.of(change.resource).text() for change in calm.changes}
    assert movements(calm, scene.observations, records) == {}
    for change in calm.changes:
        assert Applied.read(records[str(change.address)]) == Applied.of(change.resource)
