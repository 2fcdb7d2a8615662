"""Cron rules, time zones and the moments they name. Moments are aware datetimes in UTC.

What reads rules and zones is imported where it is needed: most manifests have no windows, and every command would wait.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

NEAR = timedelta(minutes=2)
"""How far back is looked at first."""


def _cron(text: str) -> str:
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        what = str(error).removeprefix("Bad ").lower()
        raise ValueError(
            f"not a cron rule: its {what} is wrong; write minute, hour, day, month and weekday, as in `0 22 * * 1-5`"
        ) from None
    except StopIteration:
        raise ValueError("this cron rule names no moment; check its day and month") from None
    if len(text.split()) != 5:
        raise ValueError("not a cron rule: five fields are expected; write `0 22 * * 1-5` for 22:00 on working days")
    return text


def _zone(text: str) -> str:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        near = get_close_matches(text, available_timezones(), n=1)
        hint = f"did you mean `{near[0]}`?" if near else "write it as in `Europe/Berlin`"
        raise ValueError(f"unknown time zone `{text}`; {hint}") from None
    return text


Cron = Annotated[str, AfterValidator(_cron), WithJsonSchema({"type": "string", "examples": ["0 22 * * 1-5"]})]
TimeZone = Annotated[str, AfterValidator(_zone), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]})]


def starts(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """The moments that a rule names after `after`, by the clocks of its zone."""
    from zoneinfo import ZoneInfo

    from cronsim import CronSim

    for moment in CronSim(cron, after.astimezone(ZoneInfo(zone))):
        yield moment.astimezone(UTC)


def running(cron: str, zone: str, seconds: int, now: datetime) -> datetime | None:
    """Until when it lasts, where something of so many seconds that begins by the rule goes on at `now`."""
    lasting, back = timedelta(seconds=seconds), NEAR
    # The latest is mostly near, and what lasts for days may have begun a thousand times since.
    while (latest := _latest(cron, zone, now - min(back, lasting), now)) is None and back < lasting:
        back *= 2
    return None if latest is None else latest + lasting


def _latest(cron: str, zone: str, after: datetime, now: datetime) -> datetime | None:
    """The last moment that a rule names after `after` and up to `now`; what began just at `after` is over."""
    latest: datetime | None = None
    for moment in starts(cron, zone, after):
        if moment > now:
            break
        latest = moment
    return latest


def clock(moment: datetime, zone: str) -> str:
    """What the clocks of a zone show then."""
    from zoneinfo import ZoneInfo

    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone}"
