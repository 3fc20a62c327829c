"""Deletes accounts, with their keys, addresses and history.

`close` ends the use of the account in one transaction. `Deletion` then erases the messages that it
sent and received, in steps of at most `erase.AT_ONCE` rows, so that others can write in between.
The rows of messages stay, without text and number, for a worker or a late receipt that writes about
them.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select, update

from ..sms.message import State
from . import erase
from .queue import end_queued
from .sealed import words
from .tables import (
    account,
    claim,
    delivery,
    event,
    incoming_part,
    key_request,
    keyword,
    message,
    number,
    old_key,
    queue,
    received,
    session,
    stop,
)

#: The reason in the journal when a queued message of a deleted account is not sent.
DELETED = "the key is deleted"
#: The beginning of the name of a deleted account; no key can have such a name.
NAMELESS = "\x7f"
# For how long a closed account is checked for new messages, milliseconds. A process that had read
# the account before may still have accepted one.
_LOOKED_AT = 24 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """How many messages, events and so on an account has."""

    #: Messages sent that are not erased yet.
    sent: int
    #: The deliveries of these that are queued, and that a worker is handing to a carrier.
    waiting: int
    submitting: int
    received: int
    #: The events that its callback has not accepted yet.
    events: int
    sessions: int
    #: Recipients who have asked it to stop.
    stops: int
    #: Its dedicated numbers, digits.
    numbers: tuple[str, ...]


def holdings(connection: Connection, account_id: int) -> Holdings:
    """What deleting an account would delete. Counting takes about 1 s for a million messages."""

    def count(table: Table) -> int:
        counting = select(func.count()).select_from(table).where(table.c.account_id == account_id)
        return int(connection.execute(counting).scalar_one())

    states = _pending(connection, account_id)
    sent = select(func.count()).where(
        message.c.account_id == account_id, message.c.erased_at.is_(None)
    )
    digits = select(number.c.digits).where(number.c.account_id == account_id)
    return Holdings(
        sent=int(connection.execute(sent).scalar_one()),
        waiting=states.get(State.QUEUED, 0),
        submitting=states.get(State.SUBMITTING, 0),
        received=count(received),
        events=count(event),
        sessions=count(session),
        stops=count(stop),
        numbers=tuple(sorted(connection.execute(digits).scalars())),
    )


def _pending(connection: Connection, account_id: int) -> dict[str, int]:
    """How many deliveries of an account have not gone out, by state."""
    return {
        state: connection.execute(
            select(func.count()).select_from(table).where(table.c.account_id == account_id)
        ).scalar_one()
        for state, table in ((State.QUEUED, queue), (State.SUBMITTING, claim))
    }


def close(connection: Connection, name: str, now: int) -> int | None:
    """End the use of an account; returns its id, also when it was closed before, or None.

    The transaction deletes its keys, mail address, numbers, sessions, callback and its request for
    a free key. Its name stays taken until all of its history is erased.
    """
    # The account first, in the order in which accepting locks.
    row = connection.execute(
        select(account.c.id, account.c.deleted_at).where(account.c.name == name).with_for_update()
    ).one_or_none()
    if row is None or row.deleted_at is not None:
        return None if row is None else int(row.id)
    id = int(row.id)
    connection.execute(
        update(account)
        .where(account.c.id == id)
        .values(
            # Random: no key has this digest.
            key_hash=secrets.token_bytes(32),
            key_hint="",
            enabled=False,
            rate_count=None,
            rate_period=None,
            countries=None,
            sender="",
            senders=None,
            mail_address=f"{NAMELESS}{id}",
            mail_senders=None,
            stops=0,
            callback_url="",
            callback_secret="",
            callback_failing_since=None,
            callback_paused_at=None,
            callback_paused_reason="",
            version=account.c.version + 1,
            deleted_at=now,
        )
    )
    owned = select(number.c.digits).where(number.c.account_id == id)
    theirs = connection.execute(owned).scalars().all()
    forms = [form for digits in theirs for form in (digits, f"+{digits}", f"00{digits}")]
    stored = words(connection, "incoming_part.recipient", forms)
    connection.execute(delete(incoming_part).where(incoming_part.c.recipient.in_(stored)))
    # Those of others on its numbers, too: a number without an account is shared by none.
    orphaned = words(connection, "keyword.digits", theirs)
    connection.execute(delete(keyword).where(keyword.c.digits.in_(orphaned)))
    for table in (number, keyword, session, old_key):
        connection.execute(delete(table).where(table.c.account_id == id))
    connection.execute(delete(key_request).where(key_request.c.address == name.lower()))
    return id


def is_closed(connection: Connection, name: str) -> bool:
    """Whether an account of this name is closed, and its history not all erased."""
    closed = select(account.c.id).where(account.c.name == name, account.c.deleted_at.is_not(None))
    return connection.execute(closed).first() is not None


def unfinished(connection: Connection, now: int) -> list[int]:
    """The closed accounts whose history may not be all erased."""
    rows = connection.execute(
        select(account.c.id)
        .where(account.c.deleted_at.is_not(None))
        .where(~account.c.name.startswith(NAMELESS) | (account.c.deleted_at > now - _LOOKED_AT))
    )
    return list(rows.scalars())


class Deletion:
    """Erases the history of a closed account. It can be stopped after any step and begun anew."""

    def __init__(self, account_id: int) -> None:
        self._id = account_id
        #: Messages erased, and their queued deliveries, which are not sent.
        self.sent = 0
        self.cancelled = 0
        self.received = 0
        #: Deliveries that a worker is handing to a carrier: the next run erases their messages.
        self.submitting = 0

    def steps(self, now: int) -> Iterator[Callable[[Connection], None]]:
        """The steps; run each in a transaction of its own."""
        self.submitting = 0
        yield from self._repeat(lambda c: self._delete_some(c, event, event.c.id))
        self._last = ""
        yield from self._repeat(lambda c: self._erase_some(c, now))
        yield from self._repeat(self._delete_received)
        yield from self._repeat(lambda c: self._delete_some(c, stop, stop.c.recipient))
        yield self._finish

    def _repeat(self, step: Callable[[Connection], bool]) -> Iterator[Callable[[Connection], None]]:
        """Repeat a step until it returns False."""
        self._more = True

        def once(connection: Connection) -> None:
            self._more = step(connection)

        while self._more:
            yield once

    def _delete_some(self, connection: Connection, table: Table, key: ColumnElement[Any]) -> bool:
        some = select(key).where(table.c.account_id == self._id).limit(erase.AT_ONCE)
        keys = list(connection.execute(some).scalars())
        connection.execute(delete(table).where(table.c.account_id == self._id, key.in_(keys)))
        return len(keys) == erase.AT_ONCE

    def _delete_received(self, connection: Connection) -> bool:
        some = select(received.c.id).where(received.c.account_id == self._id).limit(erase.AT_ONCE)
        ids = list(connection.execute(some).scalars())
        connection.execute(delete(event).where(event.c.received_id.in_(ids)))
        connection.execute(delete(received).where(received.c.id.in_(ids)))
        self.received += len(ids)
        return len(ids) == erase.AT_ONCE

    def _erase_some(self, connection: Connection, now: int) -> bool:
        """Erase the next messages; their queued deliveries are not sent."""
        ids = list(
            connection.execute(
                select(message.c.id)
                .where(message.c.account_id == self._id, message.c.erased_at.is_(None))
                .where(message.c.id > self._last)
                .order_by(message.c.id)
                .limit(erase.AT_ONCE)
            ).scalars()
        )
        if not ids:
            return False
        self._last = ids[-1]
        theirs = select(delivery.c.id).where(delivery.c.message_id.in_(ids))
        waiting = list(connection.execute(theirs).scalars())
        self.cancelled += len(end_queued(connection, waiting, State.FAILED, DELETED, now))
        self.sent += len(erase.erase_listed(connection, ids, now))
        return len(ids) == erase.AT_ONCE

    def _finish(self, connection: Connection) -> None:
        """Free the name, once no message is left to erase."""
        self.submitting = sum(_pending(connection, self._id).values())
        left = (
            select(message.c.id)
            .where(message.c.account_id == self._id, message.c.erased_at.is_(None))
            .limit(1)
        )
        if connection.execute(left).first() is None:
            connection.execute(
                update(account).where(account.c.id == self._id).values(name=f"{NAMELESS}{self._id}")
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenAddress:
    """How much was erased about a mail address."""

    #: Requests for a free key, deleted.
    requests: int
    #: Lists of mail senders that the address was removed from.
    lists: int
    #: The accounts of this name, now closed: their history is still to be erased.
    accounts: tuple[int, ...]


def names_of(connection: Connection, address: str) -> list[str]:
    """The names of the accounts whose name is this mail address (given in lower case)."""
    rows = connection.execute(select(account.c.name).where(func.lower(account.c.name) == address))
    return list(rows.scalars())


def forget_address(connection: Connection, address: str, now: int) -> ForgottenAddress:
    """Erase a mail address (lower case) wherever it is stored.

    A list of mail senders that becomes empty allows nobody, not everybody.
    """
    requests = connection.execute(delete(key_request).where(key_request.c.address == address))
    names = names_of(connection, address)
    closed = [id for name in names if (id := close(connection, name, now)) is not None]
    lists = 0
    for row in connection.execute(
        select(account.c.id, account.c.mail_senders)
        .where(account.c.mail_senders.is_not(None))
        .order_by(account.c.id)
        .with_for_update()
    ).all():
        writers = row.mail_senders.split(",")
        if address in writers:
            writers.remove(address)
            connection.execute(
                update(account)
                .where(account.c.id == row.id)
                .values(mail_senders=",".join(writers), version=account.c.version + 1)
            )
            lists += 1
    return ForgottenAddress(requests=requests.rowcount, lists=lists, accounts=tuple(closed))
