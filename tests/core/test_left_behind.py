"""What leaves a fleet leaves in order, unless it is protected, and never all at once by a slip of the pen."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from test_plan import Spec, Stage, Thing, at, chain_step

from reconciler.core.address import Address
from reconciler.core.change import Action, FieldChange
from reconciler.core.fleet import Fleet, Guards, Machine
from reconciler.core.graph import Needs
from reconciler.core.kind import Need, Resource, Strength
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.plan import Plan, build_plan
from reconciler.core.removals import removal_refusals
from reconciler.core.value import Value

ADDRESS = "0x" + "1" * 40


class First(Thing):
    """Its value names what waits for it."""

    name = "first"

    def precedes(self, spec: Spec) -> Iterable[Need]:
        yield spec.value


class Retiring(Thing):
    """Its difference takes it out of service."""

    def diff(self, spec: Spec, state: Any) -> tuple[FieldChange, ...]:
        return (FieldChange("status", state, "off", removes=True),)


def fleet(limit: int | str | None, machines: int = 1) -> Fleet:
    named = tuple(Machine(name=f"m{number}", address=ADDRESS) for number in range(machines))
    guards = Guards(max_removals=limit)
    bare = {"name": "test", "operators": {}, "guards": guards, "machines": named}
    return Fleet.model_construct(**bare)  # type: ignore[arg-type]


def leaving(deleted: int, kept: int = 0) -> Plan:
    stage = Stage()
    for number in range(deleted):
        stage.put(f"d{number}", Present("x"), wanted=False)
    for number in range(kept):
        stage.put(f"k{number}", Present("x"))
    return build_plan(stage.scene())


def first(stage: Stage, waits: str, strength: Strength, seen: Any) -> Stage:
    spec = Spec(Address("first", "f"), Need(at(waits), strength))
    stage.resources.append(Resource(First(), spec))
    stage.observations[spec.address] = seen
    return stage


def test_what_precedes_is_a_need_of_the_other() -> None:
    stage = first(Stage().put("a", Absent()), "a", Strength.SOFT, Absent())
    assert Needs(stage.scene().by_address)[at("a")] == (Need(Address("first", "f"), Strength.SOFT),)
    assert [str(change.address) for change in build_plan(stage.scene()).changes] == ["first/f", "thing/a"]


def test_what_precedes_somebody_who_is_not_there_holds_nothing_up() -> None:
    stage = first(Stage(), "a", Strength.HARD, Absent())
    assert Needs(stage.scene().by_address) == {Address("first", "f"): ()}


@pytest.mark.parametrize(("strength", "action"), [(Strength.HARD, Action.BLOCKED), (Strength.SOFT, Action.DELETE)])
def test_who_cannot_go_first_stops_those_that_wait(strength: Strength, action: Action) -> None:
    stage = first(Stage().put("a", Present("x"), wanted=False), "a", strength, Unreadable("no answer"))
    assert stage.plan()["a"].action is action


@pytest.mark.parametrize(
    ("spec", "action"),
    [
        ({"wanted": False}, Action.BLOCKED),
        ({"value": "!x"}, Action.BLOCKED),
        ({"value": "z"}, Action.UPDATE),
        ({"value": "y"}, Action.NO_OP),
    ],
)
def test_protection_stands_in_the_way_of_removals_only(spec: dict[str, Any], action: Action) -> None:
    change = Stage().put("a", Present("y"), **spec).plan(protected={at("a"): "take it out first"})["a"]
    assert change.action is action
    assert (change.reason == "take it out first") is (action is Action.BLOCKED)
    assert Stage().put("a", Present("y"), **spec).plan()["a"].action is not Action.BLOCKED


def test_protection_holds_against_deactivation() -> None:
    stage = Stage()
    stage.resources.append(Resource(Retiring(), Spec(at("a"))))
    stage.observations[at("a")] = Present("on")
    assert stage.plan()["a"].removes
    assert stage.plan(protected={at("a"): "no"})["a"].action is Action.BLOCKED


def test_a_removal_without_its_key_is_parked() -> None:
    step = chain_step()
    stage = Stage(missing={step.effect.signer}).put("a", Present("x"), wanted=False, steps=(step,))  # type: ignore[union-attr]
    assert stage.plan()["a"].action is Action.PARKED


class Case(Value):
    deleted: int
    kept: int
    limit: int | str | None
    refused: bool
    allowed: int | None = None
    machines: int = 1


@pytest.mark.parametrize(
    "case",
    [
        # A number is a number.
        Case(2, 0, 2, refused=False),
        Case(2, 98, 1, refused=True),
        Case(1, 0, 0, refused=True),
        # A share of what exists, rounded down, and one at least.
        Case(10, 90, "10%", refused=False),
        Case(11, 90, "10%", refused=True),
        Case(1, 4, "10%", refused=False),
        Case(2, 4, "10%", refused=True),
        Case(1, 99, "0%", refused=True),
        # Where nothing is said: few, or a small part.
        Case(3, 0, None, refused=False),
        Case(4, 5, None, refused=True),
        Case(30, 70, None, refused=False),
        Case(31, 69, None, refused=True),
        # A manifest that names nobody.
        Case(1, 99, None, refused=True, machines=0),
        Case(1, 99, 5, refused=True, machines=0),
        Case(1, 99, "50%", refused=True, machines=0),
        Case(0, 99, None, refused=False, machines=0),
        # What the user lets pass.
        Case(7, 0, 3, refused=False, allowed=7),
        Case(7, 0, 9, refused=True, allowed=6),
        Case(4, 5, None, refused=False, allowed=4),
        Case(5, 0, None, refused=False, allowed=5, machines=0),
    ],
)
def test_the_limit_of_removals(case: Case) -> None:
    plan = leaving(case.deleted, case.kept)
    found = removal_refusals(plan, fleet(case.limit, case.machines), case.allowed)
    assert [refusal.code for refusal in found] == ["guard.max_removals"] * case.refused


def test_a_refusal_names_the_numbers_and_the_flag_that_would_pass() -> None:
    plan = leaving(7, 13)
    (refusal,) = removal_refusals(plan, fleet(3), None)
    assert refusal.message.startswith("the plan removes, replaces or deactivates 7 of 20 resources (35 %)")
    assert refusal.message.endswith("guards.maxRemovals allows 3")
    assert "--max-removals 7" in refusal.hint
    assert not removal_refusals(plan, fleet(3), 7)


@pytest.mark.parametrize(
    ("limit", "words"),
    [("10%", "guards.maxRemovals allows 10%, which is 2"), (None, "6 are allowed: 3, or 30 % where that is more")],
)
def test_a_refusal_says_what_a_share_comes_to(limit: str | None, words: str) -> None:
    (refusal,) = removal_refusals(leaving(7, 13), fleet(limit), None)
    assert words in refusal.message


@pytest.mark.parametrize(("limit", "refused"), [(2, False), (1, True)])
def test_replacements_count_as_removals(limit: int, refused: bool) -> None:
    stage = Stage().put("a", Present("x"), wanted=False).put("b", Present("y"), value="!x").put("c", Absent())
    assert bool(removal_refusals(build_plan(stage.scene()), fleet(limit), None)) is refused


def test_unasked_for_limits_are_about_what_is_not_made_anew() -> None:
    stage = Stage()
    for number in range(9):
        stage.put(f"r{number}", Present("y"), value="!x")
    assert not removal_refusals(build_plan(stage.scene()), fleet(None), None)


@pytest.mark.parametrize("text", ["101%", "-1%", "ten%", "1.5%", "%"])
def test_a_share_is_a_whole_number_of_percent(text: str) -> None:
    make: Callable[..., Guards] = Guards
    with pytest.raises(ValueError, match="max_removals"):
        make(max_removals=text)


class Listing(Thing):
    """Its difference takes others off a list."""

    def diff(self, spec: Spec, state: Any) -> tuple[FieldChange, ...]:
        return (FieldChange("list", state, "[]", drops=int(state)),)


@pytest.mark.parametrize(("deleted", "dropped", "count"), [(0, 3, 0), (0, 4, 4), (3, 3, 0), (2, 5, 5), (5, 2, 5)])
def test_who_is_taken_off_a_list_counts_as_removed_and_once(deleted: int, dropped: int, count: int) -> None:
    stage = Stage()
    for number in range(deleted):
        stage.put(f"d{number}", Present("x"), wanted=False)
    spec = Spec(Address("listing", "l"))
    stage.resources.append(Resource(Listing(), spec))
    stage.observations[spec.address] = Present(str(dropped))
    found = removal_refusals(build_plan(stage.scene()), fleet(None), None)
    assert [f"deactivates {count} of" in refusal.message for refusal in found] == [True] * bool(count)


@pytest.mark.parametrize(("seen", "waits"), [(Present("x"), True), (Absent(), False)])
def test_who_leaves_for_anothers_sake_waits_for_all_of_that_other(seen: Any, waits: bool) -> None:
    """And so does what follows from the leaving, while there is anybody to leave."""
    stage = Stage().put("new", Unreadable("no answer")).put("list", Present("x"), value="y")
    spec = Spec(Address("first", "f"), Need(at("list"), Strength.SOFT), wanted=False)
    stage.resources.append(Resource(First(), spec, after="new"))
    stage.observations[spec.address] = seen
    changes = {str(change.address): change for change in build_plan(stage.scene()).changes}
    reason = "waits for thing/new, which is blocked"
    assert (changes["first/f"].reason == reason) is waits
    assert (changes["thing/list"].reason == reason) is waits
    assert (changes["thing/list"].action is Action.UPDATE) is not waits
