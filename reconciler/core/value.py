"""What a value is here: fields that never change, equal where they are equal.

Structs of msgspec and not dataclasses, since each class of those is compiled anew at every start, a millisecond apiece.
"""

from typing import dataclass_transform

from msgspec import Struct, field
from msgspec.structs import asdict, replace

__all__ = ["Value", "asdict", "field", "replace"]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Value(Struct, frozen=True):
    """Base of every value. Name what else a class of them is behind it: `class Address(Value, order=True)`."""
