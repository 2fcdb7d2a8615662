"""What resources need, and the order that follows from it."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from reconciler.core.address import Address
from reconciler.core.errors import PlanError
from reconciler.core.kind import Need, Resource
from reconciler.core.value import replace

Wanted = Callable[[Address], Iterable[Address]]


class Needs(Mapping[Address, tuple[Need, ...]]):
    """What each resource needs, whichever of the two says so.

    Worked out whenever it is asked for: all that a large fleet needs takes more room than the fleet.
    """

    def __init__(self, resources: Mapping[Address, Resource]) -> None:
        self._resources = resources
        self._others: dict[Address, list[Need]] = {}
        self._awaited: dict[str, list[Need]] = {resource.after: [] for resource in resources.values() if resource.after}
        for address, resource in resources.items():
            for waiting in resource.kind.precedes(resource.spec):
                self._others.setdefault(waiting.address, []).append(replace(waiting, address=address))
            if resource.machine in self._awaited:
                self._awaited[resource.machine].append(Need(address))

    def __getitem__(self, address: Address) -> tuple[Need, ...]:
        resource, others = self._resources[address], self._others.get(address, ())
        own, awaited = resource.kind.needs(resource.spec), self._awaited.get(resource.after)
        # What leaves for another's sake waits for all of that other, and so does what follows from its leaving.
        return (*own, *others, *(self._shared(others) if awaited is None else awaited))

    def _shared(self, others: Iterable[Need]) -> Iterator[Need]:
        for other in others:
            for need in self._awaited.get(self._resources[other.address].after, ()):
                yield replace(need, through=other.address)

    def __iter__(self) -> Iterator[Address]:
        return iter(self._resources)

    def __len__(self) -> int:
        return len(self._resources)


def ordered(addresses: Iterable[Address], wanted: Wanted) -> tuple[Address, ...]:
    """So that each comes after what it needs, and no later than it must; ties keep the order given.

    What is needed and not among them is no matter. PlanError names a cycle.
    """
    ranks = dict.fromkeys(addresses, 0)
    for address, rank in ranks.items():
        if not rank:
            _rank(address, wanted, ranks)
    return tuple(sorted(ranks, key=ranks.__getitem__))


def _rank(start: Address, wanted: Wanted, ranks: dict[Address, int]) -> None:
    """One more than the highest of what it needs, which is ranked first."""
    path = {start: _within(start, wanted, ranks)}
    while path:
        address, (needed, left) = next(reversed(path.items()))
        first = next((need for need in left if not ranks[need]), None)
        if first in path:
            raise PlanError("dependency cycle: " + " → ".join(map(str, _cycle(first, [*path]))))
        if first is not None:
            path[first] = _within(first, wanted, ranks)
            continue
        ranks[address] = 1 + max((ranks[need] for need in needed), default=0)
        del path[address]


def _within(address: Address, wanted: Wanted, ranks: Mapping[Address, int]) -> tuple[list[Address], Iterator[Address]]:
    """What it needs of these, and as much of that as was not looked at yet."""
    needed = [need for need in wanted(address) if need in ranks]
    return needed, iter(needed)


def _cycle(first: Address, path: list[Address]) -> list[Address]:
    """From what is needed to what needs it."""
    return [first, *reversed(path[path.index(first) :])]
