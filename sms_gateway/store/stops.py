"""Reads and writes the recipients who have asked an account to stop."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from ..sms.message import State
from . import queue as queue_
from .queue import PRIORITIES, lanes_in_use
from .sealed import words
from .tables import account, delivery, queue, stop

#: The reason, in replies and in the journal, why such a recipient gets no message.
REASON = "the recipient has asked to stop"

_BLOCKED = select(stop.c.account_id, stop.c.recipient).where(
    stop.c.account_id.in_(bindparam("accounts", expanding=True)),
    stop.c.recipient.in_(bindparam("recipients", expanding=True)),
)


def blocked(
    connection: Connection, accounts: Collection[int], recipients: Collection[str]
) -> set[tuple[int, str]]:
    """Which of these recipients (E.164) have asked which of these accounts to stop."""
    rows = connection.execute(
        _BLOCKED, {"accounts": list(accounts), "recipients": _forms(connection, *recipients)}
    )
    return {(row.account_id, row.recipient) for row in rows}


def _forms(connection: Connection, *recipients: str) -> list[str]:
    return words(connection, "stop.recipient", recipients)


def add(connection: Connection, account_id: int, recipient: str, now: int) -> bool:
    """Block a recipient for an account; False when it was blocked already."""
    # The account is locked first, as by accepting: no other transaction adds a stop meanwhile.
    count(connection, account_id, 1)
    is_new = not blocked(connection, [account_id], [recipient])
    if is_new:
        connection.execute(
            insert(stop).values(account_id=account_id, recipient=recipient, stopped_at=now)
        )
    else:
        count(connection, account_id, -1)
    return is_new


def lift(connection: Connection, account_id: int, recipient: str) -> bool:
    """Unblock a recipient for an account; False when it was not blocked."""
    count(connection, account_id, -1)
    theirs = stop.c.recipient.in_(_forms(connection, recipient))
    lifted = connection.execute(delete(stop).where(stop.c.account_id == account_id, theirs))
    if lifted.rowcount != 1:
        count(connection, account_id, 1)
    return lifted.rowcount == 1


def count(connection: Connection, account_id: int, more: int) -> None:
    """Change the number of stops of an account; this outdates all copies of it in memory."""
    connection.execute(
        update(account)
        .where(account.c.id == account_id)
        .values(stops=account.c.stops + more, version=account.c.version + 1)
    )


def end_queued(connection: Connection, account_id: int, recipient: str, now: int) -> list[int]:
    """Fail the queued deliveries of an account to a recipient; returns their ids."""
    queued = connection.execute(
        select(queue.c.delivery_id)
        .join_from(queue, delivery, delivery.c.id == queue.c.delivery_id)
        # All columns before the account, so that the index of claims is used.
        .where(queue.c.lane.in_(lanes_in_use(connection)), queue.c.priority.in_(PRIORITIES))
        .where(queue.c.account_id == account_id)
        .where(delivery.c.recipient.in_(words(connection, "delivery.recipient", [recipient])))
    )
    return queue_.end_queued(connection, list(queued.scalars()), State.FAILED, REASON, now)


def listed(connection: Connection, name: str | None = None) -> Sequence[Any]:
    """The stops of one account or all: account (its name), recipient, stopped_at."""
    rows = (
        select(account.c.name.label("account"), stop.c.recipient, stop.c.stopped_at)
        .join_from(stop, account)
        .order_by(account.c.name, stop.c.stopped_at)
    )
    if name is not None:
        rows = rows.where(account.c.name == name)
    return connection.execute(rows).all()
