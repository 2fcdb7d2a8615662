"""What happens while a plan runs, as values: progress, logs and JSON lines all read the same."""

from enum import StrEnum

from reconciler.core.value import Value, field


class Stage(StrEnum):
    STARTED = "started"
    """A resource's first step begins."""
    SIGNED = "signed"
    """A transaction is in the journal and about to be sent."""
    MINED = "mined"
    WAVE = "wave"
    """A wave of transactions begins, or less of it is left; `data` has its number, as `wave`."""
    DONE = "done"
    """The resource was read back and is as declared."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not tried, because something it needs did not succeed."""
    PARKED = "parked"
    """Not now: a service defers it, or a key that it or what it needs wants is not at hand. Nothing was done."""
    UNKNOWN = "unknown"
    """Sent, and the outcome is not known yet."""
    WAITING = "waiting"
    """Something takes longer; `text` says what and why."""
    RECOVERED = "recovered"
    """An effect of an earlier run was dealt with."""


class Event(Value):
    stage: Stage
    address: str = ""
    text: str = ""
    data: dict[str, object] = field(default_factory=dict)
