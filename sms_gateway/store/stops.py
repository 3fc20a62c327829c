"""Statements about recipients who have asked an account to stop."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, text, update

from ..sms.message import State
from .queue import record_steps
from .tables import account, delivery, message, stop

#: Why nothing is sent to them: in replies and in the journal.
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
        _BLOCKED, {"accounts": list(accounts), "recipients": list(recipients)}
    )
    return {(row.account_id, row.recipient) for row in rows}


_ADD = text(
    """
    INSERT INTO stop (account_id, recipient, stopped_at)
    VALUES (:account_id, :recipient, :stopped_at)
    ON CONFLICT DO NOTHING RETURNING recipient
    """
)


def add(connection: Connection, account_id: int, recipient: str, now: int) -> bool:
    """Nothing more for this recipient; False when it was so already."""
    # The account first, in the order in which accepting locks.
    count(connection, account_id, 1)
    added = connection.execute(
        _ADD, {"account_id": account_id, "recipient": recipient, "stopped_at": now}
    )
    is_new = added.first() is not None
    if not is_new:
        count(connection, account_id, -1)
    return is_new


def lift(connection: Connection, account_id: int, recipient: str) -> bool:
    """Messages for this recipient again; False when there was nothing to lift."""
    count(connection, account_id, -1)
    lifted = connection.execute(
        delete(stop).where(stop.c.account_id == account_id, stop.c.recipient == recipient)
    )
    if lifted.rowcount != 1:
        count(connection, account_id, 1)
    return lifted.rowcount == 1


def count(connection: Connection, account_id: int, more: int) -> None:
    """So many more have asked an account to stop; every copy of it in memory is out of date."""
    connection.execute(
        update(account)
        .where(account.c.id == account_id)
        .values(stops=account.c.stops + more, version=account.c.version + 1)
    )


def end_queued(connection: Connection, account_id: int, recipient: str, now: int) -> list[int]:
    """Give up what still waits to be sent to a recipient; returns these deliveries."""
    theirs = select(message.c.id).where(message.c.account_id == account_id)
    ended = connection.execute(
        update(delivery)
        .where(delivery.c.state == State.QUEUED)
        .where(delivery.c.recipient == recipient)
        .where(delivery.c.message_id.in_(theirs))
        .values(state=State.FAILED)
        .returning(delivery.c.id)
    )
    ids = list(ended.scalars())
    record_steps(connection, [(id, now, 0, State.FAILED.value, REASON) for id in ids])
    return ids


def listed(connection: Connection, name: str | None = None) -> Sequence[Any]:
    """Who has asked to stop: account (its name), recipient, stopped_at; of one account or all."""
    rows = (
        select(account.c.name.label("account"), stop.c.recipient, stop.c.stopped_at)
        .join_from(stop, account)
        .order_by(account.c.name, stop.c.stopped_at)
    )
    if name is not None:
        rows = rows.where(account.c.name == name)
    return connection.execute(rows).all()
