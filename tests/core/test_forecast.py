"""How many blocks an apply will take: waves by depth of need, and their blocks as real applies had them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from reconciler.core.address import Address
from reconciler.core.change import Action, FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Effect, HttpRequest, Signer, Step
from reconciler.core.fleet import Fleet
from reconciler.core.graph import Needs
from reconciler.core.kind import Kind, Need, Resource, Strength
from reconciler.core.observation import Absent
from reconciler.core.plan import PlannedChange
from reconciler.core.ports import Label, Reader
from reconciler.engine.events import Event
from reconciler.engine.forecast import Forecast, Place, in_blocks, places

BLOCK = 15_000_000
BOB = Signer("operator", "bob")


@dataclass(frozen=True)
class Spec:
    address: Address
    needs: tuple[Need, ...] = ()


class Thing(Kind[Spec, None]):
    """A kind of which only the needs are asked for."""

    name = "thing"

    def needs(self, spec: Spec) -> tuple[Need, ...]:
        return spec.needs

    def expand(self, fleet: Fleet) -> tuple[Spec, ...]:
        return ()

    async def observe(self, spec: Spec, read: Reader) -> Absent:
        return Absent()

    def diff(self, spec: Spec, state: None) -> tuple[FieldChange, ...]:
        return ()

    def steps(self, spec: Spec, state: None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        return ()


@dataclass
class Steps:
    """A plan under construction: what each thing needs, and so many transactions of it."""

    changes: list[PlannedChange] = field(default_factory=list)

    def put(self, name: str, *needs: str, transactions: int = 1, strength: Strength = Strength.HARD) -> "Steps":
        wanted = tuple(Need(Address("thing", need), strength) for need in needs)
        calls = [ChainGroup((ChainCall(BOB, "registry", "f()", gas=100 + n),)) for n in range(transactions)]
        effects: Sequence[Effect] = calls or [HttpRequest("PUT", ("x",))]
        steps = tuple(Step(f"step {n}", effect) for n, effect in enumerate(effects))
        resource = Resource(Thing(), Spec(Address("thing", name), wanted))
        self.changes.append(PlannedChange(resource, Action.CREATE, steps=steps))
        return self

    def waves(self, riding: Mapping[str, str] | None = None) -> dict[str, list[int]]:
        """By thing: the waves of its steps."""
        by_name = {change.address.name: change for change in self.changes}
        riders = {Address("thing", host): [by_name[rider]] for rider, host in (riding or {}).items()}
        found = places(self.changes, Needs({change.address: change.resource for change in self.changes}), riders)
        return {
            name: [place.wave for label, place in found.items() if label.address == f"thing/{name}"] for name in by_name
        }


def test_a_wave_is_a_depth_of_transactions() -> None:
    steps = Steps().put("identity").put("nft", "identity").put("other").put("did", "nft", "other")
    assert steps.waves() == {"identity": [1], "nft": [2], "other": [1], "did": [3]}


def test_requests_are_no_wave_and_pass_on_what_they_wait_for() -> None:
    steps = Steps().put("identity").put("record", "identity", transactions=0).put("late", "record")
    assert steps.waves() == {"identity": [1], "record": [], "late": [2]}


def test_steps_of_one_resource_follow_each_other() -> None:
    steps = Steps().put("twice", transactions=2).put("after", "twice", strength=Strength.SOFT)
    assert steps.waves() == {"twice": [1, 2], "after": [3]}


def test_what_rides_is_in_the_wave_of_what_it_rides_on() -> None:
    steps = Steps().put("operator").put("identity", "operator").put("funding", "identity", strength=Strength.RIDES)
    assert steps.waves({"funding": "identity"}) == {"operator": [1], "identity": [2], "funding": [2]}
    assert steps.waves() == {"operator": [1], "identity": [2], "funding": [3]}


def test_what_stays_as_it_is_is_not_waited_for() -> None:
    assert Steps().put("did", "an identity that is there").waves() == {"did": [1]}


@dataclass
class Told:
    """A forecast of one wave after another, and what it says. `steps` is how many each wave has, of so much gas."""

    steps: list[tuple[int, int]]
    pace: float = 0.0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        found = {
            Label(f"wave_{wave}/{n}", "do"): Place(wave, gas)
            for wave, (count, gas) in enumerate(self.steps, 1)
            for n in range(count)
        }
        self.forecast = Forecast(found, self._hear, lambda: self.pace)

    def _hear(self, event: Event) -> None:
        self.said.append(event.text)

    def labels(self, wave: int, first: int, last: int) -> list[Label]:
        return [Label(f"wave_{wave}/{n}", "do") for n in range(first, last)]

    def signed(self, wave: int, first: int, last: int, estimate: int) -> None:
        guess = (last - first) * self.steps[wave - 1][1]
        self.forecast.signed(self.labels(wave, first, last), guess, estimate, BLOCK)


# What the node said of a transaction, and the blocks that held those of the wave: applies with a block each second.
REAL = [
    pytest.param(10, 290_000, 10, 1_863_065, 1, id="10 registrations with funding"),
    pytest.param(50, 290_000, 11, 2_043_750, 1, id="50 registrations with funding"),
    pytest.param(50, 250_000, 13, 1_472_832, 1, id="50 mints"),
    pytest.param(10, 1_000_000, 1, 713_430, 1, id="10 machines' attributes"),
    pytest.param(50, 1_000_000, 1, 713_454, 3, id="50 machines' attributes"),
    pytest.param(150, 1_000_000, 1, 713_454, 8, id="150 machines' attributes"),
]


@pytest.mark.parametrize(("steps", "guess", "packed", "estimate", "blocks"), REAL)
def test_the_first_transaction_tells_how_many_blocks_a_wave_takes(
    steps: int, guess: int, packed: int, estimate: int, blocks: int
) -> None:
    told = Told([(steps, guess)], pace=6)
    told.signed(1, 0, packed, estimate)
    assert told.said == [f"1 of 1: {steps} wave_1, about {in_blocks(blocks, 6)}"]


def test_what_is_left_is_told_as_it_changes() -> None:
    told = Told([(50, 1_000_000)])
    for n in range(50):
        told.signed(1, n, n + 1, 713_454)
    told.pace = 6
    for first in (0, 20, 40):
        told.forecast.ended(told.labels(1, first, first + 20))
    begun, *left = told.said
    assert begun == "1 of 1: 50 wave_1, about 3 blocks"
    assert left == ["1 of 1: 2 blocks, 12 s left", "1 of 1: 1 block, 6 s left", "1 of 1: all in blocks"]


def test_a_wave_that_begins_early_waits_for_what_is_left_of_those_before() -> None:
    told = Told([(60, 1_000_000), (60, 1_000_000)], pace=6)
    told.signed(1, 0, 1, 713_454)
    told.forecast.ended(told.labels(1, 0, 20))
    told.signed(2, 0, 1, 713_454)
    assert told.said[0] == "1 of 2: 60 wave_1, about 3 blocks, 18 s"
    assert told.said[-1] == "2 of 2: 60 wave_2, about 5 blocks, 30 s"


def test_what_dearer_transactions_ask_is_learned() -> None:
    told = Told([(100, 100_000)])
    told.signed(1, 0, 1, 100_000)
    told.signed(1, 1, 2, 1_300_000)
    told.forecast.ended(told.labels(1, 0, 1))
    assert told.said == ["1 of 1: 100 wave_1, about 1 block", "1 of 1: 5 blocks left"]


def test_what_never_comes_is_not_left() -> None:
    told = Told([(2, 100_000), (1, 100_000)])
    told.signed(1, 0, 1, 90_000)
    told.forecast.ended([*told.labels(1, 0, 2), *told.labels(1, 0, 2), Label("nobody/x", "knows")])
    told.signed(2, 0, 1, 90_000)
    assert told.said[-1] == "2 of 2: 1 wave_2, about 1 block"


@pytest.mark.parametrize(
    ("blocks", "pace", "text"),
    [(1, 0.0, "1 block"), (9, 6.0, "9 blocks, 54 s"), (2, 0.5, "2 blocks, 1 s"), (300, 6.0, "300 blocks, 30 min")],
)
def test_blocks_and_how_long_they_take(blocks: int, pace: float, text: str) -> None:
    assert in_blocks(blocks, pace) == text
