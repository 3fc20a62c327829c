"""Limits how often something may be done.

The generic cell rate algorithm (ITU-T I.371) allows a burst, and one more in every interval. Its
state is one time, `free_at`: when the whole burst is allowed again. All times are of one clock and
in one unit, whichever.
"""

from collections import OrderedDict
from typing import TypeVar

_Time = TypeVar("_Time", int, float)


def admit(free_at: _Time, now: _Time, interval: _Time, most: int, count: int = 1) -> _Time | None:
    """The new `free_at` when `count` things are done now, or None when none is allowed yet.

    `most`: the size of a burst. If one thing is allowed, all of `count` are: otherwise a request
    for four would always be refused when the burst is one.
    """
    busy_until = max(free_at, now)
    if busy_until - now > interval * (most - 1):
        return None
    return busy_until + interval * count


class Allowances:
    """An allowance for each name, such as a network. In memory, and bounded."""

    #: The most names that are remembered; those that were idle longest are forgotten first.
    MOST = 10_000

    def __init__(self, most: int, interval: float) -> None:
        """Allow `most` at once, and one more every `interval` (seconds)."""
        self._interval = interval
        # With a margin, so that rounding errors do not refuse the last of a burst.
        self._tolerance = interval * (most - 1) + interval / 1_000
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, name: str, now: float) -> float:
        """Seconds until one is allowed; 0: now."""
        return max(0.0, self._free_at.get(name, now) - now - self._tolerance)

    def use(self, name: str, now: float) -> None:
        """Count one, whether it was allowed or not."""
        self._free_at[name] = max(self._free_at.get(name, now), now) + self._interval
        self._free_at.move_to_end(name)
        if len(self._free_at) > self.MOST:
            self._free_at.popitem(last=False)

    def admit(self, name: str, now: float) -> bool:
        """Whether one is allowed. If so it is counted."""
        if self.wait(name, now):
            return False
        self.use(name, now)
        return True
