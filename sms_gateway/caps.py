"""Defines caps: how many parts may be accepted in a minute, hour, day or month (UTC)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from .moments import utc

_EPOCH = utc(0)


class Period(StrEnum):
    """The length of a window, named as in PostgreSQL's `date_trunc`."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    def start(self, now: int) -> int:
        """The start of the window of `now`; both in Unix milliseconds."""
        moment = utc(now).replace(second=0, microsecond=0)
        if self is not Period.MINUTE:
            moment = moment.replace(minute=0)
        if self in (Period.DAY, Period.MONTH):
            moment = moment.replace(hour=0)
        if self is Period.MONTH:
            moment = moment.replace(day=1)
        return (moment - _EPOCH) // timedelta(milliseconds=1)

    def end(self, start: int) -> int:
        """The end of the window that began at `start`."""
        # 32 days after its start, a month is over and the next is not.
        return self.start(start + _LATER[self])


# Milliseconds from the start of a window to a moment of the next one.
_LATER = {
    Period.MINUTE: 60_000,
    Period.HOUR: 3_600_000,
    Period.DAY: 86_400_000,
    Period.MONTH: 32 * 86_400_000,
}
_UNITS = {"min": Period.MINUTE, "h": Period.HOUR, "day": Period.DAY, "month": Period.MONTH}
_CAP = re.compile(r"([1-9][0-9]{0,8})/(min|h|day|month)")


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `parts` in every window of a period."""

    parts: int
    period: Period

    @classmethod
    def parse(cls, text: str) -> "Cap":
        """Read `20/h`, `500/day` and so on; ValueError says what is allowed."""
        match = _CAP.fullmatch(text)
        if match is None:
            raise ValueError("a cap is written 5/min, 20/h, 500/day or 10000/month")
        return cls(int(match[1]), _UNITS[match[2]])

    def __str__(self) -> str:
        unit = next(name for name, period in _UNITS.items() if period is self.period)
        return f"{self.parts}/{unit}"


class Counts(StrEnum):
    """The parts that a counter counts. A scope is this word, and a name after a blank."""

    #: Of an account, by its id.
    KEY = "key"
    #: Of all accounts.
    TOTAL = "total"
    #: To all numbers with a prefix of the settings.
    PREFIX = "prefix"
    #: To a number, of all keys, or of free keys.
    NUMBER = "number"
    FREE_NUMBER = "free-number"
    #: To the thousand numbers that differ in their last three digits only.
    RANGE = "range"
    FREE_RANGE = "free-range"
    #: Free keys, not parts, that were handed out to a network.
    NETWORK = "network"


#: The numbers of a range differ in so many last digits. Numbers for artificially inflated traffic
#: are rented in blocks of at least a hundred, mostly of a thousand.
RANGE_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCaps:
    """The caps of the settings: for all keys, and for free keys."""

    total: Cap | None = None
    number: Cap | None = None
    range: Cap | None = None
    #: By prefix, digits after the plus sign.
    prefixes: Mapping[str, Cap] = field(default_factory=dict)
    free_key: Cap | None = None
    free_number: Cap | None = None
    free_range: Cap | None = None
    #: The only countries that free keys may send to; None is every country.
    free_countries: frozenset[str] | None = None

    def of_key(self, own: tuple[Cap, ...] | None, *, free: bool) -> tuple[Cap, ...]:
        """All caps of a key with these caps of its own."""
        own = own or ()
        return (*own, self.free_key) if free and self.free_key is not None else own

    def reach(self, country: str) -> bool:
        """Whether free keys may send to a country (ISO 3166)."""
        return self.free_countries is None or country in self.free_countries

    @property
    def is_for_all(self) -> bool:
        """Whether a cap counts the parts of all keys."""
        return bool(self.total or self.number or self.range or self.prefixes)


NO_CAPS = OperatorCaps()
