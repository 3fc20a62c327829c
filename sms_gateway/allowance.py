"""Allowances: how often something may be done.

The generic cell rate algorithm (ITU-T I.371): so many at once, and one more in every interval. The
whole state is one time, `free_at`, at which all of the allowance will be there again. Times are of
any clock and in any unit, the same for all.
"""

from collections import OrderedDict
from typing import TypeVar

_Time = TypeVar("_Time", int, float)


def admit(free_at: _Time, now: _Time, interval: _Time, most: int, count: int = 1) -> _Time | None:
    """The new `free_at` when `count` things are done now, or None when nothing may be done yet.

    Any allowance that is left, of `most` in all, is enough for all of `count`: otherwise a request
    for four would be refused for ever where one may be done at once.
    """
    busy_until = max(free_at, now)
    if busy_until - now > interval * (most - 1):
        return None
    return busy_until + interval * count


class Allowances:
    """The allowance of each network, or of whoever has a name. In memory, and bounded."""

    #: Names that are remembered; beyond it those idle longest are forgotten.
    MOST = 10_000

    def __init__(self, most: int, interval: float) -> None:
        """`most` at once, and one more every `interval` (seconds)."""
        self._interval = interval
        # Sums of fractions are a little off, and must not cost the last of a burst.
        self._tolerance = interval * (most - 1) + interval / 1_000
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, name: str, now: float) -> float:
        """Seconds until one may be done; 0 is now."""
        return max(0.0, self._free_at.get(name, now) - now - self._tolerance)

    def use(self, name: str, now: float) -> None:
        """One was done, whether it might be or not."""
        self._free_at[name] = max(self._free_at.get(name, now), now) + self._interval
        self._free_at.move_to_end(name)
        if len(self._free_at) > self.MOST:
            self._free_at.popitem(last=False)

    def admit(self, name: str, now: float) -> bool:
        """Whether one may be done, which is counted then; otherwise it costs nothing."""
        if self.wait(name, now):
            return False
        self.use(name, now)
        return True
