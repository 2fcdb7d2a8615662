"""The list of machine ids has 2,560 bytes, and whole fleets go into it."""

import json
import time

import pytest
from fakes import FakeWorld, Interpreter
from kinds_harness import ACCOUNTS, KINDS, fleet_of, observed

from reconciler.core.change import Action
from reconciler.core.effects import Signer
from reconciler.core.plan import Plan, PlannedChange, Scene, build_plan
from reconciler.core.value import replace

OPERATOR = ACCOUNTS["op"]
CAPACITY = 2560


def machine(number: int) -> str:
    return f"0x{0xF00000 + number:040x}"


FLEET = 'machineSets: [{from: {csv: machines.csv}, template: {name: "m{n}", address: "{a}", v1: {custody: none}}}]\n'


def table(count: int) -> str:
    return "n,a\n" + "".join(f"{n},{machine(n)}\n" for n in range(count))


def registered(count: int, first: int, published: str | None) -> FakeWorld:
    views: dict[str, object] = {f"identityRegistry.machineIdOfOwner({OPERATOR})": 10}
    for n in range(count):
        views[f"identityRegistry.machineIdOfOwner({machine(n)})"] = first + n
        views[f"identityRegistry.getVerificationInfo({first + n})"] = [machine(n), machine(n), True, 1]
        views[f"identityRegistry.operatorOf({first + n})"] = OPERATOR
        views[f"machineNft.tokenIdOf({first + n})"] = 1
    views["machineNft.ownerOf(1)"] = OPERATOR
    attributes = {"machineId": "10"} | ({} if published is None else {"machines": published})
    return FakeWorld(views=views, attributes={OPERATOR: attributes})


def plan_of(count: int, world: FakeWorld) -> Plan:
    _, resources = fleet_of(FLEET, table(count))
    return build_plan(Scene(resources, observed(resources, world), lambda signer: True))


def publication(plan: Plan) -> PlannedChange:
    return next(change for change in plan.changes if change.address.kind == "operator_did")


def publish(world: FakeWorld, change: PlannedChange) -> list[int]:
    def account(signer: Signer) -> str:
        assert signer == Signer("operator", "default")
        return OPERATOR

    for step in change.steps:
        Interpreter(world, account).perform(step.effect)
    text = world.attributes[OPERATOR]["machines"]
    assert len(text) <= CAPACITY
    listed: list[int] = json.loads(text)
    return listed


@pytest.mark.parametrize(
    ("count", "first", "fits"),
    [(512, 100, 512), (640, 100, 639), (400, 100000, 365)],
)
def test_as_many_as_fit_in_manifest_order_and_then_converged(count: int, first: int, fits: int) -> None:
    world = registered(count, first, None)
    change = publication(plan_of(count, world))
    assert change.action is Action.UPDATE
    left_out = f"{count - fits} machine ids left out: the 2,560 bytes of the attribute are full" if count > fits else ""
    assert change.reason == left_out
    assert publish(world, change) == list(range(first, first + fits))
    again = publication(plan_of(count, world))
    assert again.action is Action.NO_OP
    assert again.reason == (left_out or f"{fits} machine ids published")


def test_spaces_are_given_up_only_where_room_is_short() -> None:
    world = registered(512, 100, None)
    publish(world, publication(plan_of(512, world)))
    assert ", " in world.attributes[OPERATOR]["machines"]
    world = registered(513, 100, None)
    publish(world, publication(plan_of(513, world)))
    assert ", " not in world.attributes[OPERATOR]["machines"]


def test_foreign_ids_keep_their_place_and_ours_fill_the_rest() -> None:
    foreign = list(range(5000, 5400))
    world = registered(200, 1000, json.dumps(foreign))
    change = publication(plan_of(200, world))
    listed = publish(world, change)
    assert listed[:400] == foreign
    assert listed[400:] == list(range(1000, 1111))
    assert change.reason.startswith("89 machine ids left out")
    assert publication(plan_of(200, world)).action is Action.NO_OP


def test_ours_that_are_published_already_are_not_pushed_out() -> None:
    world = registered(600, 1000, json.dumps(list(range(1400, 1600))))
    listed = publish(world, publication(plan_of(600, world)))
    assert listed[:200] == list(range(1400, 1600))
    assert listed[200:] == list(range(1000, 1311))
    assert publication(plan_of(600, world)).action is Action.NO_OP


def test_a_full_list_of_others_is_left_alone() -> None:
    full = json.dumps(list(range(100, 739)), separators=(",", ":"))
    world = registered(3, 1000, full)
    change = publication(plan_of(3, world))
    assert change.action is Action.NO_OP
    assert change.reason.startswith("3 machine ids left out")


def test_ids_to_come_are_counted_with_room_to_spare() -> None:
    change = publication(plan_of(1000, FakeWorld(views={f"identityRegistry.machineIdOfOwner({OPERATOR})": 10})))
    assert change.action is Action.CREATE
    left_out = next(field.note for field in change.fields if field.field == "machines")
    assert left_out.startswith("681 machine ids left out")  # 319 ids of seven digits fit


@pytest.mark.parametrize(("count", "told"), [(100, False), (101, True), (250, True)])
def test_more_machines_than_the_window_are_told(count: int, told: bool) -> None:
    fleet, _ = fleet_of(FLEET, table(count))
    notices = [notice for kind in KINDS.values() for notice in kind.notices(fleet)]
    assert bool(notices) is told
    assert all(f"{count - 100} will not appear" in notice for notice in notices)


def test_nothing_is_published_where_that_is_not_wanted() -> None:
    fleet, resources = fleet_of("v1: {publishFleet: false}\n" + FLEET, table(101))
    assert not [resource for resource in resources if resource.address.kind == "operator_did"]
    assert not [notice for kind in KINDS.values() for notice in kind.notices(fleet)]


def test_thousands_are_merged_in_no_time() -> None:
    kind = KINDS["operator_did"]
    _, resources = fleet_of(FLEET, table(3))
    spec = next(resource.spec for resource in resources if resource.kind is kind)
    many = replace(spec, machine_id="10", machines=tuple(map(str, range(1000, 21000))))
    state = type("State", (), {"machine_id": "10", "machines": None, "left": frozenset()})()
    started = time.process_time()
    assert kind.diff(many, state)
    assert time.process_time() - started < 2
