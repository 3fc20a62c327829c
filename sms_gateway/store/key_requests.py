"""Reads and writes the requests for free keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select, text, update

from .tables import key_request


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """A request for a free key, by mail address."""

    id: int
    address: str
    language: str
    #: The network that the request came from.
    network: str
    #: Unix milliseconds.
    requested_at: int
    expires_at: int
    #: How many times a mail to the address was tried.
    attempts: int
    #: The reason why the last try failed; empty if it did not.
    failure: str
    #: Whether the key was handed out.
    granted: bool


def _request(row: Any) -> KeyRequest:
    return KeyRequest(
        id=row.id,
        address=row.address,
        language=row.language,
        network=row.network,
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        attempts=row.attempts,
        failure=row.failure,
        granted=row.granted_at is not None,
    )


def add(
    connection: Connection,
    *,
    address: str,
    language: str,
    network: str,
    now: int,
    expires_at: int,
    mail_due_at: int | None,
) -> None:
    """Record a request, unless the address has one already."""
    given = {
        "address": address,
        "language": language,
        "network": network,
        "now": now,
        "expires_at": expires_at,
        "mail_due_at": mail_due_at,
    }
    connection.execute(_ADD, given)


# ON CONFLICT, as an error would put the address into the log of PostgreSQL.
_ADD = text(
    """
    INSERT INTO key_request
        (address, language, network, requested_at, expires_at, mail_due_at, attempts, failure)
    VALUES (:address, :language, :network, :now, :expires_at, :mail_due_at, 0, '')
    ON CONFLICT (address) DO NOTHING
    """
)


def drop(connection: Connection, address: str, *, requested_before: int) -> None:
    """Delete the request of an address if it is from before a time."""
    connection.execute(
        delete(key_request).where(
            key_request.c.address == address, key_request.c.requested_at < requested_before
        )
    )


def exists(connection: Connection, address: str) -> bool:
    found = connection.execute(select(key_request.c.id).where(key_request.c.address == address))
    return found.first() is not None


def sweep(connection: Connection, now: int) -> None:
    """Delete expired requests."""
    connection.execute(delete(key_request).where(key_request.c.expires_at <= now))


def count(connection: Connection, *, network: str | None = None, since: int = 0) -> int:
    """How many requests there are since a time, of one network or all."""
    counting = select(func.count()).where(key_request.c.requested_at >= since)
    if network is not None:
        counting = counting.where(key_request.c.network == network)
    return int(connection.execute(counting).scalar_one())


def by_token(connection: Connection, token_hash: bytes, now: int) -> KeyRequest | None:
    """The open request with the token of a link; None when there is none (any more)."""
    return _one(connection, key_request.c.token_hash == token_hash, now)


def by_name(connection: Connection, name: str, now: int) -> KeyRequest | None:
    """The open request with this mail address or id."""
    named = [key_request.c.address == name.lower()]
    if name.isascii() and name.isdigit() and len(name) < 19:
        named.append(key_request.c.id == int(name))
    return _one(connection, or_(*named), now)


def _one(connection: Connection, which: Any, now: int) -> KeyRequest | None:
    row = connection.execute(
        select(key_request)
        .where(which, key_request.c.expires_at > now, key_request.c.granted_at.is_(None))
        .with_for_update()
    ).first()
    return None if row is None else _request(row)


def waiting(connection: Connection, now: int) -> Sequence[KeyRequest]:
    """The open requests, oldest first."""
    rows = connection.execute(
        select(key_request)
        .where(key_request.c.expires_at > now, key_request.c.granted_at.is_(None))
        .order_by(key_request.c.id)
    )
    return [_request(row) for row in rows]


def grant(connection: Connection, id: int, now: int) -> None:
    """Record that the key was handed out; the link ends. The row counts until it expires."""
    connection.execute(
        update(key_request)
        .where(key_request.c.id == id)
        .values(granted_at=now, token_hash=None, mail_due_at=None)
    )


def due(connection: Connection, now: int) -> KeyRequest | None:
    """The next request that is due for a mail.

    It is locked until the transaction ends; other processes skip it.
    """
    row = connection.execute(
        select(key_request)
        .where(key_request.c.mail_due_at <= now, key_request.c.expires_at > now)
        .order_by(key_request.c.mail_due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    return None if row is None else _request(row)


def trying(connection: Connection, id: int, *, token_hash: bytes, again_at: int) -> None:
    """Record that a mail with this token is about to be sent.

    It is sent again at `again_at`, unless `mailed` records a result before.
    """
    connection.execute(
        update(key_request)
        .where(key_request.c.id == id)
        .values(token_hash=token_hash, mail_due_at=again_at, attempts=key_request.c.attempts + 1)
    )


def mailed(connection: Connection, id: int, *, failure: str, again_at: int | None) -> None:
    """Record the result of a mail; it is tried again at `again_at`, unless None."""
    connection.execute(
        update(key_request)
        .where(key_request.c.id == id)
        .values(failure=failure, mail_due_at=again_at)
    )
