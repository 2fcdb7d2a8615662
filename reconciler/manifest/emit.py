"""Plain data as YAML that a person would write: lines of blocks, with what is short on one line."""

import re
from collections.abc import Mapping
from typing import Any

WIDTH = 110
_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9 ._/-]*[A-Za-z0-9._/-])?")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""What YAML, or somebody's YAML, takes for something else than text."""
_ESCAPES = {'"': '\\"', "\\": "\\\\"}


def flow(value: Any) -> str:
    """On one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else _text(str(value))


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else f"\\U{ord(c):08X}") for c in text) + '"'


def entry(key: str, value: Any, indent: int = 0) -> list[str]:
    """`key: value` in lines, long mappings and lists as blocks."""
    margin, name = " " * indent, flow(key)
    line = f"{margin}{name}: {flow(value)}"
    if len(line) <= WIDTH or not value or not isinstance(value, Mapping | list | tuple):
        return [line]
    if isinstance(value, Mapping):
        return [f"{margin}{name}:", *(line for k, v in value.items() for line in entry(k, v, indent + 2))]
    return [f"{margin}{name}:", *(f"{margin}  - {flow(item)}" for item in value)]


def comment(text: str, indent: int = 0) -> str:
    """One line, whatever the text holds."""
    return f"{' ' * indent}# {' '.join(text.split())}"
