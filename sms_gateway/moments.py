"""Moments: Unix milliseconds everywhere, and how people and ISO 8601 write them."""

import time
from datetime import UTC, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """This moment, in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def utc(milliseconds: float) -> datetime:
    """A moment as a datetime in UTC; OverflowError for one that is not in the years 1 to 9999."""
    # datetime.fromtimestamp counts in floating seconds, and loses milliseconds of far years.
    return _EPOCH + timedelta(milliseconds=milliseconds)


def iso(milliseconds: float, timespec: str = "milliseconds", sep: str = "T") -> str:
    """`2026-01-31T12:00:00.000Z` (ISO 8601, RFC 3339); `timespec` may be `seconds`. Raises as
    `utc` does."""
    return utc(milliseconds).isoformat(sep, timespec).removesuffix("+00:00") + "Z"


def read_iso(text: str, zone: tzinfo | None = None) -> int:
    """The Unix milliseconds of a date or time in ISO 8601, which is in `zone` unless it says
    otherwise. ValueError for what is none, or says no zone where there is none to go by."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError("the time has no zone")
        moment = moment.replace(tzinfo=zone)
    return (moment - _EPOCH) // timedelta(milliseconds=1)
