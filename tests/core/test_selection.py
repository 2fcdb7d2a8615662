"""What --only and --skip choose, what comes along, and that nothing is ever changed or removed for being left out."""

import random
from collections.abc import Sequence

import pytest
from test_plan import Stage, Thing, at, need, signed_step

from reconciler.core.change import Action
from reconciler.core.errors import ConfigError
from reconciler.core.ignoring import Ignoring
from reconciler.core.kind import Resource, Strength
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.plan import build_plan
from reconciler.core.selection import ONLY, SKIP, Scope, Selection, Subject, parse, scope

AIR = Subject("machine_record", "air-1", {"site": "berlin", "tier": "prod"}, ("sites/berlin.yaml",))
SEA = Subject("machine_did", "sea-1", {"site": "hamburg"}, ("fleet.yaml", "sensors.csv"))
BOSS = Subject("operator_did")


def selection(only: Sequence[str] = (), skip: Sequence[str] = ()) -> Selection:
    return Selection(tuple(t for text in only for t in parse(text)), tuple(parse(text) for text in skip))


@pytest.mark.parametrize(
    ("only", "skip", "chosen"),
    [
        ((), (), (AIR, SEA, BOSS)),
        (("air-1",), (), (AIR,)),
        (("machine=*-1",), (), (AIR, SEA)),
        (("air-1,sea-1",), (), (AIR, SEA)),
        (("air-1", "sea-1"), (), (AIR, SEA)),
        (("machine=*", "kind=machine_did"), (), (SEA,)),
        (("kind=machine_did", "kind=operator_*"), (), (SEA, BOSS)),
        (("label=site=berlin",), (), (AIR,)),
        (("label=site=*",), (), (AIR, SEA)),
        (("label=tier",), (), (AIR,)),
        (("label=site=berlin", "label=site=hamburg"), (), (AIR, SEA)),
        (("label=site=*", "label=tier=prod"), (), (AIR,)),
        (("file=sites/*",), (), (AIR,)),
        (("file=*.csv",), (), (SEA,)),
        ((), ("air-1",), (SEA, BOSS)),
        ((), ("machine=*-1",), (BOSS,)),
        ((), ("machine=*,kind=machine_did",), (AIR, BOSS)),
        ((), ("kind=machine_did", "air-1"), (BOSS,)),
        (("air-1", "sea-1"), ("label=site=berlin",), (SEA,)),
        (("air-1",), ("machine=*,kind=machine_did",), (AIR,)),
    ],
)
def test_what_is_chosen(only: Sequence[str], skip: Sequence[str], chosen: Sequence[Subject]) -> None:
    found = selection(only, skip)
    assert tuple(subject for subject in (AIR, SEA, BOSS) if not found.refused(subject)) == tuple(chosen)
    found.check((AIR, SEA, BOSS))


@pytest.mark.parametrize(
    ("only", "skip", "said", "hint"),
    [
        (("air-2",), (), "--only machine=air-2 matches nothing", "did you mean `air-1`?"),
        (("kind=machine_recrd",), (), "--only kind=machine_recrd matches nothing", "did you mean `machine_record`?"),
        (("label=site=berlim",), (), "--only label=site=berlim matches nothing", "did you mean `berlin`?"),
        (("label=sit=berlin",), (), "--only label=sit=berlin matches nothing", "did you mean `label=site`?"),
        (("file=nowhere/*",), (), "--only file=nowhere/* matches nothing", "there are these files: fleet.yaml"),
        ((), ("zzz",), "--skip machine=zzz matches nothing", "there are these machines: air-1, sea-1"),
        (("air-1", "kind=machine_did"), (), "nothing in the manifest matches all of --only", "must all hold"),
        (("air-1",), ("air-1",), "leave nothing", "take one of them away"),
    ],
)
def test_what_names_nothing_is_a_mistake(only: Sequence[str], skip: Sequence[str], said: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        selection(only, skip).check((AIR, SEA, BOSS))
    assert said in str(error.value)
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("knd=machine_did", "unknown key `knd`; did you mean `kind`?"),
        ("zzz=1", "unknown key `zzz`; known here: `machine`"),
        ("", "names nothing"),
        ("air-1,", "names nothing"),
        ("label==x", "names nothing"),
        ("kind=", "names nothing"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"names nothing|unknown key") as error:
        parse(text)
    assert said in str(error.value)


# --- what comes along, and what is only looked at ---------------------------------------------------------------------


def choose(stage: Stage, only: Sequence[str] = (), skip: Sequence[str] = ()) -> Scope:
    """Here the things themselves are what `machine` names."""
    found = scope(selection(only, skip), stage.resources, lambda r: Subject("thing", r.address.name))
    looked_at = {resource.address for resource in (*found.planned, *found.watched)}
    stage.resources = [*found.planned, *found.watched]
    stage.observations = {a: seen for a, seen in stage.observations.items() if a in looked_at}
    return found


def names(resources: Sequence[Resource]) -> set[str]:
    return {resource.address.name for resource in resources}


def chain() -> Stage:
    """c needs b needs a; d softly needs c; e is for itself."""
    stage = Stage().put("a", Absent()).put("b", Absent(), needs=(need("a"),)).put("c", Absent(), needs=(need("b"),))
    return stage.put("d", Absent(), needs=(need("c", Strength.SOFT),)).put("e", Absent())


def test_what_is_needed_comes_along_and_is_named() -> None:
    found = choose(chain(), only=("b",))
    assert names(found.planned) == {"a", "b"}
    assert found.taken_in == {at("a")}
    assert not found.watched
    assert found.left_out == {at(name): ONLY for name in "cde"}


def test_what_is_needed_softly_is_looked_at_and_left() -> None:
    stage = chain()
    found = choose(stage, only=("d",))
    assert names(found.planned) == {"d"}
    assert names(found.watched) == {"a", "b", "c"}
    plan = build_plan(stage.scene(left_out=found.left_out))
    assert [str(change.address) for change in plan.acting] == ["thing/d"]
    assert set(plan.left_out) == {at(name) for name in "abce"}


def test_what_needs_something_skipped_is_blocked_and_says_so() -> None:
    stage = chain()
    found = choose(stage, skip=("a",))
    changes = stage.plan(left_out=found.left_out)
    assert set(changes) == {"b", "c", "d", "e"}
    assert changes["b"].action is changes["c"].action is Action.BLOCKED
    assert changes["b"].reason == "needs thing/a, which is left out by --skip"
    assert changes["c"].reason == "waits for thing/b, which is blocked"
    assert changes["e"].action is changes["d"].action is Action.CREATE


def test_skipping_what_is_as_declared_blocks_nothing() -> None:
    stage = Stage().put("a", Present("x")).put("b", Absent(), needs=(need("a"),))
    found = choose(stage, skip=("a",))
    assert stage.plan(left_out=found.left_out)["b"].action is Action.CREATE


def test_what_a_change_sets_off_comes_along() -> None:
    ending = signed_step(rotates=True)
    stage = Stage().put("pairing", Present("old"), steps=(ending,))
    stage.put("token", Present("x"), needs=(need("pairing", triggers=True),))
    found = choose(stage, only=("pairing",))
    changes = stage.plan(left_out=found.left_out)
    assert {name: change.action for name, change in changes.items()} == {
        "pairing": Action.UPDATE,
        "token": Action.UPDATE,
    }


def test_what_would_end_a_session_waits_where_the_next_is_skipped() -> None:
    stage = Stage().put("pairing", Present("old"), steps=(signed_step(rotates=True),))
    stage.put("token", Present("x"), needs=(need("pairing", triggers=True),))
    found = choose(stage, skip=("token",))
    changes = stage.plan(left_out=found.left_out)
    assert changes["pairing"].action is Action.BLOCKED
    assert "would end the session of thing/token, which is left out by --skip" in changes["pairing"].reason
    assert stage.plan(left_out=found.left_out, allow_token_loss=True)["pairing"].action is Action.UPDATE


def test_what_is_left_out_and_unreadable_is_no_fault_of_the_chosen() -> None:
    stage = Stage().put("a", Unreadable("down")).put("b", Absent(), needs=(need("a", Strength.SOFT),))
    found = choose(stage, skip=("a",))
    (change,) = build_plan(stage.scene(left_out=found.left_out)).changes
    assert change.action is Action.CREATE


@pytest.mark.parametrize("seed", range(200))
def test_a_part_of_a_plan_is_a_part_of_the_whole_plan(seed: int) -> None:
    """Whatever is chosen: what acts would act in the same way if everything were chosen. So nothing is ever removed,
    changed or made because of a selection."""
    chance = random.Random(seed)
    stage = Stage()
    for number in range(chance.randrange(1, 9)):
        strengths = [need(f"n{n}", chance.choice(list(Strength))) for n in range(number) if chance.random() < 0.3]
        seen = chance.choice([Absent(), Present("x"), Present("old"), Unreadable("down")])
        stage.put(f"n{number}", seen, needs=tuple(strengths), wanted=chance.random() < 0.8)
    whole = stage.plan()
    some = [f"n{n}" for n in range(len(stage.resources)) if chance.random() < 0.4]
    found = choose(stage, *((some, ()) if chance.random() < 0.5 else ((), some)))
    part = stage.plan(left_out=found.left_out)
    for name, change in part.items():
        if change.action.acts:
            assert (change.action, change.steps) == (whole[name].action, whole[name].steps)
    assert not set(part) & {address.name for address in found.left_out}
    assert set(part) | {address.name for address in found.left_out} == set(whole)


# --- held back, and ignored -------------------------------------------------------------------------------------------


def test_what_is_held_is_shown_and_not_changed() -> None:
    stage = Stage().put("m1", Absent()).put("m1/inner", Present("old")).put("m1/fine", Present("x"))
    stage.put("m1/broken", Unreadable("down")).put("m1/refused", Present("y"), refusal="no").put("m2", Absent())
    changes = stage.plan(held={"m1": "suspended in the manifest"})
    assert {name: str(change.action) for name, change in changes.items()} == {
        "m1": "parked",
        "m1/inner": "parked",
        "m1/fine": "no-op",
        "m1/broken": "blocked",
        "m1/refused": "parked",
        "m2": "create",
    }
    assert changes["m1"].reason == "suspended in the manifest"
    assert changes["m1/inner"].fields


def test_what_is_ignored_is_no_difference() -> None:
    stage = Stage().put("m1", Present("old")).put("m2", Present("old")).put("m3", Absent())
    changes = stage.plan(ignoring=Ignoring((), {"m1": ("thing.val*",), "m3": ("thing.*",)}))
    assert changes["m1"].action is Action.NO_OP
    assert [change.field for change in changes["m1"].ignored] == ["value"]
    assert changes["m2"].action is Action.UPDATE
    assert changes["m3"].action is Action.CREATE


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("thing.value", "value", True),
        ("thing.value", "values", False),
        ("thing.policy", "policy.limit", True),
        ("*.value", "value", True),
        ("thing.*", "value", True),
        ("other.*", "value", False),
        ("value", "value", False),
    ],
)
def test_what_an_entry_covers(pattern: str, name: str, covered: bool) -> None:
    (resource,) = Stage().put("m1", Absent()).resources
    assert isinstance(resource.kind, Thing)
    assert Ignoring((pattern,)).covers(resource, name) is covered


def test_options_that_left_out() -> None:
    found = choose(chain(), only=("a", "e"), skip=("e",))
    assert found.left_out == {at("b"): ONLY, at("c"): ONLY, at("d"): ONLY, at("e"): SKIP}
