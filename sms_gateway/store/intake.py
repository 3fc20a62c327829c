"""Statements of the accept path: messages, their deliveries, and the record of repeats."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select

from .bulk import Row, arrays, from_arrays, insert_many
from .tables import delivery, idempotency, message

#: How long a repeat is answered with the first reply, milliseconds.
REMEMBERED = 24 * 3_600_000


def add_messages(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert messages (columns of the table)."""
    insert_many(connection, message, rows)


def add_deliveries(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert deliveries (columns of the table)."""
    insert_many(connection, delivery, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The first reply to an idempotency key."""

    content_hash: bytes
    message_id: str
    sent: int


def repeat_id(account_id: int, idempotency_key: str) -> bytes:
    """What an idempotency key of an account is stored as."""
    return digest(f"{account_id} {idempotency_key}")


def digest(text: str) -> bytes:
    """SHA-256 of a text, whatever characters it holds."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


_REPEATS = (
    select(idempotency)
    .where(idempotency.c.id.in_(bindparam("ids", expanding=True)))
    .where(idempotency.c.created_at > bindparam("since"))
)


def accepted_before(
    connection: Connection, ids: Collection[bytes], now: int
) -> dict[bytes, Accepted]:
    """What was accepted under these keys (see `repeat_id`) in the last 24 hours."""
    rows = connection.execute(_REPEATS, {"ids": list(ids), "since": now - REMEMBERED})
    return {
        row.id: Accepted(content_hash=row.content_hash, message_id=row.message_id, sent=row.sent)
        for row in rows
    }


_REPLACE = insert(idempotency).prefix_with("OR REPLACE", dialect="sqlite")


def remember(connection: Connection, rows: Sequence[Row]) -> set[bytes]:
    """Record accepted keys that `accepted_before` did not find; returns those that were new.

    On PostgreSQL another process may record a key meanwhile: that one is not returned. The rows
    (columns of the table) are written in the order of their keys, so that two processes never
    wait for each other in a ring.
    """
    rows = sorted(rows, key=lambda row: bytes(row["id"]))
    if connection.dialect.name == "sqlite":
        connection.execute(_REPLACE, rows)
        return {row["id"] for row in rows}
    names = tuple(column.name for column in idempotency.c)
    statement = from_arrays(idempotency, names)
    fresh = statement.excluded
    recorded = connection.execute(
        statement.on_conflict_do_update(
            index_elements=[idempotency.c.id],
            set_={name: fresh[name] for name in names if name != "id"},
            where=idempotency.c.created_at <= fresh.created_at - REMEMBERED,
        ).returning(idempotency.c.id),
        arrays(rows, names),
    )
    return set(recorded.scalars())
