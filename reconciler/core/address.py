"""Names of resources, and values that exist only after one of them has been applied."""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from operator import is_
from typing import Any, TypeVar

from reconciler.core.value import Value, replace

T = TypeVar("T")


class Address(Value, order=True):
    """The name of one resource, e.g. `machine_nft/press-07`, in logs, plans, errors and the journal."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class Output(Value, order=True):
    """A field of another resource's verified state; "known after apply" until it is bound."""

    address: Address
    field: str
    expected: Any = None
    """What to assume in a plan (for keys and costs) while the real one is unknown; two that differ in it are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Output) and (self.address, self.field) == (other.address, other.field)

    def __hash__(self) -> int:
        return hash((self.address, self.field))

    def __str__(self) -> str:
        return "(known after apply)"


class Burden(Value, order=True):
    """Wei that the steps of this plan take from one signer's wallet beside transfers: bonds, deposits and worst gas.

    With `bonds`, only what contracts are to take for bonds.
    """

    signer: str
    bonds: bool = False

    def __str__(self) -> str:
        return "(known after planning)"


class Never(Enum):
    """Stands for an Output that this plan will not produce, because its resource is blocked or parked."""

    NEVER = "(not in this plan)"

    def __str__(self) -> str:
        return self.value


NEVER = Never.NEVER
Placeholder = Output | Burden
_PLACEHOLDERS = (Output, Burden)
_UNKNOWN = (*_PLACEHOLDERS, Never)
_LEAVES = (str, int, float, Address)
"""What never holds a placeholder, and is nearly all there is. Tuples: a union is made anew each time."""
Resolve = Callable[[Placeholder], object | None]


class Asked:
    """Resolves as `known` does, and remembers for one resource whose Outputs were wanted, and if all were known."""

    def __init__(self, known: Resolve) -> None:
        self._known = known
        self.whose: set[Address] = set()
        self.all_known = True

    def __call__(self, wanted: Placeholder) -> object | None:
        value = self._known(wanted)
        if value is None:
            self.all_known = False
        elif isinstance(wanted, Output):
            self.whose.add(wanted.address)
        return value


def bind(value: T, resolve: Resolve) -> T:
    """`value` with every placeholder that `resolve` knows replaced; unknown ones (None) stay.

    What nothing was replaced in is the same object afterwards: a large fleet is not held twice.
    """
    return _bind(value, resolve)  # type: ignore[no-any-return]


def _bind(value: Any, resolve: Resolve) -> Any:
    if value is None or isinstance(value, _LEAVES) or value is NEVER:
        return value
    if isinstance(value, _PLACEHOLDERS):
        known = resolve(value)
        return value if known is None else known
    if isinstance(value, tuple):
        items = tuple([_bind(item, resolve) for item in value])
        return value if all(map(is_, items, value)) else items
    if isinstance(value, Value):
        changed = {}
        for name in value.__struct_fields__:
            before = getattr(value, name)
            # Most are leaves: not to call for those is half of the work.
            if before is not None and not isinstance(before, _LEAVES):
                after = _bind(before, resolve)
                if after is not before:
                    changed[name] = after
        return replace(value, **changed) if changed else value
    if isinstance(value, Mapping):
        bound = {key: _bind(item, resolve) for key, item in value.items()}
        return value if all(map(is_, bound.values(), value.values())) else bound
    return value


def expected(value: T | Output) -> T:
    """`value`, or what to assume of it while it is unknown."""
    return value.expected if isinstance(value, Output) else value


def placeholders(value: object) -> Iterator[Placeholder | Never]:
    """Every placeholder still inside `value`."""
    if isinstance(value, _UNKNOWN):
        yield value
    elif value is None or isinstance(value, _LEAVES):
        return
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from placeholders(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from placeholders(item)
    elif isinstance(value, Value):
        for name in value.__struct_fields__:
            yield from placeholders(getattr(value, name))


def is_bound(value: object) -> bool:
    """True where no Output is left inside."""
    return not any(isinstance(p, Output) for p in placeholders(value))
