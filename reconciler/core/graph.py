"""What needs what, and so in which order."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from reconciler.core.address import Address
from reconciler.core.errors import PlanError
from reconciler.core.kind import Need, Resource


def ordered(needs: Mapping[Address, Iterable[Address]]) -> tuple[Address, ...]:
    """Addresses so that each comes after what it needs; ties keep the order given. PlanError names a cycle."""
    place = {address: index for index, address in enumerate(needs)}
    sorter = TopologicalSorter({address: [n for n in wanted if n in place] for address, wanted in needs.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        raise PlanError("dependency cycle: " + " → ".join(map(str, error.args[1]))) from None
    result: list[Address] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=place.__getitem__)
        result.extend(ready)
        sorter.done(*ready)
    return tuple(result)


def needs_of(resources: Iterable[Resource]) -> dict[Address, tuple[Need, ...]]:
    """What each resource needs, whichever of the two says so."""
    resources = tuple(resources)
    found = {resource.address: list(resource.kind.needs(resource.spec)) for resource in resources}
    for resource in resources:
        for waiting in resource.kind.precedes(resource.spec):
            found.get(waiting.address, []).append(replace(waiting, address=resource.address))
    _await(resources, found)
    return {address: tuple(needs) for address, needs in found.items()}


def _await(resources: Iterable[Resource], found: Mapping[Address, list[Need]]) -> None:
    """What leaves for another's sake waits for all of that other, and so does what follows from its leaving."""
    waiting = {resource.address: resource for resource in resources if resource.after}
    awaited: dict[str, list[Need]] = {resource.after: [] for resource in waiting.values()}
    for resource in resources:
        if resource.machine in awaited:
            awaited[resource.machine].append(Need(resource.address))
    for address, resource in waiting.items():
        found[address].extend(awaited[resource.after])
        for need in resource.kind.precedes(resource.spec):
            if need.address not in waiting:
                shared = (replace(each, through=address) for each in awaited[resource.after])
                found.get(need.address, []).extend(shared)
