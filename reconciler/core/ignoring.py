"""Fields that somebody else looks after: `ignore` in the manifest, and what it covers."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase

from reconciler.core.fleet import Fleet, Mistake
from reconciler.core.kind import AnyKind, Resource
from reconciler.core.value import Value, field


class Ignoring(Value):
    """Patterns such as `machine_record.displayName`: those of the whole fleet, and by machine those of its own."""

    fleet: tuple[str, ...] = ()
    machines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, fleet: Fleet) -> "Ignoring":
        return cls(fleet.ignore, {machine.name: machine.ignore for machine in fleet.machines if machine.ignore})

    def covers(self, resource: Resource, name: str) -> bool:
        """Whether a difference in the field `name` of this resource is none."""
        patterns = (*self.fleet, *self.machines.get(resource.machine, ()))
        words = tuple(_words(resource.kind, name)) if patterns else ()
        return any(fnmatchcase(w, p) or fnmatchcase(w, f"{p}.*") for p in patterns for w in words)


NOTHING = Ignoring()


def _words(kind: AnyKind, name: str) -> Iterable[str]:
    yield f"{kind.name}.{name}"
    if kind.within:
        yield f"{kind.name}.{kind.within}.{name}"


def mistakes(fleet: Fleet, kinds: Mapping[str, AnyKind]) -> Iterable[Mistake]:
    """Entries of `ignore` that cover nothing, because no kind or field is called so."""
    for place, entry in enumerate(fleet.ignore):
        yield from _mistakes(entry, ("ignore", place), kinds)
    for index, machine in enumerate(fleet.machines):
        for place, entry in enumerate(machine.ignore):
            yield from _mistakes(entry, ("machines", index, "ignore", place), kinds)


def _mistakes(entry: str, loc: tuple[str | int, ...], kinds: Mapping[str, AnyKind]) -> Iterable[Mistake]:
    kind, _, wanted = entry.partition(".")
    meant = [known for name, known in kinds.items() if fnmatchcase(name, kind)]
    if not meant:
        near = get_close_matches(kind, kinds, n=1)
        message = f"unknown kind `{kind}`" + (f"; did you mean `{near[0]}`?" if near else "")
        hint = f"write `{near[0]}.{wanted}`" if near else f"known here: {', '.join(sorted(kinds))}"
        yield Mistake(loc=loc, message=message, hint=hint)
    elif not any(_overlap(wanted, known) for one in meant for known in _known(one)):
        fields = sorted({known for one in meant for known in one.fields})
        near = get_close_matches(wanted, fields, n=1)
        message = f"no field `{wanted}` of `{kind}` is compared" + (f"; did you mean `{near[0]}`?" if near else "")
        hint = f"write `{kind}.{near[0]}`" if near else f"compared: {', '.join(fields) or 'none'}"
        yield Mistake(loc=loc, message=message, hint=hint)


def _known(kind: AnyKind) -> Iterable[str]:
    for name in kind.fields:
        yield name
        if kind.within:
            yield f"{kind.within}.{name}"


def _overlap(wanted: str, known: str) -> bool:
    """Either may be a pattern, and what is named covers all below it."""
    return fnmatchcase(known, wanted) or fnmatchcase(wanted, known) or fnmatchcase(known, f"{wanted}.*")
