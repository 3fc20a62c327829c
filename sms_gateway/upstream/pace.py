"""How fast this process may write to an upstream, or on a route.

The rate is a token bucket counted in parts, which throttling slows down. Rate and window are those
of all workers together: `deliver/sharing.py` allots each process its share.
"""

import math

from .allotment import BURST, Allotment, Ask, Limits

#: The factor of a rate when the SMSC throttles, and its gain in a second: back in 14 s.
_SLOWER, _FASTER = 0.5, 1.05
#: Below this sample size (parts in a second) the observed rate is no estimate of the limit.
_FEW = 10
#: One throttled window is one reason to go slower, not fifty. Seconds.
_PATIENCE = 1.0
#: For how long a process that used all of its share asks for more, seconds.
_SHORT = 2.0
#: How much more than it used last a process asks for that had enough.
_SPARE = 1.25
#: Seconds until a process without a share asks again whether it has one; it is also told.
_NO_SHARE = 1.0


class Pace:
    """Parts per second and under way; `now` is any clock in seconds that never goes back."""

    def __init__(
        self, rate: float | None, window: float | None = None, *, burst: float = BURST
    ) -> None:
        """`rate` is the most parts per second; None sets no limit until the SMSC throttles.
        `window`: the most parts under way; None sets no limit. `burst`: seconds' worth of parts
        that may go at once."""
        self.limits = Limits(rate=rate or math.inf, window=window or math.inf)
        self._burst = burst
        self._most = self._whole = self.limits.rate
        self.rate = self._most
        self.window = self.limits.window
        self._until = math.inf
        self._tokens = 1.0
        self._refilled = 0.0
        self._patient_until = 0.0
        # Parts written in the second under way and in the one before, to know where a rate that
        # nobody set begins to be too high.
        self._second = 0.0
        self._written = self._written_before = 0
        # What is shared: what throttling taught for all workers, what the others write, and until
        # when this one asks for more.
        self._ceiling = math.inf
        self._asked_at = self._slowed_at = -math.inf
        self._others = 0.0
        self._was_ready = False
        self._rate_short_until = self._window_short_until = -math.inf
        self._peak = 0

    def room(self, now: float, under_way: int) -> float:
        """How many parts may be written now, with so many under way; math.inf without a limit."""
        self._peak = max(self._peak, under_way)
        if under_way >= self.window > 0:
            self._window_short_until = now + _SHORT
        return max(0, min(self.free(now), self.window - under_way))

    def free(self, now: float) -> float:
        """How many parts the rate allows now; math.inf without a limit."""
        self._refill(now)
        if now >= self._until:
            return 0
        free = math.floor(self._tokens + 1e-6) if self._tokens < math.inf else math.inf
        if not free and self._most:
            self._rate_short_until = now + max(_SHORT, 2 / self.rate)
        return free

    def delay(self, now: float) -> float:
        """Seconds until one part may be written."""
        self._refill(now)
        if now >= self._until or not self.rate:
            return _NO_SHARE
        return max(0.0, (1 - self._tokens) / self.rate)

    def written(self, parts: int, now: float) -> None:
        """So many parts were written."""
        self._refill(now)
        self._tokens -= parts
        self._count(now)
        self._written += parts

    def slow_down(self, now: float) -> bool:
        """The SMSC throttled. False when the rate was lowered for that a moment ago."""
        if now < self._patient_until:
            return False
        self._refill(now)
        speed = self._speed(now)
        observed = max(speed, _FEW)
        self.rate = max(min(self.rate, observed) * _SLOWER, min(1.0, self._most))
        # The SMSC counts what all workers write.
        self._ceiling = max(
            min(self._whole, max(speed + self._others, _FEW)) * _SLOWER, min(1.0, self.limits.rate)
        )
        self._slowed_at = now
        self._tokens = min(self._tokens, 0.0)
        self._patient_until = now + _PATIENCE
        return True

    def ask(self, now: float, under_way: int, *, ready: bool = True) -> Ask:
        """What this process needs of the limits. `ready`: see `Ask`."""
        if self._ceiling < math.inf:
            self._ceiling *= _FASTER ** min(now - max(self._asked_at, self._slowed_at), 3_600)
        if self._ceiling >= min(self.limits.rate, 1e9):
            self._ceiling = math.inf
        self._asked_at = now
        if ready and not self._was_ready:
            # It begins with an even share, and gives back what it does not need.
            self._rate_short_until = self._window_short_until = now + _SHORT
        self._was_ready = ready
        speed, peak = self._speed(now), max(self._peak, under_way)
        self._peak = under_way
        rate = math.inf if now < self._rate_short_until else speed * _SPARE
        window = math.inf if now < self._window_short_until else peak * _SPARE
        return Ask(
            limits=self.limits,
            ready=ready,
            rate=rate if ready else 0.0,
            window=window if ready else 0.0,
            under_way=under_way,
            speed=speed,
            ceiling=self._ceiling,
        )

    def allot(self, allotment: Allotment, now: float) -> None:
        """This process may use so much from now on."""
        self._refill(now)
        if allotment.rate == math.inf:
            self._tokens = math.inf
        elif self._most == math.inf or (not allotment.rate and now < allotment.until):
            # What others may write now does not wait in this bucket.
            self._tokens = min(self._tokens, 0.0)
        # What was throttled since it asked is not in the allotment yet.
        slowed = self.rate if self._slowed_at >= self._asked_at else math.inf
        self._most, self.window = allotment.rate, allotment.window
        self._whole, self._others = allotment.whole, allotment.others
        self._until = allotment.until
        self.rate = min(self._most, slowed)
        if self.rate < math.inf:
            self._tokens = min(self._tokens, self._bucket())

    def _refill(self, now: float) -> None:
        elapsed, self._refilled = now - self._refilled, now
        if self.rate < self._most:
            # An hour's growth is without bounds as good as any, and can still be computed.
            self.rate = min(self._most, self.rate * _FASTER ** min(elapsed, 3_600))
        if self.rate == math.inf:
            self._tokens = math.inf
        elif now < self._until:
            self._tokens = min(self._bucket(), self._tokens + elapsed * self.rate)

    def _bucket(self) -> float:
        return max(1.0, self.rate * self._burst)

    def _speed(self, now: float) -> int:
        """How many parts were written in a second."""
        self._count(now)
        return max(self._written, self._written_before)

    def _count(self, now: float) -> None:
        if now - self._second >= 1:
            passed = now - self._second < 2
            self._written_before = self._written if passed else 0
            self._written, self._second = 0, now
