"""The plan as a value: what spreads, what is bound, what is refused, and what it costs. With kinds made up for it."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.core.address import NEVER, Address, Burden, Output, is_bound
from reconciler.core.change import Action, FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, HttpRequest, SignedRequest, Signer, Step
from reconciler.core.errors import PlanError
from reconciler.core.fleet import Fleet, Guards
from reconciler.core.guards import refusals
from reconciler.core.kind import Kind, Need, Resource, Strength
from reconciler.core.money import Cost
from reconciler.core.observation import Absent, Observation, Present, Unreadable
from reconciler.core.plain import plain
from reconciler.core.plan import Plan, PlannedChange, Scene, build_plan, spelled_out
from reconciler.core.ports import Reader
from reconciler.core.value import Value, replace

BOB, MACHINE, AGENT = Signer("operator", "bob"), Signer("machine", "m"), Signer("agent", "ops")


class Spec(Value):
    address: Address
    value: Any = "x"
    needs: tuple[Need, ...] = ()
    steps: tuple[Step, ...] = ()
    refusal: str = ""
    wanted: bool = True


class Thing(Kind[Spec, Any]):
    """Its state is one value."""

    name = "thing"

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        return ()

    def needs(self, spec: Spec) -> Iterable[Need]:
        return spec.needs

    async def observe(self, spec: Spec, read: Reader) -> Observation[Any]:
        raise NotImplementedError

    def refuse(self, spec: Spec, state: Any) -> str | None:
        return spec.refusal or None

    def wanted(self, spec: Spec) -> bool:
        return spec.wanted

    def diff(self, spec: Spec, state: Any) -> tuple[FieldChange, ...]:
        replaces = isinstance(spec.value, str) and spec.value.startswith("!")
        return () if spec.value == state else (FieldChange("value", state, spec.value, replaces=replaces),)

    def steps(self, spec: Spec, state: Any, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        return spec.steps or (Step("set", HttpRequest("PUT", (spec.address.name,), {"value": spec.value})),)

    def triggered(self, spec: Spec) -> tuple[FieldChange, ...]:
        return () if spec.value == "asleep" else (FieldChange("value", "old", "new", note="it was triggered"),)

    def creates(self, spec: Spec) -> tuple[FieldChange, ...]:
        return (FieldChange("value", None, spec.value),)

    def outputs(self, spec: Spec, state: Any) -> Mapping[str, object]:
        return {"value": state}


def at(name: str) -> Address:
    return Address("thing", name)


def need(name: str, strength: Strength = Strength.HARD, triggers: bool = False) -> Need:
    return Need(at(name), strength, triggers)


@dataclass
class Stage:
    """A scene under construction."""

    resources: list[Resource] = field(default_factory=list)
    observations: dict[Address, Observation[Any]] = field(default_factory=dict)
    missing: set[Signer] = field(default_factory=set)

    def put(self, name: str, seen: Observation[Any], **spec: Any) -> "Stage":
        self.resources.append(Resource(Thing(), Spec(at(name), **spec)))
        self.observations[at(name)] = seen
        return self

    def scene(self, **more: Any) -> Scene:
        return Scene(tuple(self.resources), self.observations, lambda signer: signer not in self.missing, **more)

    def plan(self, **more: Any) -> dict[str, PlannedChange]:
        return {change.address.name: change for change in build_plan(self.scene(**more)).changes}


def chain_step(signer: Any = BOB, **call: Any) -> Step:
    return Step("call", ChainGroup((ChainCall(signer, "registry", "f()", **call),)))


def signed_step(**more: Any) -> Step:
    post = HttpRequest("POST", ("x",))
    return Step("sign", SignedRequest(post, (), AGENT, post, "proof", others=more.pop("others", ())), **more)


# --- one resource -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "spec", "action"),
    [
        (Absent(), {}, Action.CREATE),
        (Present("x"), {}, Action.NO_OP),
        (Present("y"), {}, Action.UPDATE),
        (Present("y"), {"value": "!x"}, Action.REPLACE),
        (Present("x"), {"wanted": False}, Action.DELETE),
        (Absent(), {"wanted": False}, Action.NO_OP),
        (Unreadable("no answer"), {}, Action.BLOCKED),
        (Unreadable("no answer"), {"wanted": False}, Action.BLOCKED),
        (Present("y"), {"refusal": "not yours"}, Action.BLOCKED),
        (Absent(), {"refusal": "not yours"}, Action.BLOCKED),
        (Present("x"), {"refusal": "not yours", "wanted": False}, Action.BLOCKED),
    ],
)
def test_one_resource(seen: Observation[Any], spec: dict[str, Any], action: Action) -> None:
    change = Stage().put("a", seen, **spec).plan()["a"]
    assert change.action is action
    assert bool(change.steps) is action.acts
    assert change.unreadable is isinstance(seen, Unreadable)


def test_a_blocked_resource_says_why() -> None:
    assert Stage().put("a", Unreadable("no answer")).plan()["a"].reason == "no answer"
    assert Stage().put("a", Absent(), refusal="not yours").plan()["a"].reason == "not yours"


def test_a_denial_blocks_what_would_act_and_nothing_else() -> None:
    stage = Stage().put("a", Absent()).put("b", Present("x"))
    plan = stage.plan(denials={at("a"): "EnforcedPause", at("b"): "EnforcedPause"})
    assert (plan["a"].action, plan["a"].reason) == (Action.BLOCKED, "EnforcedPause")
    assert [f.field for f in plan["a"].fields] == ["value"]
    assert plan["b"].action is Action.NO_OP


# --- keys -------------------------------------------------------------------------------------------------------------


def test_without_its_key_it_is_parked() -> None:
    stage = Stage(missing={MACHINE}).put("a", Absent(), steps=(chain_step(), chain_step(MACHINE)))
    change = stage.plan()["a"]
    assert (change.action, change.reason, change.steps) == (
        Action.PARKED,
        "the key of machine/m is not at hand",
        (),
    )


def test_an_equal_resource_needs_no_key() -> None:
    assert Stage(missing={BOB}).put("a", Present("x"), steps=(chain_step(),)).plan()["a"].action is Action.NO_OP


def test_another_may_sign_where_the_request_allows_it() -> None:
    for missing, action in [({AGENT}, Action.CREATE), ({AGENT, BOB}, Action.PARKED)]:
        stage = Stage(missing=missing).put("a", Absent(), steps=(signed_step(others=(BOB,)),))
        assert stage.plan()["a"].action is action


def test_a_step_that_would_lock_somebody_out_is_blocked_unless_that_is_accepted() -> None:
    step = Step("patch", HttpRequest("PATCH", ("x",)), keys=(AGENT,), otherwise="the agent is locked out")
    stage = Stage(missing={AGENT}).put("a", Present("y"), steps=(step,))
    change = stage.plan()["a"]
    assert change.action is Action.BLOCKED
    assert change.reason == "the agent is locked out; pass --allow-token-loss to do it all the same"
    assert stage.plan(allow_token_loss=True)["a"].action is Action.UPDATE
    stage.missing.clear()
    assert stage.plan()["a"].action is Action.UPDATE


# --- what spreads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "missing", "spread"),
    [(Unreadable("no answer"), set(), Action.BLOCKED), (Absent(), {MACHINE}, Action.PARKED)],
)
@pytest.mark.parametrize("strength", [Strength.HARD, Strength.RIDES])
def test_stuck_spreads_down_the_line(
    seen: Observation[Any], missing: set[Signer], spread: Action, strength: Strength
) -> None:
    stage = Stage(missing=missing).put("a", seen, steps=(chain_step(MACHINE),))
    stage.put("b", Absent(), needs=(need("a", strength),)).put("c", Present("y"), needs=(need("b"),))
    stage.put("far", Absent()).put("equal", Present("x"), needs=(need("a"),))
    plan = stage.plan()
    assert (plan["b"].action, plan["c"].action) == (spread, spread)
    assert plan["b"].reason == f"waits for thing/a, which is {spread}"
    assert plan["c"].reason == f"waits for thing/b, which is {spread}"
    assert (plan["far"].action, plan["equal"].action) == (Action.CREATE, Action.NO_OP)


def test_a_soft_need_holds_nothing_up_but_comes_first() -> None:
    stage = Stage().put("b", Absent(), needs=(need("a", Strength.SOFT),)).put("a", Unreadable("no answer"))
    plan = build_plan(stage.scene())
    assert [change.address.name for change in plan.changes] == ["a", "b"]
    assert plan.changes[1].action is Action.CREATE


def test_blocked_outweighs_parked() -> None:
    stage = Stage(missing={MACHINE}).put("p", Absent(), steps=(chain_step(MACHINE),)).put("b", Unreadable("no answer"))
    assert stage.put("c", Absent(), needs=(need("p"), need("b"))).plan()["c"].action is Action.BLOCKED


def test_a_cycle_is_an_error() -> None:
    stage = Stage().put("a", Absent(), needs=(need("b"),)).put("b", Absent(), needs=(need("a"),))
    with pytest.raises(PlanError, match="thing/a"):
        build_plan(stage.scene())


# --- triggers ---------------------------------------------------------------------------------------------------------


def rotating(seen: str, token: str, **more: Any) -> Stage:
    step = Step("patch", HttpRequest("PATCH", ("x",)), rotates=True)
    stage = Stage().put("a", Present(seen), steps=(step,))
    return stage.put("token", Present(token), value=token, needs=(need("a", triggers=True),), **more)


def test_a_rotating_step_triggers_what_hangs_on_it() -> None:
    change = rotating("y", "t", steps=(signed_step(rotates=True),)).plan()["token"]
    assert (change.action, change.reason, len(change.steps)) == (Action.UPDATE, "it was triggered", 1)
    assert change.rotates


def test_nothing_is_triggered_where_nothing_changes_or_the_kind_declines() -> None:
    assert rotating("x", "t").plan()["token"].action is Action.NO_OP
    assert rotating("y", "asleep").plan()["token"].action is Action.NO_OP


def test_a_triggered_change_without_its_key_is_parked() -> None:
    stage = rotating("y", "t", steps=(signed_step(),))
    stage.missing.add(AGENT)
    assert stage.plan()["token"].action is Action.PARKED


# --- what is bound ----------------------------------------------------------------------------------------------------


def test_outputs_of_what_is_there_are_bound_before_the_diff() -> None:
    stage = Stage().put("a", Present("x")).put("b", Present("x"), value=Output(at("a"), "value"))
    scene = stage.scene()
    plan = build_plan(scene)
    assert {change.action for change in plan.changes} == {Action.NO_OP}
    # Nothing is done with them, so they are the manifest's own until somebody asks.
    assert all(change.resource in scene.resources for change in plan.changes)
    assert [change.resource.spec.value for change in spelled_out(plan, scene).changes] == ["x", "x"]  # type: ignore[attr-defined]


def test_outputs_of_what_is_to_come_stay_open() -> None:
    stage = Stage().put("a", Absent()).put("b", Absent(), value=Output(at("a"), "value"), needs=(need("a"),))
    change = stage.plan()["b"]
    assert change.action is Action.CREATE
    assert not is_bound(change.steps)


@pytest.mark.parametrize("missing", [set(), {MACHINE}])
def test_outputs_that_will_not_come_are_never(missing: set[Signer]) -> None:
    refusal = "" if missing else "no"
    stage = Stage(missing=missing).put("a", Absent(), refusal=refusal, steps=(chain_step(MACHINE),))
    stage.put("b", Absent(), value=Output(at("a"), "value"), needs=(need("a", Strength.SOFT),))
    assert stage.plan()["b"].resource.spec.value is NEVER  # type: ignore[attr-defined]


def test_nobody_is_asked_for_the_key_of_never() -> None:
    stage = Stage().put("a", Absent(), refusal="no")
    stage.put("b", Absent(), value=Output(at("a"), "value"), needs=(need("a"),), steps=(chain_step(NEVER),))
    change = stage.plan()["b"]
    assert (change.action, change.reason) == (Action.BLOCKED, "waits for thing/a, which is blocked")


def test_a_burden_is_what_a_wallet_pays_in_this_plan() -> None:
    stage = Stage().put("w", Absent(), value=Burden(str(MACHINE)))
    stage.put("a", Absent(), steps=(chain_step(MACHINE, deposit=50, gas=7, value=1000),))
    stage.put("b", Absent(), steps=(chain_step(MACHINE, gas=3), chain_step(BOB, gas=900)))
    stage.put("equal", Present("x"), steps=(chain_step(MACHINE, deposit=10**6),))
    stage.put("blocked", Unreadable("no answer"), steps=(chain_step(MACHINE, deposit=10**6),))
    assert stage.plan(gas_price=10)["w"].resource.spec.value == 50 + 100  # type: ignore[attr-defined]


# --- digest -----------------------------------------------------------------------------------------------------------


def varied() -> Stage:
    stage = Stage().put("a", Absent(), steps=(chain_step(value=3),)).put("b", Absent(), needs=(need("a"),))
    stage.put("c", Present("y"), value={"k": (1, 2)}).put("d", Present("x")).put("e", Unreadable("no answer"))
    return stage.put("f", Absent(), needs=(need("e"),))


def test_the_digest_does_not_hang_on_the_order() -> None:
    stage, digests = varied(), set()
    for seed in range(5):
        random.Random(seed).shuffle(stage.resources)
        digests.add(build_plan(stage.scene()).digest)
    assert len(digests) == 1


def test_the_digest_tells_different_plans_apart() -> None:
    plans = [
        varied(),
        varied().put("g", Absent()),
        varied().put("g", Present("z")),
        varied().put("g", Absent(), steps=(chain_step(value=1),)),
        varied().put("g", Absent(), steps=(chain_step(value=2),)),
        varied().put("g", Absent(), steps=(chain_step(args=(b"x",)),)),
    ]
    assert len({build_plan(stage.scene()).digest for stage in plans}) == len(plans)


def test_a_plan_is_plain_data() -> None:
    assert plain({"a": (b"\x01", Action.CREATE, at("x"), None, 1.5)}) == {
        "a": ["0x01", "create", {"kind": "thing", "name": "x"}, None, 1.5]
    }


# --- cost and guards --------------------------------------------------------------------------------------------------


def priced() -> Plan:
    stage = Stage().put("a", Absent(), steps=(chain_step(value=1000, gas=10, purpose="bond"),))
    stage.put("b", Absent(), steps=(Step("pay", ChainGroup((ChainCall(BOB, "0xAA", value=60, gas=0),))),))
    stage.put("c", Absent(), steps=(chain_step(MACHINE, deposit=50, gas=1),))
    stage.put("no", Unreadable("no answer"), steps=(chain_step(value=10**9),))
    return build_plan(stage.scene(gas_price=2))


def test_only_what_acts_costs() -> None:
    assert priced().costs() == {BOB: Cost(bond=1000, transfer=60, gas=20), MACHINE: Cost(deposit=50, gas=2)}


ACCOUNTS = {BOB: "0xbb", MACHINE: "0xaa"}


@pytest.mark.parametrize(
    ("balances", "short"),
    [
        ({BOB: 1080, MACHINE: 0}, []),  # what BOB sends covers the machine
        ({BOB: 1079, MACHINE: 0}, ["operator/bob"]),
        ({BOB: 0, MACHINE: 10**6}, ["operator/bob"]),
        ({}, []),
    ],
)
def test_balances_are_checked_with_what_comes_in(balances: dict[Signer, int], short: list[str]) -> None:
    found = refusals(priced(), Guards(), balances, ACCOUNTS)
    assert [refusal.code for refusal in found] == ["guard.balance"] * len(short)
    assert all(name in refusal.message for name, refusal in zip(short, found, strict=True))


def test_a_machine_that_gets_too_little_is_told() -> None:
    plan = priced()
    poor = Plan(tuple(change for change in plan.changes if change.address.name != "b"), plan.gas_price)
    (refusal,) = refusals(poor, Guards(), {BOB: 10**6, MACHINE: 51}, ACCOUNTS)
    assert "machine/m (0xaa)" in refusal.message
    assert refusal.hint.startswith("send at least")


@pytest.mark.parametrize(("limit", "refused"), [(1080, False), (1079, True), (None, False)])
def test_the_spending_limit(limit: int | None, refused: bool) -> None:
    guards = Guards().model_copy(update={"max_spend": limit})
    found = refusals(priced(), guards, {}, ACCOUNTS)
    assert [refusal.code for refusal in found] == (["guard.max_spend"] if refused else [])


def test_machines_that_pay_for_themselves_count_against_the_limit() -> None:
    stage = Stage().put("c", Absent(), steps=(chain_step(MACHINE, deposit=50),))
    guards = Guards().model_copy(update={"max_spend": 49})
    found = refusals(build_plan(stage.scene()), guards, {}, ACCOUNTS)
    assert [refusal.code for refusal in found] == ["guard.max_spend"]


def test_a_plan_counts_and_marks() -> None:
    stage = Stage().put("a", Absent(), steps=(replace(chain_step(), irreversible=True),)).put("b", Absent())
    plan = build_plan(stage.scene())
    assert plan.count(Action.CREATE) == 2
    assert plan.count(Action.CREATE, Action.DELETE) == 2
    assert [change.irreversible for change in plan.changes] == [True, False]
