"""Who moved: the manifest or the world, told by what the last apply saw converged. Only ever told, never acted upon."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from reconciler.core.address import Address, Output, placeholders
from reconciler.core.change import Action, FieldChange
from reconciler.core.diff import same
from reconciler.core.ignoring import NOTHING, Ignoring
from reconciler.core.kind import Resource
from reconciler.core.observation import Absent, Observation
from reconciler.core.plain import plain
from reconciler.core.plan import Plan, PlannedChange
from reconciler.core.value import Value, field


class Moved(StrEnum):
    MANIFEST = "manifest"
    WORLD = "world"
    BOTH = "both"
    UNKNOWN = "unknown"
    """Nothing is recorded to tell by; or neither moved, and it is the rest of the plan that asks for the change."""


class Applied(Value):
    """What was declared of a resource when it was last seen converged."""

    subject: str
    fields: Mapping[str, object] | None
    """None where it was declared absent."""

    @classmethod
    def of(cls, resource: Resource, ignoring: Ignoring = NOTHING) -> "Applied":
        """What is ignored was not made as declared."""
        kind, spec = resource.kind, resource.spec
        declared = {name: value for name, value in kind.declared(spec).items() if not ignoring.covers(resource, name)}
        known = {name: value for name, value in declared.items() if not any(placeholders(value))}
        return cls(kind.subject(spec), plain(known) if kind.wanted(spec) else None)

    @classmethod
    def read(cls, text: str) -> "Applied":
        found = json.loads(text)
        return cls(found["subject"], found["fields"])

    def text(self) -> str:
        return json.dumps({"subject": self.subject, "fields": self.fields}, sort_keys=True, ensure_ascii=False)


class Movement(Value):
    """Who moved a resource, and who each of its fields that differ."""

    whole: Moved
    fields: Mapping[str, Moved] = field(default_factory=dict)
    entire: bool = False
    """True where the resource itself came or went, rather than some of its fields."""


Movements = Mapping[Address, Movement]


def differing(plan: Plan) -> Iterator[PlannedChange]:
    """What differs from the world, as far as it could be read."""
    calm = (Action.NO_OP, Action.UNMANAGED)
    return (change for change in plan.changes if change.action not in calm and not change.unreadable)


def movements(
    plan: Plan, observations: Mapping[Address, Observation[object]], records: Mapping[str, str]
) -> dict[Address, Movement]:
    """By change that is `differing`. `records` hold `Applied.text` by address."""
    found: dict[Address, Movement] = {}
    for change in differing(plan):
        text = records.get(str(change.address))
        teller = _Teller(change, Applied.read(text) if text else None, bool(records), found)
        if (movement := teller.tell(observations.get(change.address))) is not None:
            found[change.address] = movement
    return found


class _Teller(Value):
    change: PlannedChange
    record: Applied | None
    others: bool
    """True where other resources are recorded: what is not, was never seen converged."""
    earlier: Movements
    """Those of what this one needs."""

    def tell(self, observation: Observation[object] | None) -> Movement | None:
        kind, spec = self.change.resource.kind, self.change.resource.spec
        if isinstance(observation, Absent):
            return self._entirely(self._appeared())
        if self.change.action is Action.DELETE or not kind.wanted(spec):
            return self._entirely(self._unwanted())
        if not self.change.fields:
            return None
        if self.change.fields == kind.triggered(spec):
            cause = together(self._causes(need.address for need in kind.needs(spec) if need.triggers))
            fields = {change.field: cause for change in self.change.fields}
        else:
            fields = {change.field: self._field(change) for change in self.change.fields}
        return Movement(together(fields.values()), fields)

    def _entirely(self, whole: Moved) -> Movement:
        return Movement(whole, {change.field: whole for change in self.change.fields}, entire=True)

    def _appeared(self) -> Moved:
        """Who moved where it is wanted and not there."""
        if self.record is None:
            return Moved.MANIFEST if self.others else Moved.UNKNOWN
        if self.record.fields is None or self._of_another():
            return Moved.MANIFEST
        return Moved.BOTH if any(self._redeclared(name) for name in self._names()) else Moved.WORLD

    def _unwanted(self) -> Moved:
        """Who moved where it is there and not wanted."""
        if self.record is None:
            return Moved.UNKNOWN
        return Moved.WORLD if self.record.fields is None else Moved.MANIFEST

    def _of_another(self) -> bool:
        resource = self.change.resource
        return self.record is not None and self.record.subject != resource.kind.subject(resource.spec)

    def _names(self) -> Iterable[str]:
        resource = self.change.resource
        return resource.kind.declared(resource.spec)

    def _redeclared(self, name: str) -> bool:
        """Whether the manifest says something else of the field than it did. Not so where that is not known yet."""
        resource = self.change.resource
        declared = resource.kind.declared(resource.spec).get(name)
        recorded = self.record.fields if self.record and self.record.fields else {}
        return not any(placeholders(declared)) and not same(recorded.get(name), plain(declared))

    def _causes(self, sources: Iterable[Address]) -> list[Moved]:
        return [self.earlier[address].whole for address in sources if address in self.earlier]

    def _field(self, change: FieldChange) -> Moved:
        resource = self.change.resource
        declared = resource.kind.declared(resource.spec)
        if self.record is None:
            return Moved.UNKNOWN
        if self.record.fields is None or self._of_another():
            return Moved.MANIFEST
        recorded = self.record.fields
        if change.field in declared and change.field not in recorded:
            return Moved.MANIFEST
        # What is not known yet moves with the resource that it comes from.
        causes = self._causes(p.address for p in placeholders(declared.get(change.field)) if isinstance(p, Output))
        if self._redeclared(change.field):
            causes.append(Moved.MANIFEST)
        if not resource.kind.kept(change.field, recorded.get(change.field), change.before):
            causes.append(Moved.WORLD)
        return together(causes)


def together(movers: Iterable[Moved]) -> Moved:
    """Several as one."""
    found = set(movers)
    known = found - {Moved.UNKNOWN}
    if len(known) > 1:
        return Moved.BOTH
    return known.pop() if known and Moved.UNKNOWN not in found else Moved.UNKNOWN


def counted(movements: Movements) -> Mapping[Moved, Counter[str]]:
    """How many fields, and how many resources as a whole, each mover moved."""
    found = {mover: Counter[str]() for mover in Moved}
    for movement in movements.values():
        if movement.entire:
            found[movement.whole]["resource"] += 1
        else:
            for mover in movement.fields.values():
                found[mover]["field"] += 1
    return found
