"""Divides the history into periods, which PostgreSQL has partitions for.

SQLite has no partitions: there the table `period` is empty, and everything here does nothing.

The tables message, delivery, part and step have a partition for each period (`delivery_p17`).
Messages are divided by the time in their ids. Deliveries, and with them parts and steps, are
divided by the number of the delivery: period 17 has the numbers from 17 << ID_BITS on. At the
beginning of a period (`enter`) the sequence of these numbers is put forward to the first of the
period. So no delivery is ever without a partition, whatever happens to the one who makes them.

Messages have two more partitions: `message_before` for what was accepted before the partitions were
made, and `message_rest` for ids beyond the last period, which are moved when their period is made.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, select, text

from ..sms.ids import first_id
from .tables import delivery, message, period

#: How many deliveries a period can have, as a power of 2: 6,000 a second for a month.
ID_BITS = 34
SIZE = 1 << ID_BITS
#: History has about so many partitions. Each costs every statement that cannot leave it out 3 µs.
PIECES = 12
#: The `end` of the newest range: more than any number of a delivery.
_NO_END = 2**63 - 1
#: The longest period, days.
LONGEST = 30
#: For how long partitions are made ahead, milliseconds.
AHEAD = 14 * 86_400_000
#: The most that the clocks of two hosts differ, milliseconds. (A host with a clock that is off by
#: more than half a minute accepts nothing.)
CLOCKS = 3_600_000
#: The most that the id of a message is off the time of its acceptance: clients may choose ids whose
#: times are a day off.
IDS_OFF = 86_400_000 + CLOCKS
# One process at a time makes and drops partitions. Arbitrary, but equal in all processes.
_TURN = "SELECT pg_try_advisory_xact_lock(7353768)"

_DAY = 86_400_000


class Period(NamedTuple):
    number: int
    #: Of the ids of messages, Unix milliseconds.
    start_at: int
    end_at: int
    #: Since when deliveries have numbers of this period; None before.
    entered_at: int | None


class Range(NamedTuple):
    """Deliveries from the number `first` until before `end`, and when they were accepted."""

    first: int
    end: int
    #: A delivery in the range was accepted from `since` until before `until`, Unix milliseconds.
    since: int
    until: int

    def has(self) -> ColumnElement[bool]:
        """A condition: the delivery is in the range, and the message may have such a delivery."""
        # A range that ends nowhere names one bound. PostgreSQL expects 1 row in 200 between two
        # bounds of a table that it has not analyzed yet, and would join by them: for each message
        # it would go through all deliveries of the newest partition.
        return and_(
            delivery.c.id >= self.first,
            *([delivery.c.id < self.end] if self.end < _NO_END else []),
            message.c.id >= first_id(max(0, self.since - IDS_OFF)),
            message.c.id < first_id(self.until + IDS_OFF),
            # Spares a look for the deliveries of messages at either end.
            message.c.accepted_at >= self.since,
            message.c.accepted_at < self.until,
        )


def days_of(history_days: int | None) -> int:
    """How many days a period has, where history is kept for so many days."""
    return LONGEST if history_days is None else min(LONGEST, math.ceil(history_days / PIECES))


def has_turn(connection: Connection) -> bool:
    """Whether this transaction may make and drop partitions: no other does at the same time."""
    return bool(connection.execute(text(_TURN)).scalar_one())


def wait_briefly(connection: Connection) -> None:
    """Have the transaction give up when it waits for a lock: others queue up behind it."""
    connection.execute(text("SET LOCAL lock_timeout = '100ms'"))


def periods(connection: Connection) -> list[Period]:
    """All periods, oldest first."""
    rows = connection.execute(select(period).order_by(period.c.number))
    return [Period(row.number, row.start_at, row.end_at, row.entered_at) for row in rows]


def missing(connection: Connection, *, now: int, days: int) -> Iterator[Period]:
    """The periods to be made, so that there are enough for `AHEAD`."""
    known = periods(connection)
    if not known:
        return
    number, end = known[-1].number, known[-1].end_at
    while end < now + AHEAD:
        number, start, end = number + 1, end, max(end + days * _DAY, now // _DAY * _DAY)
        yield Period(number, start, end, None)


def make(connection: Connection, new: Period) -> None:
    """Make the partitions of a period."""
    _call(connection, "history_make", new.number, new.start_at, new.end_at)


def enter(connection: Connection, now: int) -> int | None:
    """Give new deliveries the numbers of the present period; returns when the next one begins."""
    known = periods(connection)
    for each in known:
        if each.entered_at is None and each.start_at <= now:
            _call(connection, "history_enter", each.number, now)
    return min((each.start_at for each in known if each.start_at > now), default=None)


def over(connection: Connection, before: int) -> list[Period]:
    """The periods whose messages and deliveries all are from before a time."""
    known = periods(connection)
    return [
        each
        for each, following in pairwise(known)
        if each.end_at <= before
        and following.entered_at is not None
        and following.entered_at <= before
    ]


def detach(connection: Connection, old: Period, quiet_since: int) -> int | None:
    """Count a period, and take its partitions out of the history; returns how many messages it had.

    None when a delivery of it may still change: it is not over, or without an outcome and valid
    after `quiet_since` (milliseconds).
    """
    messages: int | None = _call(connection, "history_detach", old.number, quiet_since)
    return messages


def drop(connection: Connection) -> None:
    """Drop the partitions that were detached."""
    _call(connection, "history_drop")


def _call(connection: Connection, function: str, *values: int) -> int | None:
    called = getattr(func, function)(*values)
    found: int | None = connection.execute(select(called)).scalar()
    return found


def bounds(connection: Connection) -> tuple[str, str] | None:
    """The first id of a message that is in a period, and the first beyond all; None without any."""
    known = periods(connection)
    return (first_id(known[0].start_at), first_id(known[-1].end_at)) if known else None


def ranges(connection: Connection) -> list[Range]:
    """The ranges that deliveries are in, newest first."""
    known = [p for p in periods(connection) if p.entered_at is not None]
    firsts = [0, *(p.number << ID_BITS for p in known)]
    times = [0, *(p.entered_at or 0 for p in known)]
    found = [
        Range(first, end, since - CLOCKS, until + CLOCKS)
        for first, end, since, until in zip(
            firsts, [*firsts[1:], _NO_END], times, [*times[1:], 2**62], strict=True
        )
    ]
    return found[::-1]


def newest(connection: Connection) -> Sequence[tuple[int, int]]:
    """The first and the newest delivery of each period that has any, newest first."""
    found = []
    for each in ranges(connection):
        top = select(func.max(delivery.c.id)).where(
            delivery.c.id >= each.first, delivery.c.id < each.end
        )
        if (number := connection.execute(top).scalar_one()) is not None:
            found.append((each.first, number))
    return found
