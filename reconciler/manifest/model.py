"""The full model: what core knows of a fleet, and every section that kinds contribute to it."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, cast, get_args

from pydantic import create_model

from reconciler.core.fleet import Fleet, Machine
from reconciler.core.kind import AnyKind
from reconciler.core.section import Section

PROTOCOLS: tuple[str, ...] = get_args(Fleet.model_fields["protocol"].annotation)
_ROOTS: dict[str, type[Section]] = {"fleet": Fleet, "machine": Machine}


def fleet_model(kinds: Mapping[str, AnyKind]) -> type[Fleet]:
    """`Fleet` with the sections of all kinds. Raises ValueError where two kinds contribute one key differently."""
    places = _places(kinds.values())
    return _composed(tuple((place, tuple(sections)) for place, sections in places.items()))


@cache
def _composed(contributions: tuple[tuple[str, tuple[type[Section], ...]], ...]) -> type[Fleet]:
    places = {place: list(sections) for place, sections in contributions}
    machine = _root("machine", "Machine", places, {})
    machines = (tuple[machine, ...], ())  # type: ignore[valid-type]
    return cast(type[Fleet], _root("fleet", "Fleet", places, {"machines": machines}))


def _places(kinds: Iterable[AnyKind]) -> dict[str, list[type[Section]]]:
    places: dict[str, list[type[Section]]] = {}
    for kind in kinds:
        for place, section in kind.sections.items():
            if place.partition(".")[0] not in _ROOTS or place.count(".") > 1:
                raise ValueError(f"{kind.name} contributes to {place}, which is no place of a manifest")
            known = places.setdefault(place, [])
            if section not in known:
                known.append(section)
    return places


def _root(root: str, name: str, places: Mapping[str, list[type[Section]]], fields: dict[str, Any]) -> type[Section]:
    for place, sections in places.items():
        where, _, block = place.partition(".")
        if where == root and block:
            fields[block] = _block(f"{name}{block.capitalize()}", block, sections)
    return _joined(name, [_ROOTS[root], *places.get(root, [])], fields)


def _block(name: str, block: str, sections: list[type[Section]]) -> tuple[Any, Any]:
    """A block of a protocol is there even when it is left out; any other is a choice."""
    model = _joined(name, sections, {})
    if block in PROTOCOLS and not any(field.is_required() for field in model.model_fields.values()):
        return model, model()
    return model | None, None


def _joined(name: str, bases: list[type[Section]], fields: dict[str, Any]) -> type[Section]:
    """One class of all bases, so that `section` finds each of them; keys in the order of the bases."""
    keys = [key for base in bases for key in base.model_fields]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise ValueError(f"several kinds contribute {sorted(twice)} to one place of {name}")
    model = create_model(name, __base__=tuple(reversed(bases)), __doc__=bases[0].__doc__, **fields)
    return cast(type[Section], model)
