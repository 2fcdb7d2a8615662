"""Looking at the world slice by slice: what is about one machine together, and never all at once."""

import asyncio
from collections.abc import Iterable
from typing import Any

from reconciler.core.address import Address
from reconciler.core.change import FieldChange
from reconciler.core.effects import Step
from reconciler.core.errors import Unreachable
from reconciler.core.fleet import Fleet, Machine
from reconciler.core.kind import Kind, Resource, Search
from reconciler.core.observation import Observation, Present
from reconciler.core.value import Value
from reconciler.engine.survey import SLICE, SLICES_AT_ONCE, Quest, look_around

MACHINES = 2 * SLICE
ACCOUNT = "0x" + "1" * 40


class Spec(Value):
    address: Address


class Counted(Kind[Spec, str]):
    """Remembers how much was looked at together at most, and with what."""

    name = "counted"

    def __init__(self) -> None:
        self.now: list[str] = []
        self.most = 0
        self.seen_with: dict[str, set[str]] = {}

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        return ()

    async def observe(self, spec: Spec, read: Any) -> Observation[str]:
        await self.look(spec.address.name, f"see {spec.address.name}")
        return Present(spec.address.name)

    async def look(self, machine: str, what: str) -> None:
        self.now.append(what)
        self.most = max(self.most, len(self.now))
        await asyncio.sleep(0)
        self.seen_with[what] = set(self.now)
        await asyncio.sleep(0)
        self.now.remove(what)

    def search(self, machine: str) -> Search[Spec]:
        async def find(read: object) -> list[Spec]:
            await self.look(machine, f"seek {machine}")
            if machine == "m-7":
                raise Unreachable("no answer")
            return [Spec(Address(self.name, f"{machine}/stray"))] if machine in ("m-5", "m-3") else []

        return Search(f"what {machine} has", find, machine)

    def diff(self, spec: Spec, state: str) -> tuple[FieldChange, ...]:
        return ()

    def steps(self, spec: Spec, state: str | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        return ()


def test_a_large_fleet_is_looked_at_in_slices_each_machine_at_one_time() -> None:
    kind, names = Counted(), [f"m-{number}" for number in range(MACHINES)]
    resources = [Resource(kind, Spec(Address(kind.name, name))) for name in names]
    old, new = Machine(name="m-3", address=ACCOUNT, state="retired"), Machine(name="m-5", address=ACCOUNT)
    fleet = Fleet.model_construct(machines=(old, new.model_copy(update={"successor_of": "m-3"})))  # type: ignore[call-arg]
    searches = [Quest(kind, kind.search(name), fleet) for name in names]
    ticks: list[int] = []
    seen, strays, unseen = asyncio.run(look_around(resources, searches, None, lambda: ticks.append(1)))  # type: ignore[arg-type]
    assert len(seen) == len(ticks) == MACHINES
    assert 1 < kind.most <= SLICE * SLICES_AT_ONCE < 2 * MACHINES
    assert all(f"seek {name}" in kind.seen_with[f"see {name}"] for name in names)
    # In the order in which they were asked for, however they were looked at.
    assert [stray.address.name for stray in strays] == ["m-3/stray", "m-5/stray"]
    assert [stray.after for stray in strays] == ["m-5", ""]
    assert unseen == ["what the manifest does not name cannot be read at 1 place(s), first what m-7 has: no answer"]
