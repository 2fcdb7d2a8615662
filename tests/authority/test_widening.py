"""What gives an agent more authority: marked wherever it is planned, and never done in passing."""

import json
from typing import Any

import pytest
from kinds_harness import LAYERS, play

from reconciler.core.fleet import Guards
from reconciler.core.guards import refusals

BASE = {"allowedSkillKeys": ["weather"], "perTransactionLimit": 5, "dailySpendLimit": 20, "currency": "USD"}
LAYERS_BELOW = ["operator", "identity", "nft", "did", "record", "pairing"]
NARROWER, WIDER = False, True

CASES = [
    ("limit raised", {}, {"perTransactionLimit": 6}, WIDER),
    ("limit raised by a little", {}, {"dailySpendLimit": 20.01}, WIDER),
    ("limit lowered", {}, {"perTransactionLimit": 4}, NARROWER),
    ("limit lowered to nothing", {}, {"dailySpendLimit": 0}, NARROWER),
    ("limit raised from nothing", {"dailySpendLimit": 0}, {"dailySpendLimit": 1}, WIDER),
    ("limit removed", {}, {"dailySpendLimit": None}, WIDER),
    ("limit of nothing removed", {"dailySpendLimit": 0}, {"dailySpendLimit": None}, WIDER),
    ("limit set where there was none", {"perTransactionLimit": None}, {"perTransactionLimit": 10**6}, NARROWER),
    ("one limit raised, one lowered", {}, {"perTransactionLimit": 1, "dailySpendLimit": 21}, WIDER),
    ("skill allowed beside others", {}, {"allowedSkillKeys": ["weather", "price"]}, WIDER),
    ("skill exchanged", {}, {"allowedSkillKeys": ["price"]}, WIDER),
    ("skill taken back", {"allowedSkillKeys": ["weather", "price"]}, {"allowedSkillKeys": ["price"]}, NARROWER),
    ("last skill taken back, which allows all", {}, {"allowedSkillKeys": []}, WIDER),
    ("skills listed where all were allowed", {"allowedSkillKeys": []}, {"allowedSkillKeys": ["weather"]}, NARROWER),
    ("services listed where all were allowed", {}, {"allowedServiceIds": ["s1"]}, NARROWER),
    ("service added", {"allowedServiceIds": ["s1"]}, {"allowedServiceIds": ["s1", "s2"]}, WIDER),
    ("services no longer listed", {"allowedServiceIds": ["s1"]}, {"allowedServiceIds": []}, WIDER),
    ("skill denied", {}, {"deniedSkillKeys": ["price"]}, NARROWER),
    ("denial lifted", {"deniedSkillKeys": ["price"]}, {"deniedSkillKeys": []}, WIDER),
    ("denial exchanged", {"deniedServiceIds": ["s1"]}, {"deniedServiceIds": ["s2"]}, WIDER),
    ("denial added", {"deniedServiceIds": ["s1"]}, {"deniedServiceIds": ["s1", "s2"]}, NARROWER),
    ("another currency", {}, {"currency": "EUR"}, WIDER),
    ("no currency", {}, {"currency": None}, WIDER),
    (
        "another currency of no limit",
        {"perTransactionLimit": None, "dailySpendLimit": None},
        {"currency": "EUR", "perTransactionLimit": None, "dailySpendLimit": None},
        NARROWER,
    ),
]


def planned(
    before: dict[str, Any] | None, after: dict[str, Any], *, status: str = "active", paused: bool = False, **more: Any
) -> Any:
    """The planned change of a pairing with the policy `before` to one with `after`; None: there is no pairing."""
    (pairing,) = LAYERS["pairing"]["lists"]["machines/mach_1/agent-pairings"]
    pairings = [] if before is None else [{**pairing, "status": status, "delegationPolicy": before}]
    wanted = {"agent": "ops", "role": "ops", "delegationPolicy": "small", "paused": paused}
    market = {"machineType": "sensor", "runtimeProfile": "linux"}
    machines = [{"name": "m1", "address": "@m1", "market": market, "pairings": [wanted]}]
    fleet = f"delegationPolicies: {json.dumps({'small': after})}\nmachines: {json.dumps(machines)}"
    world = {"lists": {"machines/mach_1/agent-pairings": pairings}}
    return play({"fleet": fleet, "given": LAYERS_BELOW, "world": world, **more})


def pairing_of(played: Any) -> Any:
    return played.change("agent_pairing/m1/ops")


@pytest.mark.parametrize(("name", "before", "after", "widens"), CASES, ids=[case[0] for case in CASES])
def test_every_edit_is_judged(name: str, before: dict[str, Any], after: dict[str, Any], widens: bool) -> None:
    change = pairing_of(planned({**BASE, **before}, {**BASE, **before, **after}))
    assert change.action == "update"
    assert change.widens is widens
    assert any(field.widens for field in change.fields) is widens


def test_only_the_field_that_widens_is_marked() -> None:
    fields = pairing_of(planned(BASE, {**BASE, "perTransactionLimit": 1, "dailySpendLimit": 21})).fields
    assert {field.field: field.widens for field in fields} == {
        "delegationPolicy.perTransactionLimit": False,
        "delegationPolicy.dailySpendLimit": True,
    }


def test_resuming_widens_and_pausing_does_not() -> None:
    resumed = pairing_of(planned(BASE, BASE, status="paused"))
    assert [(field.field, field.widens) for field in resumed.fields] == [("status", True)]
    paused = pairing_of(planned(BASE, BASE, paused=True))
    assert [(field.field, field.widens) for field in paused.fields] == [("status", False)]


def test_a_new_pairing_widens_nothing() -> None:
    change = pairing_of(planned(None, {**BASE, "dailySpendLimit": None}))
    assert (change.action, change.widens) == ("create", False)


def test_what_will_not_be_done_is_no_widening() -> None:
    change = pairing_of(planned(BASE, {**BASE, "dailySpendLimit": 21}, missingKeys=["agent/ops"]))
    assert (change.action, change.widens) == ("blocked", False)


@pytest.mark.parametrize(("guard", "codes"), [("deny", ["guard.policy_widening"]), ("ask", []), ("allow", [])])
def test_only_deny_refuses_a_plan(guard: Any, codes: list[str]) -> None:
    guards = Guards().model_copy(update={"policy_widening": guard})
    plan = planned(BASE, {**BASE, "dailySpendLimit": 21}).plan
    assert [refusal.code for refusal in refusals(plan, guards, {}, {})] == codes
    narrower = planned(BASE, {**BASE, "dailySpendLimit": 19}).plan
    assert refusals(narrower, guards, {}, {}) == []
