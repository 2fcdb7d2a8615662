"""Times as servers write them: ISO 8601, with fractions of a second or without."""

from datetime import UTC, datetime

MOMENT = 0.5
"""Seconds within which a session that moves its pairing's own stamp does so."""


def seconds(stamp: str) -> float:
    """Since the epoch. ValueError where it is no time."""
    return datetime.fromisoformat(stamp).timestamp()


def written(moment: float) -> str:
    """Seconds since the epoch as a time in UTC, to the second."""
    return datetime.fromtimestamp(int(moment), UTC).isoformat().replace("+00:00", "Z")


def later(stamp: str, than: str, by: float = 0.0) -> bool:
    """Whether `stamp` lies more than `by` seconds after `than`; by text where one is no time at all."""
    try:
        return seconds(stamp) > seconds(than) + by
    except ValueError:
        return stamp > than
