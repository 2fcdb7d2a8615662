"""Dependency order."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from reconciler.core.address import Address
from reconciler.core.errors import PlanError


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
