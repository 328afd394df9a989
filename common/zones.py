"""Time zones, from the tzdata package alone: the machine's own may be older, and each machine's differs."""

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import tzdata

zoneinfo.reset_tzpath(to=())

VERSION: str = tzdata.IANA_VERSION
"""Of the IANA database that every local time here rests on, such as `2026a`."""


def zone(key: str) -> ZoneInfo:
    """Raises `ValueError` for a name that the database does not have."""
    try:
        return ZoneInfo(key)
    except (ValueError, OSError, KeyError):
        raise ValueError("Not a time zone of the IANA database, such as Europe/Berlin") from None


def instant(where: ZoneInfo, day: date, minute: int) -> datetime:
    """The moment, in UTC, at which a wall clock shows this minute of the day; 1440 ends the day.

    A time that comes twice, when clocks are put back, means its first
    coming. One that is skipped, when they are put forward, or with a whole
    day at the date line, means the moment of the skip.
    """
    shown = datetime.combine(day, time()) + timedelta(minutes=minute)
    moment = shown.replace(tzinfo=where).astimezone(UTC)
    if moment.astimezone(where).replace(tzinfo=None) == shown:
        return moment
    return _transition(where, shown.replace(tzinfo=where, fold=1).astimezone(UTC), moment)


def _transition(where: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second, between these two, from which on the other offset counts."""
    offset = before.astimezone(where).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(where).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)


def wall_clock(where: ZoneInfo, moment: datetime) -> str:
    """What a clock there shows, `2026-12-01T09:00`: what an appointment was made for."""
    return moment.astimezone(where).strftime("%Y-%m-%dT%H:%M")
