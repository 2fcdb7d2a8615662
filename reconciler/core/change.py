"""The difference between what is declared and what was observed, as values."""

from enum import StrEnum

from reconciler.core.value import Value


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    NO_OP = "no-op"
    BLOCKED = "blocked"
    PARKED = "parked"
    UNMANAGED = "unmanaged"

    @property
    def acts(self) -> bool:
        """True where the change has steps to perform."""
        return self in (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DELETE)


class FieldChange(Value):
    """One declared field that differs. `replaces`: the field cannot be edited in place."""

    field: str
    before: object
    after: object
    note: str = ""
    replaces: bool = False
    widens: bool = False
    """True where it gives an agent more to spend, or more to spend it on."""
    removes: bool = False
    """True where it takes something out of service, as a removal would."""
    drops: int = 0
    """How many it takes off a list."""
