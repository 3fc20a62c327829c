"""Reads and writes moments: Unix milliseconds, datetimes and ISO 8601."""

import time
from datetime import UTC, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


#: How far the clock that all processes share is ahead of the time since this machine was started,
#: nanoseconds. None: this machine's own clock is followed.
_ahead: int | None = None


def now() -> int:
    """The present moment, Unix milliseconds.

    By the clock of the database that `store.clock` keeps, so that it may be compared with times
    that other machines have stored; without one, by this machine's clock.
    """
    if _ahead is None:
        return time.time_ns() // 1_000_000
    return (time.clock_gettime_ns(time.CLOCK_BOOTTIME) + _ahead) // 1_000_000


def since_start() -> int:
    """The time since this machine was started, nanoseconds: it counts a sleep, and never jumps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def machine_ahead() -> int:
    """How far this machine's own clock is ahead of `since_start`, nanoseconds."""
    return time.time_ns() - since_start()


def follow(ahead: int | None) -> None:
    """From now on follow a clock that is so many nanoseconds ahead of `since_start`; None: this
    machine's own."""
    global _ahead
    _ahead = ahead


def utc(milliseconds: float) -> datetime:
    """A moment as a datetime in UTC; OverflowError outside of the years 1 to 9999."""
    # datetime.fromtimestamp takes floating-point seconds, and loses milliseconds far from 1970.
    return _EPOCH + timedelta(milliseconds=milliseconds)


def iso(milliseconds: float, timespec: str = "milliseconds", sep: str = "T") -> str:
    """A moment as `2026-01-31T12:00:00.000Z` (ISO 8601, RFC 3339).

    `timespec` may be `seconds`. Raises as `utc` does.
    """
    return utc(milliseconds).isoformat(sep, timespec).removesuffix("+00:00") + "Z"


def read_iso(text: str, zone: tzinfo | None = None) -> int:
    """Read a date or time in ISO 8601; returns Unix milliseconds.

    `zone` applies to a text without one. ValueError for any other text, and for one without a zone
    when `zone` is None.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError("the time has no zone")
        moment = moment.replace(tzinfo=zone)
    return (moment - _EPOCH) // timedelta(milliseconds=1)
