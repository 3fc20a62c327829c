"""Finds messages of any age by their recipient's number, by an index.

An index on numbers alone would double the cost of a delivery in the accept path: numbers come in no
order, so each delivery would change another page. The index is therefore on the block of a delivery
(deliveries that were accepted together) and then on its number: all new deliveries change the few
pages of the newest block. A lookup seeks the number in each block.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import BigInteger, Connection, bindparam, exists, func, literal_column, select

from .sealed import words
from .tables import delivery, message

#: The block of a delivery as the index has it. A block has 512 deliveries, which fill about four
#: pages of the index. Accepting then costs 0.4 µs more; an index on the numbers alone costs 14 µs.
#: Ten million deliveries have 20,000 blocks to seek in. (SQLite, measured in November 2026.)
BLOCK = "(id >> 9)"
_BITS = 9

# How many blocks the first statement searches, and the most that a statement does. It begins with
# few, as a number that gets many messages is in the newest blocks.
_FIRST, _MOST = 32, 2_000

_BLOCK = literal_column(BLOCK.replace("id", "delivery.id"), BigInteger)
#: A condition: the delivery is in one of `blocks`.
IN_BLOCKS = _BLOCK.in_(bindparam("blocks", expanding=True, literal_execute=True))
_DELIVERIES = (
    select(delivery.c.id, delivery.c.message_id)
    .where(IN_BLOCKS)
    .where(delivery.c.recipient.in_(bindparam("numbers", expanding=True)))
)
# MATERIALIZED: the deliveries first, whatever the planner thinks of an account's messages.
_THEIRS = _DELIVERIES.cte("theirs").prefix_with("MATERIALIZED")
_MESSAGES = (
    select(_THEIRS.c.message_id)
    .where(_THEIRS.c.id < bindparam("before"))
    .where(
        exists()
        .where(message.c.id == _THEIRS.c.message_id)
        .where(message.c.account_id == bindparam("account_id"), message.c.erased_at.is_(None))
    )
    .order_by(_THEIRS.c.id.desc())
    .limit(bindparam("most"))
)


def messages_to(
    connection: Connection, account_id: int, numbers: Sequence[str], *, before: str, most: int
) -> list[str]:
    """The ids of an account's messages to any of these numbers (E.164), newest first.

    `before`: only messages before this id, unless it is empty. Erased messages are left out.
    """
    end = _end(connection, before)
    forms = words(connection, "delivery.recipient", numbers)
    found: dict[str, None] = {}
    for blocks in _blocks(end):
        rows = connection.execute(
            _MESSAGES,
            {
                "blocks": blocks,
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
    forms = words(connection, "delivery.recipient", [number])
    return [
        (row.id, row.message_id)
        for blocks in _blocks(_end(connection, ""))
        for row in connection.execute(_DELIVERIES, {"blocks": blocks, "numbers": forms})
    ]


def newest_blocks(connection: Connection, most: int) -> list[int]:
    """The blocks of the newest deliveries."""
    top = (_end(connection, "") - 1) >> _BITS
    return list(range(max(0, top - most + 1), top + 1))


def _end(connection: Connection, before: str) -> int:
    """The id of the first delivery of the message `before`; without, the next new id."""
    if before:
        first = select(func.min(delivery.c.id)).where(delivery.c.message_id == before)
        return connection.execute(first).scalar_one() or 0
    newest = connection.execute(select(func.max(delivery.c.id))).scalar_one()
    return (newest or 0) + 1


def _blocks(end: int) -> Iterator[list[int]]:
    """The blocks below a delivery's id, newest first, some at a time."""
    top, count = (end - 1) >> _BITS, _FIRST
    while top >= 0:
        yield list(range(max(0, top - count + 1), top + 1))
        top, count = top - count, min(count * 4, _MOST)
