"""Computes until when a message waits in quiet hours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from ..moments import utc
from ..sms import numbering
from ..sms.timezones import zones

# By then it has been every time of day in every zone.
_FAR = timedelta(hours=48)
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """A daily window from `start` to before `end`, which may be after midnight."""

    start: time
    end: time
    #: The time zone of the hours; None: that of the recipient's country.
    zone: ZoneInfo | None = None

    @classmethod
    def parse(cls, hours: str, zone: str = "") -> "QuietHours":
        """Read `21:00-08:00` and the name of a time zone (`Europe/Brussels`, or empty).

        ValueError for any other text.
        """
        match = _HOURS.fullmatch(hours)
        if match is None or match.group(1, 2) == match.group(3, 4):
            raise ValueError("quiet hours are written 21:00-08:00")
        start, end = (time(int(match[n]), int(match[n + 1])) for n in (1, 3))
        try:
            return cls(start=start, end=end, zone=ZoneInfo(zone) if zone else None)
        except (KeyError, ValueError, OSError):
            raise ValueError("a time zone is written Europe/Brussels") from None

    def __str__(self) -> str:
        where = "the recipient's country" if self.zone is None else str(self.zone)
        return f"{self.start:%H:%M}-{self.end:%H:%M} in {where}"

    def until(self, number: str, now: int) -> int | None:
        """When a message to a number (E.164) may go, Unix milliseconds; None if it may go now.

        In a country with several time zones the hours must be over in all of them. If there is no
        such time, the message may go when the hours are over in the zones that have them now.
        """
        clocks: Sequence[tzinfo] = (self.zone,) if self.zone else zones(_country(number)) or (UTC,)
        moment = utc(now)
        first = self._end(moment, clocks)
        end = first
        while end is not None and (next_end := self._end(end, clocks)) is not None:
            if next_end - moment > _FAR:
                end = first
                break
            end = next_end
        return None if end is None else int(end.timestamp() * 1_000)

    def _end(self, moment: datetime, clocks: Sequence[tzinfo]) -> datetime | None:
        """When the quiet hours at a moment are over by all of these clocks (UTC); None outside."""
        ends = [end for clock in clocks if (end := self._end_by(moment, clock)) is not None]
        return max(ends, default=None)

    def _end_by(self, moment: datetime, clock: tzinfo) -> datetime | None:
        local = moment.astimezone(clock)
        at = local.time()
        if self.start < self.end:
            quiet, days = self.start <= at < self.end, 0
        else:
            quiet, days = at >= self.start or at < self.end, int(at >= self.start)
        if not quiet:
            return None
        day = local.date() + timedelta(days=days)
        return datetime.combine(day, self.end, clock).astimezone(UTC)


def _country(number: str) -> str:
    found = numbering.international(number.removeprefix("+"))
    return found[1] if found is not None else ""
