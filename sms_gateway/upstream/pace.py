"""How fast one bind may write: a token bucket counted in parts, which throttling slows down."""

import math

#: Seconds' worth of parts that may go at once. SMSCs count by the second or less, so not more.
_BURST = 0.1
#: The factor of a rate when the SMSC throttles, and its gain in a second: back in 14 s.
_SLOWER, _FASTER = 0.5, 1.05
#: Below this sample size (parts in a second) the observed rate is no estimate of the limit.
_FEW = 10
#: One throttled window is one reason to go slower, not fifty. Seconds.
_PATIENCE = 1.0


class Pace:
    """Parts per second; `now` is any clock in seconds that never goes back."""

    def __init__(self, rate: float | None, *, burst: float = _BURST) -> None:
        """`rate` is the most parts per second; None sets no limit until the SMSC throttles.
        `burst`: seconds' worth of parts that may go at once."""
        self._burst = burst
        self._most = rate or math.inf
        self.rate = self._most
        self._tokens = 1.0
        self._refilled = 0.0
        self._patient_until = 0.0
        # Parts written in the second under way and in the one before, to know where a rate that
        # nobody set begins to be too high.
        self._second = 0.0
        self._written = self._written_before = 0

    def free(self, now: float) -> float:
        """How many parts may be written now; math.inf without a limit."""
        self._refill(now)
        return math.floor(self._tokens + 1e-6) if self._tokens < math.inf else math.inf

    def delay(self, now: float) -> float:
        """Seconds until one part may be written."""
        self._refill(now)
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
        self._count(now)
        observed = max(self._written, self._written_before, _FEW)
        self.rate = max(min(self.rate, observed) * _SLOWER, min(1.0, self._most))
        self._tokens = min(self._tokens, 0.0)
        self._patient_until = now + _PATIENCE
        return True

    def _refill(self, now: float) -> None:
        elapsed, self._refilled = now - self._refilled, now
        if self.rate < self._most:
            # An hour's growth is without bounds as good as any, and can still be computed.
            self.rate = min(self._most, self.rate * _FASTER ** min(elapsed, 3_600))
        if self.rate == math.inf:
            self._tokens = math.inf
        else:
            self._tokens = min(
                max(1.0, self.rate * self._burst), self._tokens + elapsed * self.rate
            )

    def _count(self, now: float) -> None:
        if now - self._second >= 1:
            passed = now - self._second < 2
            self._written_before = self._written if passed else 0
            self._written, self._second = 0, now
