"""Deletes messages for good, with all that belongs to them; their counts stay.

On SQLite all old messages are deleted this way. On PostgreSQL most go with their partition
(`periods`). This way go there only those from before there were partitions, and erased ones.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, select, update

from ..sms.ids import first_id
from ..sms.message import State
from ..sms.numbering import international
from . import counts, periods
from .attempts import forget_awaited
from .bulk_rows import BulkRows
from .counts import Count
from .sealed import is_readable
from .tables import delivery, message

#: For how long after its validity a delivery may change, milliseconds: a receipt comes late.
QUIET_AFTER = 86_400_000
#: For how long erased messages stay, milliseconds: a receipt that comes late finds its delivery.
ERASED_KEPT = 7 * 86_400_000
#: The most messages that one transaction deletes: 25 µs of processor time each on SQLite.
AT_ONCE = 250

# States that nothing but a late answer or receipt changes.
_NOT_KNOWN = (State.UNCERTAIN, State.UNKNOWN)
_UNDER_WAY = (State.QUEUED, State.SUBMITTING, State.SUBMITTED)

_MESSAGES = BulkRows("DELETE FROM message WHERE id IN (SELECT id FROM given)", id="text")
_DELIVERIES = [
    BulkRows(f"DELETE FROM {which} IN (SELECT id FROM given)", id="bigint")  # noqa: S608 - ours
    for which in (
        "event WHERE delivery_id",
        "part WHERE delivery_id",
        "step WHERE delivery_id",
        "delivery WHERE id",
    )
]


def old(connection: Connection, *, before: int, after: str) -> list[str]:
    """The next messages after the id `after` that were accepted before a time (milliseconds).

    On PostgreSQL only those that no period has, as a period ends as a whole.
    """
    # An id may be ahead of the time of acceptance.
    chosen = [message.c.id > after, message.c.id < first_id(before + periods.IDS_OFF)]
    bounds = periods.bounds(connection)
    if bounds is None:
        return _accepted(connection, chosen, before)
    first, end = bounds
    found = _accepted(connection, [*chosen, message.c.id < first], before) if after < first else []
    return found or _accepted(connection, [*chosen, message.c.id >= end], before)


def _accepted(
    connection: Connection, chosen: Sequence[ColumnElement[bool]], before: int
) -> list[str]:
    ids = select(message.c.id).where(*chosen, message.c.accepted_at < before)
    return list(connection.execute(ids.order_by(message.c.id).limit(AT_ONCE)).scalars())


def erased(connection: Connection, *, before: int, after: tuple[int, str]) -> list[tuple[int, str]]:
    """The next messages after `after` that were erased before a time: that time, and the id."""
    at, id = after
    rows = connection.execute(
        select(message.c.erased_at, message.c.id)
        .where(message.c.erased_at >= at, message.c.erased_at < before)
        .where((message.c.erased_at > at) | (message.c.id > id))
        .order_by(message.c.erased_at, message.c.id)
        .limit(AT_ONCE)
    )
    return [(row.erased_at, row.id) for row in rows]


def remove(connection: Connection, ids: Collection[str], now: int) -> int:
    """Delete these messages, except those with a delivery that may still change; returns how many.

    A delivery may change until it has an outcome. Where the outcome is not known it may change
    until QUIET_AFTER its validity.
    """
    rows = connection.execute(
        select(
            delivery.c.id,
            delivery.c.message_id,
            delivery.c.recipient,
            delivery.c.country,
            delivery.c.state,
            delivery.c.parts,
            delivery.c.expires_at,
            message.c.account_id,
            message.c.accepted_at,
        )
        .join_from(message, delivery)
        .where(message.c.id.in_(ids))
        # In the order in which workers lock.
        .order_by(delivery.c.id)
        .with_for_update(of=delivery)
    ).all()
    pending = {
        row.message_id
        for row in rows
        if row.state in _UNDER_WAY
        or (row.state in _NOT_KNOWN and row.expires_at > now - QUIET_AFTER)
    }
    counted: dict[Count, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        if row.message_id not in pending:
            country = country_of(row.recipient) if row.country is None else row.country
            key = Count(row.account_id, row.accepted_at // counts.DAY, country, row.state)
            deliveries, parts = counted[key]
            counted[key] = (deliveries + 1, parts + row.parts)
    counts.add(connection, counted)
    gone = [(id,) for id in ids if id not in pending]
    theirs = [(row.id,) for row in rows if row.message_id not in pending]
    if theirs:
        forget_awaited(connection, [id for (id,) in theirs])
        for deletion in _DELIVERIES:
            deletion.run(connection, theirs)
    if gone:
        _MESSAGES.run(connection, gone)
    return len(gone)


def country_of(recipient: str) -> str:
    """The country of a number, as `delivery` has it; empty where the number cannot be read."""
    if not recipient or not is_readable(recipient):
        return ""
    found = international(recipient.removeprefix("+"))
    return "" if found is None else found[1]


def fill_countries(connection: Connection, of: periods.Period, after: int) -> int | None:
    """Fill in the countries of the next deliveries of a period that have none.

    Returns the last delivery that it looked at, or None at the end. Versions before wrote none.
    """
    first = of.number << periods.ID_BITS
    rows = connection.execute(
        select(delivery.c.id, delivery.c.recipient)
        .where(delivery.c.id > max(after, first - 1), delivery.c.id < first + periods.SIZE)
        .where(delivery.c.country.is_(None))
        .order_by(delivery.c.id)
        .limit(_FILLED_AT_ONCE)
    ).all()
    for row in rows:
        connection.execute(
            update(delivery)
            .where(delivery.c.id == row.id)
            .values(country=country_of(row.recipient))
        )
    return rows[-1].id if len(rows) == _FILLED_AT_ONCE else None


_FILLED_AT_ONCE = 500
