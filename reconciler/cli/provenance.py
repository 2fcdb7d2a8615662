"""Where the fields of a plan come from, for `plan --explain`."""

from collections.abc import Iterable, Mapping

from reconciler.core.address import Address, Output, placeholders
from reconciler.core.kind import Resource
from reconciler.core.plan import Plan
from reconciler.manifest.parse import Manifest
from reconciler.manifest.provenance import Provenance

Sources = Mapping[Address, Mapping[str, str]]
NOWHERE = "not from the manifest"


def sources(manifest: Manifest, resources: Iterable[Resource], plan: Plan) -> Sources:
    """By resource and field, of those that are as declared too. `resources` are those of the fleet, nothing bound."""
    provenance = Provenance(manifest)
    declared = {resource.address: resource for resource in resources}
    return {
        change.address: _of(declared[change.address], [f.field for f in change.fields], provenance)
        for change in plan.changes
        if change.address in declared
    }


def _of(resource: Resource, differing: list[str], provenance: Provenance) -> dict[str, str]:
    kind, spec = resource.kind, resource.spec
    values = {change.field: change.after for change in kind.creates(spec)} | dict(kind.declared(spec))
    return {
        name: _source(resource, name, values.get(name), provenance) for name in dict.fromkeys([*values, *differing])
    }


def _source(resource: Resource, name: str, value: object, provenance: Provenance) -> str:
    if places := tuple(resource.kind.written(resource.spec, name)):
        return provenance.first(places)
    # Not bound yet: so it still says which resource it is known from.
    named = dict.fromkeys(str(p.address) for p in placeholders(value) if isinstance(p, Output))
    return ", ".join(named) or NOWHERE
