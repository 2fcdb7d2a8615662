"""Where the fields of a plan come from, for `plan --explain`."""

from collections.abc import Mapping

from reconciler.cli.wiring import Project
from reconciler.core.address import Address, Output, placeholders
from reconciler.core.kind import Resource
from reconciler.core.plan import Plan
from reconciler.manifest.provenance import Provenance

Sources = Mapping[Address, Mapping[str, str]]
NOWHERE = "not from the manifest"


def sources(project: Project, plan: Plan) -> Sources:
    """By resource and field; of those that are as declared too."""
    provenance = Provenance(project.manifest)
    # Before anything is bound: what is known of another resource still says of which.
    resources = {resource.address: resource for resource in project.resources}
    return {
        change.address: _of(resources[change.address], [f.field for f in change.fields], provenance)
        for change in plan.changes
        if change.address in resources
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
    named = dict.fromkeys(str(p.address) for p in placeholders(value) if isinstance(p, Output))
    return ", ".join(named) or NOWHERE
