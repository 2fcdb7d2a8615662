"""What reading the world can answer. Unreadable is not absent: a failed read plans nothing."""

from dataclasses import dataclass
from typing import Generic, TypeVar

StateT = TypeVar("StateT")


SHAPES = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What code raises that meets data of another shape than it was promised."""


@dataclass(frozen=True, slots=True)
class Present(Generic[StateT]):
    state: StateT


@dataclass(frozen=True, slots=True)
class Absent:
    """Read clearly, and not there."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """No clear answer; `reason` is for the user."""

    reason: str


Observation = Present[StateT] | Absent | Unreadable
