"""One run of a plan when the world moves under it: needs that vanish for a while, and what nobody thought of."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from reconciler.core.address import Address, Output
from reconciler.core.change import FieldChange
from reconciler.core.effects import HttpRequest, Step
from reconciler.core.fleet import Fleet
from reconciler.core.kind import Kind, Need, Resource
from reconciler.core.observation import Absent, Observation, Present
from reconciler.core.plan import Scene, build_plan
from reconciler.core.ports import Api, Chain, Journal, Json, Keyring, Label, Reader, Secrets, Sink
from reconciler.core.value import Value
from reconciler.engine.events import Stage
from reconciler.engine.execute import Execution, Outcome
from reconciler.engine.world import Settings, World

NEEDED, NEEDING, OTHER = (Address("thing", name) for name in ("needed", "needing", "other"))


class Spec(Value):
    address: Address
    value: Any
    needs: tuple[Need, ...] = ()


@dataclass
class Service:
    """Things by name. `hidden` is how often the needed one does not show any more; also the only reader."""

    things: dict[str, Any] = field(default_factory=dict)
    hidden: int = 0
    hides: int = 0
    """How often it is to hide, once it is there."""
    block: int = 0
    broken: str = ""
    snapshots: int = 0

    async def send(self, method: str, path: Sequence[str], body: Json | None) -> Json:
        assert body is not None
        self.things[path[0]] = body["value"]
        if path[0] == NEEDED.name:
            self.hidden = self.hides
        return {}

    def shows(self, name: str, asked_by: str) -> bool:
        if name == NEEDED.name and asked_by == "the one that needs it" and self.hidden:
            self.hidden -= 1
            return False
        return name in self.things


class Thing(Kind[Spec, Any]):
    name = "thing"

    def __init__(self, service: Service) -> None:
        self.service = service
        self.looks = 0

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        return ()

    def needs(self, spec: Spec) -> Iterable[Need]:
        return spec.needs

    async def observe(self, spec: Spec, read: Reader) -> Observation[Any]:
        name = spec.address.name
        if name == NEEDED.name and name in self.service.things:
            # First it reads itself back; only then do others look at it.
            self.looks += 1
        if not self.service.shows(name, "the one that needs it" if self.looks > 1 else "itself"):
            return Absent()
        return Present(self.service.things[name])

    def diff(self, spec: Spec, state: Any) -> tuple[FieldChange, ...]:
        return () if spec.value == state else (FieldChange("value", state, spec.value),)

    def steps(self, spec: Spec, state: Any, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        if spec.address.name == self.service.broken:
            raise ZeroDivisionError("nobody thought of this")
        return (Step("set", HttpRequest("PUT", (spec.address.name,), {"value": spec.value})),)

    def outputs(self, spec: Spec, state: Any) -> Mapping[str, object]:
        return {"value": state}


class Notes:
    """A journal that remembers nothing."""

    async def requested(self, label: Label, request: str) -> int:
        return 1

    async def answered(self, number: int, outcome: str) -> None:
        return None


class Hurry:
    """A clock that goes faster."""

    TIMES = 20

    def now(self) -> float:
        return time.monotonic() * self.TIMES

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.TIMES)


def outcomes(service: Service, prepare: Callable[[], None] = lambda: None) -> Mapping[Address, Outcome]:
    kind = Thing(service)
    specs = (
        Spec(NEEDED, "here"),
        Spec(NEEDING, Output(NEEDED, "value"), (Need(NEEDED),)),
        Spec(OTHER, "alone"),
    )
    resources = tuple(Resource(kind, spec) for spec in specs)

    async def snapshot(block: int) -> Reader:
        service.snapshots += 1
        return cast(Reader, service)

    async def run() -> Mapping[Address, Outcome]:
        world = World(
            cast(Chain, None),
            cast(Keyring, None),
            cast(Api, service),
            cast(Journal, Notes()),
            cast(Sink, None),
            cast(Secrets, None),
            Hurry(),
            snapshot,
            Settings(chain_id=1),
        )
        scene = Scene(resources, {spec.address: Absent() for spec in specs}, lambda signer: True)
        plan = build_plan(scene)
        prepare()
        return (await Execution(world, plan, scene).run()).outcomes

    return asyncio.run(run())


def test_what_a_reorganisation_took_away_is_waited_for() -> None:
    service = Service(hides=3)
    found = outcomes(service)
    assert {outcome.stage for outcome in found.values()} == {Stage.DONE}
    assert service.hidden == 0
    assert service.things[NEEDING.name] == "here"


def test_what_does_not_come_back_is_said_and_nothing_is_made_up() -> None:
    service = Service(hides=10**9)
    found = outcomes(service)
    assert found[NEEDING].stage is Stage.FAILED
    assert "no longer there" in found[NEEDING].reason
    assert NEEDING.name not in service.things
    assert found[OTHER].stage is Stage.DONE


def test_the_unforeseen_stops_one_resource_and_no_other() -> None:
    service = Service()

    def later_broken() -> None:
        service.broken = OTHER.name

    found = outcomes(service, later_broken)
    assert found[OTHER].stage is Stage.FAILED
    assert "ZeroDivisionError" in found[OTHER].reason
    assert found[NEEDED].stage is found[NEEDING].stage is Stage.DONE


def test_what_needs_a_thing_goes_on_with_the_look_that_found_it() -> None:
    service = Service()
    outcomes(service)
    # Before anything is done, and once after each of the two things that follow one another.
    assert service.snapshots == 3
