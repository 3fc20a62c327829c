"""Counts the deliveries of each day: those of deleted messages are kept as sums."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from ..sms.ids import first_id
from ..sms.message import State
from .bulk_rows import BulkRows
from .tables import account, daily_count, delivery, message

#: A day, milliseconds. Days are whole days since 1970, UTC.
DAY = 86_400_000


class Count(NamedTuple):
    """What deliveries are counted by."""

    account_id: int
    day: int
    #: ISO code, 001 for a number of no country, empty where the country is not known.
    country: str
    state: str


_ADD = BulkRows(
    """
    INSERT INTO daily_count AS old (account_id, day, country, state, deliveries, parts)
    SELECT account_id, day, country, state, deliveries, parts FROM given WHERE true
    ON CONFLICT (account_id, day, country, state) DO UPDATE
    SET deliveries = old.deliveries + excluded.deliveries, parts = old.parts + excluded.parts
    """,
    account_id="bigint",
    day="integer",
    country="text",
    state="text",
    deliveries="bigint",
    parts="bigint",
)


def add(connection: Connection, counted: Mapping[Count, tuple[int, int]]) -> None:
    """Add deliveries and parts to the sums, in the transaction that deletes them."""
    if counted:
        _ADD.run(connection, [(*count, *numbers) for count, numbers in sorted(counted.items())])


def kept(connection: Connection, account_id: int, since: int) -> dict[tuple[int, State], int]:
    """The deleted deliveries of an account from a day on, by day and state."""
    rows = connection.execute(
        select(daily_count.c.day, daily_count.c.state, func.sum(daily_count.c.deliveries))
        .where(daily_count.c.account_id == account_id, daily_count.c.day >= since)
        .group_by(daily_count.c.day, daily_count.c.state)
    )
    return {(row[0], State(row[1])): int(row[2]) for row in rows}


class Total(NamedTuple):
    """The deliveries of a day, whether their messages are still there or not."""

    day: int
    #: The name of the key; empty when the key was deleted.
    account: str
    country: str
    state: str
    deliveries: int
    parts: int


def totals(
    connection: Connection, *, since: int, until: int, name: str | None = None
) -> Iterator[Total]:
    """The counts from one day until before another, by day, account, country and state.

    It reads the messages of these days, which takes about 1 s for a million.
    """
    day = message.c.accepted_at.op("/")(DAY).label("day")
    country = func.coalesce(delivery.c.country, "").label("country")
    there = (
        select(message.c.account_id, day, country, delivery.c.state)
        .add_columns(func.count().label("deliveries"), func.sum(delivery.c.parts).label("parts"))
        .join_from(message, delivery)
        .where(message.c.accepted_at >= since * DAY, message.c.accepted_at < until * DAY)
        # An id may be off the time of acceptance by a day, and clocks by some more.
        .where(message.c.id >= first_id(max(0, since - 2) * DAY))
        .where(message.c.id < first_id((until + 2) * DAY))
        .group_by(message.c.account_id, "day", "country", delivery.c.state)
    )
    deleted = select(*daily_count.columns).where(
        daily_count.c.day >= since, daily_count.c.day < until
    )
    every = there.union_all(deleted).subquery()
    summed = (
        select(
            every.c.day,
            account.c.name,
            account.c.deleted_at,
            every.c.country,
            every.c.state,
            func.sum(every.c.deliveries).label("deliveries"),
            func.sum(every.c.parts).label("parts"),
        )
        .join_from(every, account, account.c.id == every.c.account_id)
        .group_by(
            every.c.day, account.c.id, account.c.name, account.c.deleted_at,
            every.c.country, every.c.state,
        )
        .order_by(every.c.day, account.c.name, every.c.country, every.c.state)
    )  # fmt: skip
    if name is not None:
        summed = summed.where(account.c.name == name)
    for row in connection.execute(summed):
        yield Total(
            day=row.day,
            account=row.name if row.deleted_at is None else "",
            country=row.country,
            state=row.state,
            deliveries=int(row.deliveries),
            parts=int(row.parts),
        )
