"""What every part of a manifest is made of: the base of its models, and values that stand in many of them."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

Loc = tuple[str | int, ...]
"""Where something stands in a manifest, such as machines, 3, name."""
SectionT = TypeVar("SectionT", bound="Section")
ZERO_ADDRESS = "0x" + "0" * 40


class Section(BaseModel):
    """A part of the manifest: camelCase outside, unknown keys are mistakes, never changed after parsing."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        # Most are never used by themselves, only inside the model that is composed of them.
        defer_build=True,
    )

    def section(self, wanted: type[SectionT]) -> SectionT | None:
        """The part of this section that is (or contains the fields of) `wanted`, or None where it was left out."""
        if isinstance(self, wanted):
            return self
        for name in _holders(type(self), wanted):
            if isinstance(part := getattr(self, name), wanted):
                return part
        return None


@cache
def _holders(outer: type[Section], wanted: type[Section]) -> tuple[str, ...]:
    """The fields of `outer` that may hold `wanted`. Kinds ask for the same few of every machine."""
    return tuple(
        name
        for name, field in outer.model_fields.items()
        if any(issubclass(held, wanted) or issubclass(wanted, held) for held in _classes(field.annotation))
    )


def _classes(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for inner in get_args(annotation):
        yield from _classes(inner)


def _not_zero(address: str) -> str:
    if address.lower() == ZERO_ADDRESS:
        raise ValueError("the zero address is nobody's; write the machine's own address")
    return address


EvmAddress = Annotated[
    str,
    Field(pattern=r"^0x[0-9a-fA-F]{40}$", description="20 bytes in hex, EIP-55 checksummed if in mixed case"),
    AfterValidator(_not_zero),
]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
Name = Annotated[
    str,
    Field(
        pattern=NAME,
        description="1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit",
    ),
]


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(text: object) -> int:
    match = re.fullmatch(r"(\d+)([smhd])", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"a duration needs a unit, such as `30s`, `10m` or `1h`; got {text!r}")
    return int(match[1]) * _SECONDS[match[2]]


Duration = Annotated[
    int,
    BeforeValidator(_seconds),
    WithJsonSchema({"type": "string", "pattern": r"^\d+[smhd]$", "examples": ["30s", "10m"]}),
]
