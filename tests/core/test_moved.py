"""Who moved, the manifest or the world: told from what is declared, what was recorded and what is there."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

import pytest

from reconciler.core.address import Address, Output
from reconciler.core.change import FieldChange
from reconciler.core.diff import compare
from reconciler.core.effects import HttpRequest, Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind, Need, Resource, Strength
from reconciler.core.moved import Applied, Moved, Movement, counted, movements, together
from reconciler.core.observation import Absent, Observation, Present, Unreadable
from reconciler.core.plan import Scene, build_plan
from reconciler.core.ports import Reader
from reconciler.core.value import Value, replace

MANIFEST, WORLD, BOTH, UNKNOWN = Moved.MANIFEST, Moved.WORLD, Moved.BOTH, Moved.UNKNOWN
A, B = Address("thing", "a"), Address("thing", "b")
GONE = None


class Spec(Value):
    address: Address
    fields: Mapping[str, Any] = field(default_factory=dict)
    account: str = "0xa"
    needs: tuple[Need, ...] = ()
    wanted: bool = True


class Thing(Kind[Spec, Mapping[str, Any]]):
    """Its state is a few fields."""

    name = "thing"

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        return ()

    def needs(self, spec: Spec) -> Iterable[Need]:
        return spec.needs

    async def observe(self, spec: Spec, read: Reader) -> Observation[Mapping[str, Any]]:
        raise NotImplementedError

    def wanted(self, spec: Spec) -> bool:
        return spec.wanted

    def diff(self, spec: Spec, state: Mapping[str, Any]) -> tuple[FieldChange, ...]:
        removed = (FieldChange(k, state[k], None) for k, v in spec.fields.items() if v is None and state.get(k))
        return (*compare(spec.fields, state), *removed)

    def steps(self, spec: Spec, state: Any, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        return (Step("set", HttpRequest("PUT", (spec.address.name,)), rotates=True),)

    def triggered(self, spec: Spec) -> tuple[FieldChange, ...]:
        return (FieldChange("token", "old", "new"),)

    def declared(self, spec: Spec) -> Mapping[str, object]:
        return spec.fields

    def subject(self, spec: Spec) -> str:
        return spec.account


def thing(fields: Mapping[str, Any], address: Address = A, **more: Any) -> Resource:
    return Resource(Thing(), Spec(address, fields, **more))


def seen(state: Mapping[str, Any] | None) -> Observation[Mapping[str, Any]]:
    return Absent() if state is None else Present(state)


def told(
    *found: tuple[Resource, Observation[Any]], records: Iterable[Resource] = (), others: bool = True
) -> dict[Address, Movement]:
    """`others`: something else is recorded too."""
    scene = Scene(tuple(resource for resource, _ in found), {r.address: o for r, o in found}, lambda signer: True)
    known = {str(resource.address): Applied.of(resource).text() for resource in records}
    return movements(build_plan(scene), scene.observations, known | ({"thing/z": "{}"} if others else {}))


def test_a_field_by_what_was_recorded() -> None:
    table = [
        # recorded, declared, observed
        ("x", "x", "y", WORLD),
        ("y", "x", "y", MANIFEST),
        ("z", "x", "y", BOTH),
        (5, 5.0, 6, WORLD),
        (5.0, 6, 5, MANIFEST),
        (["p", "q"], ["q", "p"], ["r"], WORLD),
        (["p"], ["q", "r"], ["p"], MANIFEST),
        ("0x" + "aB" * 20, "0x" + "Ab" * 20, "y", WORLD),
        (None, None, "y", WORLD),
        ("y", None, "y", MANIFEST),
        ({"k": "1"}, {"k": "1"}, {"k": "2"}, WORLD),
        (("p",), ("p",), ["q"], WORLD),
    ]
    for recorded, declared, observed, expected in table:
        found = told((thing({"f": declared}), seen({"f": observed})), records=[thing({"f": recorded})])
        assert found[A] == Movement(expected, {"f": expected}), (recorded, declared, observed)


def test_a_field_that_was_not_declared_then_moved_in_the_manifest() -> None:
    found = told((thing({"f": "x", "g": "x"}), seen({"f": "x", "g": "y"})), records=[thing({"f": "x"})])
    assert found[A].fields == {"g": MANIFEST}


def test_without_a_record_nobody_can_tell() -> None:
    assert told((thing({"f": "x"}), seen({"f": "y"})))[A] == Movement(UNKNOWN, {"f": UNKNOWN})
    assert told((thing({"f": "x"}), seen(None)), others=False)[A].whole is UNKNOWN


@pytest.mark.parametrize(
    ("record", "whole"),
    [
        (None, MANIFEST),
        (thing({"f": "x"}), WORLD),
        (thing({"f": "y"}), BOTH),
        (thing({}), BOTH),
        (thing({"f": "x"}, account="0xb"), MANIFEST),
        (thing({"f": "x"}, wanted=False), MANIFEST),
    ],
)
def test_what_is_not_there(record: Resource | None, whole: Moved) -> None:
    found = told((thing({"f": "x"}), seen(None)), records=[record] if record else [])
    assert (found[A].whole, found[A].entire) == (whole, True)


@pytest.mark.parametrize(
    ("record", "whole"), [(None, UNKNOWN), (thing({"f": "x"}), MANIFEST), (thing({"f": "x"}, wanted=False), WORLD)]
)
def test_what_is_there_and_not_wanted(record: Resource | None, whole: Moved) -> None:
    unwanted = thing({"f": "x"}, wanted=False)
    found = told((unwanted, seen({"f": "x"})), records=[record] if record else [])
    assert (found[A].whole, found[A].entire) == (whole, True)


def test_another_account_under_the_same_name_is_the_manifests_doing() -> None:
    found = told((thing({"f": "x"}, account="0xb"), seen({"f": "y"})), records=[thing({"f": "x"})])
    assert found[A].whole is MANIFEST


def test_what_is_as_declared_or_unreadable_did_not_move() -> None:
    assert told((thing({"f": "x"}), seen({"f": "x"})), (thing({"f": "x"}, B), Unreadable("no answer"))) == {}


@pytest.mark.parametrize(("record", "whole"), [(None, MANIFEST), (thing({"f": "x"}), WORLD)])
def test_what_is_not_known_yet_moves_with_its_source(record: Resource | None, whole: Moved) -> None:
    later = thing({"g": Output(A, "id")}, B, needs=(Need(A),))
    records = [thing({"g": "1"}, B), *([record] if record else [])]
    found = told((thing({"f": "x"}), seen(None)), (later, seen({"g": "1"})), records=records)
    assert found[B].fields == {"g": whole}


def test_what_is_not_known_is_not_recorded() -> None:
    assert Applied.of(thing({"f": "x", "g": Output(B, "id")})).fields == {"f": "x"}


@pytest.mark.parametrize(("recorded", "whole"), [("x", WORLD), ("y", MANIFEST)])
def test_what_is_triggered_moves_with_its_trigger(recorded: str, whole: Moved) -> None:
    token = thing({"g": "1"}, B, needs=(Need(A, Strength.HARD, triggers=True),))
    found = told((thing({"f": "x"}), seen({"f": "y"})), (token, seen({"g": "1"})), records=[thing({"f": recorded})])
    assert found[B].fields == {"token": whole}


def test_a_record_reads_back_as_it_was_written() -> None:
    for resource in (thing({"f": ("ü", None, 5.0), "g": {"k": '"'}}), thing({}, wanted=False)):
        written = Applied.of(resource)
        assert Applied.read(written.text()) == written
        assert Applied.of(replace(resource)).text() == written.text()


def test_several_as_one() -> None:
    assert together([WORLD, WORLD]) is WORLD
    assert together([WORLD, MANIFEST]) is together([BOTH]) is together([BOTH, WORLD]) is BOTH
    assert together([]) is together([UNKNOWN, WORLD]) is UNKNOWN


def test_fields_are_counted_unless_the_whole_came_or_went() -> None:
    found = {A: Movement(BOTH, {"f": WORLD, "g": MANIFEST}), B: Movement(WORLD, {"f": WORLD}, entire=True)}
    assert counted(found)[WORLD] == {"field": 1, "resource": 1}
    assert counted(found)[MANIFEST] == {"field": 1}
