"""Statements of the accept path: messages, their deliveries, and the record of repeats."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from .tables import delivery, idempotency, message

#: How long a repeat is answered with the first reply, milliseconds.
REMEMBERED = 24 * 3_600_000

_MESSAGE = insert(message)
_DELIVERY = insert(delivery)


def add_messages(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert messages (columns of the table)."""
    connection.execute(_MESSAGE, rows)


def add_deliveries(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert deliveries (columns of the table)."""
    connection.execute(_DELIVERY, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The first reply to an idempotency key."""

    content_hash: bytes
    message_id: str
    sent: int


#: Account id and hash of the key.
IdempotencyKey = tuple[int, bytes]

_REPEATS = (
    select(idempotency)
    .where(
        tuple_(idempotency.c.account_id, idempotency.c.key_hash).in_(
            bindparam("keys", expanding=True)
        )
    )
    .where(idempotency.c.created_at > bindparam("since"))
)


def accepted_before(
    connection: Connection, keys: Collection[IdempotencyKey], now: int
) -> dict[IdempotencyKey, Accepted]:
    """What was accepted under these keys in the last 24 hours."""
    rows = connection.execute(_REPEATS, {"keys": list(keys), "since": now - REMEMBERED})
    return {
        (row.account_id, row.key_hash): Accepted(
            content_hash=row.content_hash, message_id=row.message_id, sent=row.sent
        )
        for row in rows
    }


def remember(connection: Connection, rows: Sequence[dict[str, Any]]) -> set[IdempotencyKey]:
    """Record accepted keys; returns those that were new.

    A key that another process recorded meanwhile is not returned. The rows (columns of the
    table, all with the same created_at) are written in the order of their keys, so that two
    processes never wait for each other in a ring.
    """
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(idempotency)
    fresh = statement.excluded
    recorded = connection.execute(
        statement.on_conflict_do_update(
            index_elements=[idempotency.c.account_id, idempotency.c.key_hash],
            set_={
                "content_hash": fresh.content_hash,
                "message_id": fresh.message_id,
                "sent": fresh.sent,
                "created_at": fresh.created_at,
            },
            where=idempotency.c.created_at <= fresh.created_at - REMEMBERED,
        ).returning(idempotency.c.account_id, idempotency.c.key_hash),
        sorted(rows, key=lambda row: (row["account_id"], row["key_hash"])),
    )
    return {(row.account_id, row.key_hash) for row in recorded}
