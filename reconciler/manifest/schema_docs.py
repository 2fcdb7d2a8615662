"""The docstrings of manifest fields, read from the source when a schema is made: no run pays for them."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from reconciler.core.section import Section


def describe(root: dict[str, Any], definitions: dict[str, Any], model: type[Section]) -> None:
    """Give every property the docstring below its field."""
    for section in {model, *_sections(Section)}:
        schema = root if section is model else definitions.get(section.__name__, {})
        properties = schema.get("properties", {})
        documented = {name: text for cls in reversed(section.__mro__) for name, text in _docstrings(cls)}
        for name, field in section.model_fields.items():
            if (found := properties.get(field.alias or name)) is not None and name in documented:
                found["description"] = documented[name]


def _sections(base: type[Section]) -> Iterator[type[Section]]:
    for section in base.__subclasses__():
        yield section
        yield from _sections(section)


def _docstrings(cls: type) -> Iterator[tuple[str, str]]:
    """Names of annotated fields and the string that follows each."""
    if not issubclass(cls, Section) or "<" in cls.__qualname__:
        return
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError):
        # Composed at run time: its fields are documented where they come from.
        return
    body = getattr(tree, "body", [])
    for field, after in pairwise(body):
        text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, str):
            yield field.target.id, inspect.cleandoc(text)
