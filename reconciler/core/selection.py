"""Which resources a run is about: what `--only` and `--skip` choose, what comes along, what is only looked at."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from reconciler.core.address import Address
from reconciler.core.errors import ConfigError
from reconciler.core.graph import Needs
from reconciler.core.kind import Need, Resource, Strength
from reconciler.core.value import Value, field

KEYS = ("machine", "label", "kind", "file")
ONLY, SKIP = "--only", "--skip"


class Subject(Value):
    """What can be said of a resource by those who choose. Without a machine only its kind can be named."""

    kind: str
    machine: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    """Where its machine stands: the file of its entry, and the table that one was filled from."""


class Term(Value):
    """One condition, such as `kind=machine_*`; `name` is that of the label it is about."""

    key: str
    pattern: str
    name: str = ""

    def __str__(self) -> str:
        return "=".join(part for part in (self.key, self.name, self.pattern) if part)

    @property
    def about(self) -> tuple[str, str]:
        return self.key, self.name

    def matches(self, subject: Subject) -> bool:
        return any(fnmatchcase(value, self.pattern) for value in self.of(subject))

    def of(self, subject: Subject) -> tuple[str, ...]:
        """What this term compares."""
        if self.key == "file":
            return subject.files
        value = subject.labels.get(self.name) if self.key == "label" else getattr(subject, self.key)
        return (value,) if value else ()


def parse(text: str) -> tuple[Term, ...]:
    """`machine=air-*,label=site=berlin,air-001` as terms. ValueError says what is wrong with it."""
    return tuple(_term(part.strip()) for part in text.split(","))


def _term(text: str) -> Term:
    key, equals, rest = text.partition("=")
    if not equals:
        key, rest = "machine", text
    if key not in KEYS:
        near = get_close_matches(key, KEYS, n=1)
        raise ValueError(f"unknown key `{key}`" + (f"; did you mean `{near[0]}`?" if near else f"; {_known(KEYS)}"))
    name, _, pattern = rest.partition("=") if key == "label" else ("", "", rest)
    pattern = pattern or ("*" if key == "label" else "")
    if not pattern or (key == "label" and not name):
        raise ValueError(f"`{text}` names nothing; write machine=NAME, label=NAME=VALUE, kind=KIND or file=FILE")
    return Term(key, pattern, name)


def _known(words: Iterable[str]) -> str:
    return f"known here: {', '.join(f'`{word}`' for word in words)}"


def _holds(terms: Sequence[Term], subject: Subject) -> bool:
    """Terms about the same thing are alternatives, and terms about different things must all hold."""
    return all(any(t.matches(subject) for t in terms if t.about == about) for about in {t.about for t in terms})


class Selection(Value):
    """`only` is all of `--only` taken together; each of `skip` is one `--skip`, and takes out what it matches."""

    only: tuple[Term, ...] = ()
    skip: tuple[tuple[Term, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.only or self.skip)

    def refused(self, subject: Subject) -> str:
        """The option that leaves this out, or ""."""
        if any(_holds(terms, subject) for terms in self.skip):
            return SKIP
        return "" if _holds(self.only, subject) else ONLY

    def check(self, subjects: Collection[Subject]) -> None:
        """ConfigError for a term that matches nothing at all, or where nothing is left."""
        for option, terms in ((ONLY, self.only), *((SKIP, terms) for terms in self.skip)):
            for term in terms:
                if not any(term.matches(subject) for subject in subjects):
                    raise ConfigError(f"{option} {term} matches nothing in the manifest", hint=_near(term, subjects))
            if terms and not any(_holds(terms, subject) for subject in subjects):
                said = ",".join(map(str, terms))
                raise ConfigError(f"nothing in the manifest matches all of {option} {said}", hint=_rule(option))
        if self and all(self.refused(subject) for subject in subjects):
            raise ConfigError("--only and --skip together leave nothing", hint="take one of them away")


EVERYTHING = Selection()


def _rule(option: str) -> str:
    return f"what several terms of {option} say of different things must all hold"


def _near(term: Term, subjects: Iterable[Subject]) -> str:
    subjects = tuple(subjects)
    known = sorted({value for subject in subjects for value in term.of(subject)})
    if term.key == "label" and not known:
        known = sorted({name for subject in subjects for name in subject.labels})
        near = get_close_matches(term.name, known, n=1)
        return f"did you mean `label={near[0]}`?" if near else _listed("labels", known)
    near = get_close_matches(term.pattern.strip("*"), known, n=1)
    return f"did you mean `{near[0]}`?" if near else _listed(f"{term.key}s", known)


def _listed(what: str, known: Sequence[str]) -> str:
    more = ", …" if len(known) > 8 else ""
    return f"there are these {what}: {', '.join(known[:8])}{more}" if known else f"the manifest has no {what}"


class Scope(Value):
    """A selection worked out for a fleet."""

    planned: tuple[Resource, ...]
    """Chosen, or needed by what is."""
    watched: tuple[Resource, ...] = ()
    """Left out, and looked at all the same because something planned depends on it."""
    left_out: Mapping[Address, str] = field(default_factory=dict)
    """Every resource of the manifest that is not planned, and the option that left it out."""
    taken_in: frozenset[Address] = frozenset()
    """Planned without being chosen."""


Describe = Callable[[Resource], Subject]


def scope(selection: Selection, resources: Sequence[Resource], describe: Describe) -> Scope:
    """Chosen resources bring along what they cannot do without, and what they set off. `--skip` stops that."""
    if not selection:
        return Scope(tuple(resources))
    refused = {resource.address: selection.refused(describe(resource)) for resource in resources}
    needs = {
        a: tuple(n for n in own if n.address in refused) for a, own in Needs({r.address: r for r in resources}).items()
    }
    chosen = [address for address, option in refused.items() if not option]
    brings = _brings(needs)
    planned = _closure(chosen, lambda address: [a for a in brings[address] if refused[a] != SKIP])
    looked_at = _closure(
        [*planned, *(a for address in planned for a in brings[address])],
        lambda address: [n.address for n in needs[address]],
    )
    watched = looked_at - planned
    return Scope(
        tuple(r for r in resources if r.address in planned),
        tuple(r for r in resources if r.address in watched),
        {address: option for address, option in refused.items() if address not in planned},
        frozenset(planned - set(chosen)),
    )


def _brings(needs: Mapping[Address, Sequence[Need]]) -> dict[Address, list[Address]]:
    """By resource: what it needs done first, and what a change of it sets off."""
    found = {address: [n.address for n in own if _indispensable(n)] for address, own in needs.items()}
    for address, own in needs.items():
        for need in own:
            if need.triggers:
                found[need.address].append(address)
    return found


def _indispensable(need: Need) -> bool:
    return need.strength is not Strength.SOFT and need.through is None


def _closure(start: Iterable[Address], following: Callable[[Address], Iterable[Address]]) -> set[Address]:
    found: set[Address] = set()
    waiting = list(start)
    while waiting:
        address = waiting.pop()
        if address not in found:
            found.add(address)
            waiting += following(address)
    return found
