"""What reading the world can answer. Unreadable is not absent: a failed read plans nothing."""

from typing import Generic, TypeVar

from reconciler.core.value import Value

StateT = TypeVar("StateT")


SHAPES = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What code raises that meets data of another shape than it was promised."""


class Present(Value, Generic[StateT]):
    state: StateT


class Absent(Value):
    """Read clearly, and not there."""


class Unreadable(Value):
    """No clear answer; `reason` is for the user."""

    reason: str


Observation = Present[StateT] | Absent | Unreadable
