"""Statements of the accept path: messages, their deliveries, and the record of repeats."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from .bulk import Row, insert_many, run, with_marks
from .tables import delivery, message

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


_REPEATS = """
    SELECT id, content_hash, message_id, sent FROM idempotency
    WHERE created_at > ? AND id IN (...)
"""


def accepted_before(
    connection: Connection, ids: Collection[bytes], now: int
) -> dict[bytes, Accepted]:
    """What was accepted under these keys (see `repeat_id`) in the last 24 hours."""
    rows = run(connection, with_marks(_REPEATS, len(ids)), (now - REMEMBERED, *ids))
    return {
        id: Accepted(content_hash=content_hash, message_id=message_id, sent=sent)
        for id, content_hash, message_id, sent in rows
    }


_REMEMBER = """
    INSERT INTO idempotency AS old (id, content_hash, message_id, sent, created_at) VALUES ...
    ON CONFLICT (id) DO UPDATE SET content_hash = excluded.content_hash,
        message_id = excluded.message_id, sent = excluded.sent, created_at = excluded.created_at
        WHERE old.created_at <= excluded.created_at - ?
    RETURNING id
"""


def remember(connection: Connection, rows: Sequence[Row]) -> set[bytes]:
    """Record accepted keys that `accepted_before` did not find; returns those that were new.

    On PostgreSQL another process may record a key meanwhile: that one is not returned. The rows
    (columns of the table) are written in the order of their keys, so that two processes never
    wait for each other in a ring.
    """
    columns = ("id", "content_hash", "message_id", "sent", "created_at")
    values = [row[c] for row in sorted(rows, key=lambda row: bytes(row["id"])) for c in columns]
    statement = with_marks(_REMEMBER, len(rows), "(?, ?, ?, ?, ?)")
    recorded = run(connection, statement, (*values, REMEMBERED))
    return {id for (id,) in recorded}
