"""Decides which queue is full when an SMSC answers 0x14: one handset's, or the bind's."""

#: Fewer different numbers say nothing about the bind (see `pace._FEW`), and ten within ten seconds
#: are one a second: slower than that no pace goes.
_MANY = 10
_WITHIN = 10.0
#: How many of the numbers answered last count. Where a tenth of all handsets is
#: full, half of fifty are by chance once in 10^12 times; where a fifth is, once in a million.
_LAST = 50
#: The bind is full when this share of its submits meets a full queue. Its pace is halved then:
#: when half of the submits are refused, half the pace is what the bind can take.
_SHARE = 0.5
#: How many full handsets are remembered.
_MOST_HANDSETS = 10_000


class FullQueues:
    """Judges the bind by the answers to different numbers.

    `now` is any clock in seconds that never goes back.
    """

    def __init__(self) -> None:
        #: The numbers answered last: whether their queue was full, and when. Oldest first.
        self._last: dict[str, tuple[bool, float]] = {}
        self._full = 0
        #: Handsets that were full while others were not. When they still are, it is no news.
        self._handsets: dict[str, None] = {}

    def accepted(self, number: str, now: float) -> None:
        """An SMSC answered for this number, and not that a queue is full."""
        if self._handsets:
            self._handsets.pop(number, None)
        self._note(number, now, is_full=False)

    def is_bind_full(self, number: str, now: float) -> bool:
        """An SMSC said for this number that a queue is full: whether it is that of the bind."""
        if number in self._handsets:
            return False
        self._note(number, now, is_full=True)
        if self._full >= max(_MANY, len(self._last) * _SHARE):
            return True
        self._handsets[number] = None
        if len(self._handsets) > _MOST_HANDSETS:
            del self._handsets[next(iter(self._handsets))]
        return False

    def _note(self, number: str, now: float, *, is_full: bool) -> None:
        last = self._last
        if number in last:
            self._full -= last.pop(number)[0]
        last[number] = (is_full, now)
        self._full += is_full
        while len(last) > _LAST or next(iter(last.values()))[1] <= now - _WITHIN:
            self._full -= last.pop(next(iter(last)))[0]
