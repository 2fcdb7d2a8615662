"""Sections of the manifest that say what is left alone, and when, and what was renamed."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import Field, model_validator

from reconciler.core.schedule import Cron, TimeZone
from reconciler.core.section import Duration, Name, Section

LabelValue = Annotated[str, Field(pattern=r"^[^,\x00-\x1f\x7f]{1,255}$")]
Ignored = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9_*?]+\.[^\s,]+$",
        description="A kind and one of its fields as a plan shows it; `*` and `?` as in file names",
        examples=["machine_record.displayName", "wallet_funding.*"],
    ),
]


class Window(Section):
    """A time in which applies may change things, or may not. Windows that name no machines are about the fleet."""

    allow: Cron | None = None
    """When it begins: minute, hour, day, month, weekday. Where there are such windows, one of them must be open."""
    deny: Cron | None = None
    """When a time begins in which nothing is changed, whatever else allows it."""
    for_: Duration = Field(alias="for")
    """How long it lasts, e.g. 2h."""
    time_zone: TimeZone = "UTC"
    """Whose clocks the rule is about, e.g. Europe/Berlin."""
    machines: tuple[str, ...] = ()
    """Only these machines; `*` and `?` as in file names."""
    labels: Mapping[Name, LabelValue] = {}
    """Only machines with all of these labels; patterns as well."""

    @model_validator(mode="after")
    def _one_rule(self) -> "Window":
        if (self.allow is None) == (self.deny is None):
            raise ValueError("name exactly one of: allow, deny")
        if self.for_ == 0:
            raise ValueError("a window of no length never opens; write for example `for: 2h`")
        return self

    @property
    def rule(self) -> str:
        return self.allow or self.deny or ""

    @property
    def particular(self) -> bool:
        return bool(self.machines or self.labels)


class Move(Section):
    """A machine that got another name in this file. Everywhere else it goes on under the old one."""

    from_: Name = Field(alias="from")
    """The name that it had."""
    to: Name
    """The name that it has."""


def origins(moves: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first name of everything that was renamed, by the last, however often it was. Circles are left out."""
    before = {new: old for old, new in moves}
    found = {}
    for last in before.keys() - set(before.values()):
        left = dict(before)
        first = last
        while first in left:
            first = left.pop(first)
        found[last] = first
    return found
