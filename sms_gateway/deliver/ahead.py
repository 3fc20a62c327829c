"""How many parts to claim before there is room for them, so that room never waits for a commit.

After a crash nobody knows which of the claimed parts were written: a record of that would have to
be on disk before each of them is. So no more are claimed ahead than get room while a claim takes.
"""

import math

#: How much more than was needed lately: commits take now more, now less.
_SPARE = 1.5
#: Seconds over which answers are counted, and the weight of the last claim in the average.
_COUNTED, _WEIGHT = 0.25, 0.2


class Ahead:
    """Measures one upstream; `now` and the like are any clock in seconds that never goes back."""

    def __init__(self) -> None:
        self._took = 0.0
        self._answers = 0
        self._since = -math.inf
        self._per_second = 0.0

    def answered(self) -> None:
        """A part was answered, which makes room for another."""
        self._answers += 1

    def claimed(self, began: float, now: float) -> int:
        """A claim is over; returns how many parts to claim ahead from now on."""
        self._took += (now - began - self._took) * _WEIGHT
        elapsed = now - self._since
        if elapsed >= _COUNTED:
            self._per_second = self._answers / elapsed
            self._answers, self._since = 0, now
        return math.ceil(self._per_second * self._took * _SPARE)
