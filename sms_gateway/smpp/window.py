"""The parts of one connection that wait for their answers."""

from typing import Generic

from .events import Ticket


class Window(Generic[Ticket]):
    """Sequence numbers under way, with their timers. Times are in seconds, the size in parts."""

    def __init__(self, size: int, *, response_timeout: float, late_timeout: float) -> None:
        self._size = size
        self._response_timeout = response_timeout
        self._late_timeout = late_timeout
        # Both are ordered by time, so that only the first needs a look.
        self._pending: dict[int, tuple[float, Ticket]] = {}
        self._late: dict[int, tuple[float, Ticket]] = {}
        #: The last part that was waited for had its answer.
        self._answering = False
        #: Since when parts have gone without an answer.
        self._silent_since: float | None = None

    def __len__(self) -> int:
        """How many parts wait in time."""
        return len(self._pending)

    def __contains__(self, sequence: int) -> bool:
        """Whether an answer with this number, in time or late, would be for one of the parts."""
        return sequence in self._pending or sequence in self._late

    @property
    def free(self) -> int:
        """How many parts more may be under way.

        Until the first answer, and again after a part that had none, the window is one part: an
        silent SMSC, or one that crashes over a part, then makes few parts uncertain.
        """
        size = self._size if self._answering else 1
        return max(0, size - len(self._pending))

    def deadline(self) -> float:
        """When `expire` will have something to do; infinity for never."""
        firsts = (next(iter(parts.values()))[0] for parts in (self._pending, self._late) if parts)
        return min(firsts, default=float("inf"))

    def add(self, sequence: int, ticket: Ticket, now: float) -> None:
        """A part was submitted."""
        self._pending[sequence] = (now + self._response_timeout, ticket)

    def answered(self, sequence: int) -> Ticket:
        """Which part an answer is for, once. Raises KeyError when it is for none."""
        if sequence in self._pending:
            _, ticket = self._pending.pop(sequence)
        else:
            _, ticket = self._late.pop(sequence)
        self._answering, self._silent_since = True, None
        return ticket

    def expire(self, now: float) -> list[Ticket]:
        """The parts whose time is over; late answers are still recognised for a while."""
        _take_due(self._late, now)
        due = _take_due(self._pending, now)
        for sequence, ticket in due:
            self._late[sequence] = (now + self._late_timeout, ticket)
        if due:
            self._answering = False
            if self._silent_since is None:
                self._silent_since = now
        return [ticket for _, ticket in due]

    def is_silent(self, now: float) -> bool:
        """Whether answers have stayed away for as long as late ones are waited for."""
        return self._silent_since is not None and now - self._silent_since >= self._late_timeout

    def clear(self) -> list[Ticket]:
        """The parts that wait in time; no answer can come any more."""
        tickets = [ticket for _, ticket in self._pending.values()]
        self._pending.clear()
        self._late.clear()
        return tickets


def _take_due(parts: dict[int, tuple[float, Ticket]], now: float) -> list[tuple[int, Ticket]]:
    due = []
    for sequence, (at, ticket) in parts.items():
        if at > now:
            break
        due.append((sequence, ticket))
    for sequence, _ in due:
        del parts[sequence]
    return due
