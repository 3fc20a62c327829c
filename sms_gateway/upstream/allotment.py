"""The limits that all workers keep together, and what one worker may use of them.

A limit is divided into units, which workers hold: those of a window are parts. Units of a rate are
no smaller than what may be written at once, so that the buckets of many workers together hold no
more than that of one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

#: Seconds' worth of the rate that may be written at once. SMSCs count by the second or less, so
#: not more.
BURST = 0.1
#: The most units of a rate; a rate without a limit has as many, for what throttling teaches.
_MOST_UNITS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of an upstream or a route over all workers; math.inf is none."""

    #: Parts per second.
    rate: float = math.inf
    #: The most parts that wait for an answer.
    window: float = math.inf

    @property
    def rate_units(self) -> int:
        """Into how many units the rate is divided."""
        return int(max(1, min(_MOST_UNITS, self.rate * BURST)))

    @property
    def window_units(self) -> int:
        """Into how many units the window is divided; 0 without a window."""
        return 0 if self.window == math.inf else int(self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a worker needs of the limits; math.inf is all that it can get."""

    limits: Limits
    #: Whether its carrier takes messages from this worker now.
    ready: bool
    #: The parts per second and the parts under way that it needs.
    rate: float
    window: float
    #: The parts under way at this moment.
    under_way: int
    #: The parts of the last second.
    speed: float
    #: The parts per second of all workers that throttling has taught it; math.inf for none.
    ceiling: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """What one worker may use of the limits."""

    rate: float
    window: float
    #: The parts per second of all workers together.
    whole: float
    #: The parts that the other workers wrote in the last second.
    others: float
    #: When it ends, by the clock of the event loop.
    until: float


@runtime_checkable
class KeepsLimits(Protocol):
    """An upstream, or a route, with limits that all workers keep together."""

    def ask(self, now: float) -> Ask:
        """What this worker needs; called about once a second. `now`: the event loop's clock."""
        ...

    def allot(self, allotment: Allotment, now: float) -> None:
        """This worker may use so much from now on; before the first call, the whole."""
        ...


def fair_shares(total: int, wants: Sequence[int], ready: Sequence[bool]) -> list[int]:
    """Divide units among workers that want so many each (max-min fairness).

    Those who want less than an even share get what they want. Units that nobody wants are divided
    evenly among the ready, and among all where none is ready, so that they can begin at once. The
    sum is `total`.
    """
    shares = [0] * len(wants)
    left = total
    for number, i in enumerate(sorted(range(len(wants)), key=wants.__getitem__)):
        shares[i] = min(wants[i], left // (len(wants) - number))
        left -= shares[i]
    idle = [i for i, is_ready in enumerate(ready) if is_ready] or range(len(wants))
    for number, i in enumerate(idle):
        more = left // (len(idle) - number)
        shares[i] += more
        left -= more
    return shares
