"""Finds messages of any age by their recipient's number, by an index.

An index on numbers alone would double the cost of a delivery in the accept path: numbers come in no
order, so each delivery would change another page. The index is therefore on the block of a delivery
(deliveries that were accepted together) and then on its number: all new deliveries change the few
pages of the newest block. A lookup seeks the number in each block.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    exists,
    func,
    literal_column,
    select,
)

from . import periods
from .plans import by_index
from .sealed import words
from .tables import delivery, message

#: The bits of a delivery's number inside a block. On SQLite a block has 512 deliveries, which fill
#: four pages of the index: accepting costs 0.4 µs more; an index on the numbers alone costs 14 µs.
#: (Measured in November 2026.) PostgreSQL reads more pages for a seek, so that its blocks are
#: larger: 20 million deliveries have 1,220 blocks to seek in.
BITS = {"sqlite": 9, "postgresql": 14}

# How many blocks the first statement searches, and the most that a statement does. It begins with
# few, as a number that gets many messages is in the newest blocks.
_FIRST, _MOST = 32, 2_000


def in_blocks(dialect: str) -> ColumnElement[bool]:
    """A condition: the delivery is in one of some `Blocks`. It is that of the index."""
    block = literal_column(f"(delivery.id >> {BITS[dialect]})", BigInteger)
    found = block.in_(bindparam("blocks", expanding=True, literal_execute=True))
    if dialect == "sqlite":
        return found
    # PostgreSQL knows a partition by the ids themselves only. SQLite would look through them.
    return found & delivery.c.id.between(bindparam("lowest"), bindparam("highest"))


def _deliveries(dialect: str) -> Select[Any]:
    numbers = delivery.c.recipient.in_(bindparam("numbers", expanding=True))
    return select(delivery.c.id, delivery.c.message_id).where(in_blocks(dialect), numbers)


def _messages(deliveries: Select[Any]) -> Select[Any]:
    # MATERIALIZED: the deliveries first, whatever the planner thinks of an account's messages.
    theirs = deliveries.cte("theirs").prefix_with("MATERIALIZED")
    return (
        select(theirs.c.message_id)
        .where(theirs.c.id < bindparam("before"))
        .where(
            exists()
            .where(message.c.id == theirs.c.message_id)
            .where(message.c.account_id == bindparam("account_id"), message.c.erased_at.is_(None))
        )
        .order_by(theirs.c.id.desc())
        .limit(bindparam("most"))
    )


_DELIVERIES = {dialect: _deliveries(dialect) for dialect in BITS}
_MESSAGES = {dialect: _messages(statement) for dialect, statement in _DELIVERIES.items()}


def messages_to(
    connection: Connection, account_id: int, numbers: Sequence[str], *, before: str, most: int
) -> list[str]:
    """The ids of an account's messages to any of these numbers (E.164), newest first.

    `before`: only messages before this id, unless it is empty. Erased messages are left out.
    """
    end = _end(connection, before)
    by_index(connection)
    forms = words(connection, "delivery.recipient", numbers)
    found: dict[str, None] = {}
    for blocks in _blocks(connection, end):
        rows = connection.execute(
            _MESSAGES[connection.dialect.name],
            blocks.given()
            | {
                "numbers": forms,
                "account_id": account_id,
                "before": end,
                # A message may have all of the numbers as recipients.
                "most": most * len(numbers),
            },
        )
        found |= dict.fromkeys(row.message_id for row in rows)
        if len(found) >= most:
            break
    return list(found)[:most]


def deliveries_to(connection: Connection, number: str) -> list[tuple[int, str]]:
    """All deliveries to a number (E.164): their ids, and those of their messages."""
    by_index(connection)
    forms = words(connection, "delivery.recipient", [number])
    statement = _DELIVERIES[connection.dialect.name]
    return [
        (row.id, row.message_id)
        for blocks in _blocks(connection, _NO_END)
        for row in connection.execute(statement, blocks.given() | {"numbers": forms})
    ]


_NO_END = 2**63 - 1


def newest_blocks(connection: Connection, deliveries: int) -> list["Blocks"]:
    """The blocks of the last so many deliveries (about), newest first."""
    bits = BITS[connection.dialect.name]
    most = -(-deliveries >> bits)
    found: list[Blocks] = []
    for blocks in _blocks(connection, _NO_END):
        found.append(blocks._replace(first=max(blocks.first, blocks.end - most)))
        most -= blocks.end - found[-1].first
        if not most:
            break
    return found


def recent(connection: Connection, deliveries: int) -> int:
    """The number from which on there are the last so many deliveries (about)."""
    blocks = newest_blocks(connection, deliveries)
    return blocks[-1].given()["lowest"] if blocks else 0


class Blocks(NamedTuple):
    """Successive blocks of one period."""

    first: int
    end: int
    bits: int

    def given(self) -> dict[str, Any]:
        """The parameters of `in_blocks`."""
        return {
            "blocks": list(range(self.first, self.end)),
            "lowest": self.first << self.bits,
            "highest": (self.end << self.bits) - 1,
        }


def _end(connection: Connection, before: str) -> int:
    """The id of the first delivery of the message `before`; beyond all without."""
    if not before:
        return _NO_END
    first = select(func.min(delivery.c.id)).where(delivery.c.message_id == before)
    return connection.execute(first).scalar_one() or 0


def _blocks(connection: Connection, end: int) -> Iterator[Blocks]:
    """The blocks below a delivery's number, newest first, some at a time."""
    bits, count = BITS[connection.dialect.name], _FIRST
    for first, newest in periods.newest(connection):
        low, top = first >> bits, (min(newest, end - 1) >> bits) + 1
        while top > low:
            yield Blocks(max(low, top - count), top, bits)
            top, count = top - count, min(count * 4, _MOST)
