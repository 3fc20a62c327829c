"""Reads and writes the sessions of the pages."""

from sqlalchemy import Connection, delete, insert, select

from ..accounts import Account
from . import accounts
from .tables import account, session


def begin(connection: Connection, token_hash: bytes, account_id: int, expires_at: int) -> None:
    connection.execute(
        insert(session).values(token_hash=token_hash, account_id=account_id, expires_at=expires_at)
    )


def account_of(connection: Connection, token_hash: bytes, now: int) -> Account | None:
    """The account of a session; None when the session is over."""
    id = connection.execute(
        select(session.c.account_id)
        .join_from(session, account)
        .where(session.c.token_hash == token_hash, session.c.expires_at > now)
        .where(account.c.enabled)
    ).scalar_one_or_none()
    return None if id is None else accounts.by_id(connection, id)


def end(connection: Connection, token_hash: bytes) -> None:
    connection.execute(delete(session).where(session.c.token_hash == token_hash))


def sweep(connection: Connection, now: int) -> None:
    """Delete expired sessions."""
    connection.execute(delete(session).where(session.c.expires_at <= now))
