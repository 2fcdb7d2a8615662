"""A fleet to its resources."""

from collections.abc import Iterator, Mapping

from reconciler.core.address import Address
from reconciler.core.fleet import Fleet
from reconciler.core.kind import AnyKind, Resource


def expand(fleet: Fleet, kinds: Mapping[str, AnyKind]) -> tuple[Resource, ...]:
    """Every resource, by kind and then as the manifest lists them.

    Raises ValueError where two resources share an address or one needs a kind that is not there: faults of a kind.
    """
    resources = tuple(Resource.of(fleet, kind, spec) for kind in kinds.values() for spec in kind.expand(fleet))
    seen: set[Address] = set()
    for resource in resources:
        if resource.address in seen:
            raise ValueError(f"two resources are called {resource.address}")
        seen.add(resource.address)
    for resource, missing in _unknown_needs(resources, kinds):
        raise ValueError(f"{resource.address} needs {missing}, and there is no kind {missing.kind}")
    return resources


def _unknown_needs(resources: tuple[Resource, ...], kinds: Mapping[str, AnyKind]) -> Iterator[tuple[Resource, Address]]:
    for resource in resources:
        for need in resource.kind.needs(resource.spec):
            if need.address.kind not in kinds:
                yield resource, need.address
