"""Inserts accepted messages and deliveries, and records idempotency keys for repeats."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect

from ..sms.message import State
from .bulk import insert_rows, later, run, with_marks
from .bulk_rows import BulkRows
from .sealed import Seal, seal_of
from .tables import delivery, message, queue
from .wakes import Topic, ring

#: For how long a repeat gets the first reply, milliseconds.
REMEMBERED = 24 * 3_600_000

#: The columns of a message that accepting sets.
MESSAGE = (
    "id", "account_id", "sender", "text", "encoding", "parts", "accepted_at", "reference", "hops",
)  # fmt: skip
#: The columns of a delivery, and those of its row in the queue besides, that accepting sets.
DELIVERY = ("message_id", "recipient", "route", "parts", "due_at", "expires_at", "country")
QUEUE = ("account_id", "lane", "priority")
# See `tables.delivery`: it is in the queue.
_NEW = (("state", f"'{State.SUBMITTING}'"), ("attempts", "0"), ("possible_duplicate", "false"))
_QUEUED = _NEW[1:]
_SHARED = ("message_id", "route", "parts", "due_at", "expires_at")
_IN_BOTH = [DELIVERY.index(name) for name in _SHARED]


def add_messages(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert messages. `rows`: the values of MESSAGE."""
    insert_rows(connection, message, MESSAGE, rows, execute=later)


def add_deliveries(
    connection: Connection, rows: Sequence[tuple[Any, ...]], queued: Sequence[tuple[Any, ...]]
) -> None:
    """Insert deliveries and queue them. `rows`: the values of DELIVERY; `queued`: those of QUEUE.

    `due_at` in a row is when it may be claimed.
    """
    if connection.dialect.name == "sqlite":
        # Nobody else writes, so the next ids are known.
        ((last,),) = run(connection, "SELECT coalesce(max(id), 0) FROM delivery", ())
        ids = range(last + 1, last + 1 + len(rows))
        insert_rows(
            connection,
            delivery,
            ("id", *DELIVERY),
            [(id, *row) for id, row in zip(ids, rows, strict=True)],
            same=_NEW,
        )
        insert_rows(
            connection,
            queue,
            ("delivery_id", *_SHARED, *QUEUE),
            [
                (id, *[row[n] for n in _IN_BOTH], *more)
                for id, row, more in zip(ids, rows, queued, strict=True)
            ],
            same=_QUEUED,
        )
        ring(connection, Topic.QUEUE)
        return
    columns: tuple[str, ...] = DELIVERY
    if (seal := seal_of(connection.dialect)) is not None:
        columns, rows = seal.rows(delivery, columns, rows)
    arrays = [*zip(*rows, strict=True), *zip(*queued, strict=True)]
    later(connection, _insert_queued(columns, connection.dialect), [*map(list, arrays)])
    ring(connection, Topic.QUEUE)


@lru_cache(maxsize=8)
def _insert_queued(columns: tuple[str, ...], dialect: Dialect) -> str:
    """One statement of PostgreSQL for deliveries and their rows in the queue."""
    kinds = [delivery.c[name].type.compile(dialect) for name in columns]
    kinds += [queue.c[name].type.compile(dialect) for name in QUEUE]
    given = ", ".join(f"?::{kind}[]" for kind in kinds)
    both, shared, new = ", ".join(columns), ", ".join(_SHARED), dict(_NEW)
    return f"""
        WITH given AS MATERIALIZED (
            SELECT nextval('delivery_id_seq') AS id, *
            FROM unnest({given}) AS given ({", ".join((*columns, *QUEUE))})
        ), kept AS (
            INSERT INTO delivery (id, {both}, {", ".join(new)})
            SELECT id, {both}, {", ".join(new.values())} FROM given
        )
        INSERT INTO queue (delivery_id, {shared}, {", ".join(QUEUE)}, attempts, possible_duplicate)
        SELECT id, {shared}, {", ".join(QUEUE)}, 0, false FROM given
    """  # noqa: S608 - names of ours


_PUT_OFF = BulkRows(
    """
    INSERT INTO step (delivery_id, at, part, event, detail)
    SELECT delivery.id, given.at, 0, 'put off', given.why
    FROM given JOIN delivery ON delivery.message_id = given.message_id
    WHERE delivery.due_at = given.due
    """,
    message_id="text",
    due="bigint",
    at="bigint",
    why="text",
)


def tell_put_off(connection: Connection, rows: Sequence[tuple[str, int, int, str]]) -> None:
    """Add to the journal why new deliveries wait: message, until when, time of the step, reason."""
    _PUT_OFF.run(connection, rows, execute=later)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The first reply to an idempotency key."""

    content_hash: bytes
    message_id: str
    sent: int


def repeat_id(account_id: int, idempotency_key: str) -> bytes:
    """The digest under which an idempotency key of an account is stored."""
    return digest(f"{account_id} {idempotency_key}")


def digest(text: str) -> bytes:
    """SHA-256 of a text, which may have lone surrogates."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


# The digests are encrypted too: a digest in clear would confirm a guess of the text.
_ID, _CONTENT = "idempotency.id", "idempotency.content_hash"


def id_forms(connection: Connection, id: bytes) -> list[bytes]:
    """All stored forms of an idempotency id: in clear, and encrypted with each key."""
    seal = seal_of(connection.dialect)
    return [id] if seal is None else seal.octet_forms(_ID, id)


def stored_id(connection: Connection, id: bytes) -> bytes:
    """The form in which an idempotency id is stored now."""
    seal = seal_of(connection.dialect)
    return id if seal is None else seal.octets(_ID, id)


# SQLite's driver is slower with bytes, for which it looks for an adapter.
_Blob = bytearray

_REPEATS = """
    SELECT id, content_hash, message_id, sent FROM idempotency
    WHERE created_at > ? AND id IN (...)
"""


def accepted_before(
    connection: Connection, ids: Collection[bytes], now: int
) -> dict[bytes, Accepted]:
    """The first replies to these keys (see `repeat_id`) in the last 24 hours."""
    seal = seal_of(connection.dialect)
    if seal is not None:
        ids = [form for id in ids for form in seal.octet_forms(_ID, id)]
    blobs = map(_Blob, ids)
    rows = run(connection, with_marks(_REPEATS, len(ids)), (now - REMEMBERED, *blobs))
    if seal is not None:
        rows = [_opened(seal, *row) for row in rows]
    return {
        id: Accepted(content_hash=content_hash, message_id=message_id, sent=sent)
        for id, content_hash, message_id, sent in rows
    }


def _opened(
    seal: Seal, id: bytes, content_hash: bytes, message_id: str, sent: int
) -> tuple[bytes, bytes, str, int]:
    content = seal.opened_octets(_CONTENT, content_hash, message_id)
    return seal.opened_octets(_ID, id), content, message_id, sent


_REMEMBER = """
    INSERT INTO idempotency AS old (id, content_hash, message_id, sent, created_at) VALUES ...
    ON CONFLICT (id) DO UPDATE SET content_hash = excluded.content_hash,
        message_id = excluded.message_id, sent = excluded.sent, created_at = excluded.created_at
        WHERE old.created_at <= excluded.created_at - ?
    RETURNING id
"""


def remember(connection: Connection, repeats: Mapping[bytes, Accepted], now: int) -> set[bytes]:
    """Record accepted keys that `accepted_before` did not find; returns the keys that were new.

    On PostgreSQL another process may record a key meanwhile: that key is not returned. The keys are
    written in sorted order, so that two processes never deadlock.
    """
    seal = seal_of(connection.dialect)
    if seal is not None:
        repeats = {
            seal.octets(_ID, id): replace(
                first, content_hash=seal.octets(_CONTENT, first.content_hash, first.message_id)
            )
            for id, first in repeats.items()
        }
    values = [
        value
        for id, first in sorted(repeats.items())
        for value in (_Blob(id), _Blob(first.content_hash), first.message_id, first.sent, now)
    ]
    statement = with_marks(_REMEMBER, len(repeats), "(?, ?, ?, ?, ?)")
    recorded = run(connection, statement, (*values, REMEMBERED))
    found = {id for (id,) in recorded}
    return found if seal is None else {seal.opened_octets(_ID, id) for id in found}


class Content(NamedTuple):
    """The content of a message, by which a request with the same id is recognised as a repeat."""

    account_id: int
    text: str
    #: E.164 with the plus sign, in the order of the request.
    recipients: tuple[str, ...]
    sender: str
    reference: str
    #: Whether its text or numbers are erased, and so empty.
    erased: bool = False

    def is_repeated_by(self, other: "Content") -> bool:
        """Whether another content is equal. If erased, only account and count are compared."""
        if self.erased:
            alike = self.account_id == other.account_id
            return alike and len(self.recipients) == len(other.recipients)
        return self == other


_NAMED = """
    SELECT message.id, account_id, text, sender, reference, erased_at, recipient
    FROM message JOIN delivery ON delivery.message_id = message.id
    WHERE message.id IN (...) ORDER BY delivery.id
"""


def accepted_as(connection: Connection, ids: Collection[str]) -> dict[str, Content]:
    """The content of the messages with these ids."""
    found: dict[str, Content] = {}
    seal = seal_of(connection.dialect)
    for id, account_id, text, sender, reference, erased_at, recipient in run(
        connection, with_marks(_NAMED, len(ids)), [*ids]
    ):
        if seal is not None:
            text = seal.opened("message.text", text, id)
            sender = seal.opened("message.sender", sender)
            reference = seal.opened("message.reference", reference)
            recipient = seal.opened("delivery.recipient", recipient)
        recipients = (*found[id].recipients, recipient) if id in found else (recipient,)
        erased = erased_at is not None or "" in recipients
        found[id] = Content(account_id, text, recipients, sender, reference, erased)
    return found
