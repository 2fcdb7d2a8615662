"""Walking a model by the keys of a manifest: which keys are known where."""

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from reconciler.core.section import Loc

Model = type[BaseModel]


@cache
def keys(model: Model) -> Mapping[str, Any]:
    """Keys as they are written, and the types behind them."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def models_at(model: Model, loc: Loc) -> tuple[Model, ...]:
    """The models that may stand at `loc`."""
    # The same of every machine, and asked for each of them where all have a mistake.
    return _models_at(model, tuple(0 if isinstance(part, int) else part for part in loc))


@lru_cache(1000)
def _models_at(model: Model, loc: Loc) -> tuple[Model, ...]:
    types: list[Any] = [model]
    for part in loc:
        types = [inner for outer in types for inner in _inside(outer, part)]
    return tuple(found for outer in types for found in _models(outer))


def _models(outer: Any) -> Iterator[Model]:
    if isinstance(outer, type) and issubclass(outer, BaseModel):
        yield outer
    elif get_origin(outer) in (Union, UnionType, Annotated):
        for inner in get_args(outer):
            yield from _models(inner)


def _inside(outer: Any, part: str | int) -> Iterator[Any]:
    origin, arguments = get_origin(outer), get_args(outer)
    if origin is Annotated:
        yield from _inside(arguments[0], part)
    elif origin in (Union, UnionType):
        for inner in arguments:
            yield from _inside(inner, part)
    elif isinstance(outer, type) and origin is None and issubclass(outer, BaseModel):
        yield from (annotation for key, annotation in keys(outer).items() if key == part)
    elif isinstance(part, int) and arguments:
        yield arguments[0]
    elif len(arguments) == 2:
        yield arguments[1]


def homes(model: Model, word: str) -> list[str]:
    """Blocks directly inside `model` that know the key `word`."""
    return [key for key, annotation in keys(model).items() for inner in _models(annotation) if word in keys(inner)]
