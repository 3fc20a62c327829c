"""Numbers to which a carrier takes nothing for now, such as a handset whose queue is full.

```
 unknown ──refused──► put off ──its pause is over──► one delivery tries ──accepted──► unknown
                         ▲                                  │
                         └────────── refused: a longer pause ┘
```
"""

from ..backoff import pause, spread

#: The pauses of a number, in milliseconds: they double from the first to the longest.
_FIRST, _LONGEST = 1_000, 300_000
#: How many numbers are remembered. A hundred octets each, and one per cent of a million messages.
_MOST = 10_000


class BusyNumbers:
    """Puts off deliveries to a busy number, longer each time; then one delivery tries.

    Times are Unix milliseconds.
    """

    def __init__(self, *, most: int = _MOST) -> None:
        """Of more than `most` numbers the one that was refused longest ago is forgotten."""
        self._most = most
        self._numbers: dict[str, _Busy] = {}

    def refused(self, number: str, now: int, attempt: int = 1) -> int:
        """The carrier takes nothing to this number for now; returns when to try again.

        `attempt`: the delivery's own, which outlives this process.
        """
        busy = self._numbers.pop(number, None) or _Busy()
        if busy.is_tried or now >= busy.until:
            busy.times = max(busy.times + 1, attempt)
            busy.until = now + busy.pause()
            busy.is_tried = False
        # Otherwise it was under way when the number was put off, and is no news.
        self._numbers[number] = busy
        if len(self._numbers) > self._most:
            del self._numbers[next(iter(self._numbers))]
        return busy.until

    def answered(self, number: str) -> None:
        """Something else was said about a part to this number: it is busy no longer."""
        if self._numbers:
            self._numbers.pop(number, None)

    def hold(self, number: str, now: int) -> int:
        """Until when a delivery to this number has to wait; 0 when it may try now.

        After the pause of a busy number the first delivery that asks may try. Later ones wait for
        the outcome of that try, at most for another pause.
        """
        busy = self._numbers.get(number) if self._numbers else None
        if busy is None:
            return 0
        if now < busy.until:
            return busy.until
        busy.until = now + busy.pause()
        busy.is_tried = True
        return 0


class _Busy:
    """The state of one busy number."""

    __slots__ = ("is_tried", "times", "until")

    def __init__(self) -> None:
        #: How many times in a row it was refused, and until when it is put off.
        self.times = self.until = 0
        #: Whether one delivery is trying the number now.
        self.is_tried = False

    def pause(self) -> int:
        return int(spread(pause(self.times, _FIRST, _LONGEST)))
