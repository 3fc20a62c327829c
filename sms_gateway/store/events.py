"""The callback outbox: adds, claims and deletes the events for accounts with a callback."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, or_, select, update

from ..sms.ids import new_id
from ..sms.message import State
from .bulk import insert_many, run
from .inbox import text_of
from .sealed import CANNOT_BE_DECRYPTED, is_readable
from .tables import account, delivery, event, message, received
from .wakes import Topic, ring

#: A delivery that enters one of these states makes an event; the others only lead to these.
TOLD = frozenset(State) - {State.QUEUED, State.SUBMITTING}


def listeners(connection: Connection) -> frozenset[int]:
    """The accounts that have a callback."""
    rows = run(connection, "SELECT id FROM account WHERE callback_url <> ''", ())
    return frozenset(id for (id,) in rows)


_STATES = (
    select(delivery.c.id, delivery.c.state, message.c.account_id)
    .join_from(delivery, message)
    .where(delivery.c.id.in_(bindparam("ids", expanding=True)))
    .where(message.c.account_id.in_(bindparam("accounts", expanding=True)))
)


def states(
    connection: Connection, deliveries: Collection[int], accounts: Collection[int]
) -> dict[int, tuple[State, int]]:
    """The state and the account of each of these deliveries that belongs to one of `accounts`."""
    given = {"ids": list(deliveries), "accounts": list(accounts)}
    return {
        row.id: (State(row.state), row.account_id) for row in connection.execute(_STATES, given)
    }


def add_changes(connection: Connection, changes: Mapping[int, tuple[State, int]], now: int) -> None:
    """Add events about new states of deliveries. `changes`: delivery to state and account."""
    _add(
        connection,
        now,
        [
            {"account_id": account_id, "delivery_id": id, "received_id": None, "state": state.value}
            for id, (state, account_id) in changes.items()
            if state in TOLD
        ],
    )


def last_received(connection: Connection) -> int:
    """The id of the newest received message; 0 if there is none."""
    found: int | None = connection.execute(select(func.max(received.c.id))).scalar_one()
    return found or 0


def add_received(
    connection: Connection, *, after: int, accounts: Collection[int], now: int
) -> None:
    """Add events about the messages that these accounts received after the message `after`."""
    rows = connection.execute(
        select(received.c.id, received.c.account_id)
        .where(received.c.id > after)
        .where(received.c.account_id.in_(accounts))
        .order_by(received.c.id)
    ).all()
    _add(
        connection,
        now,
        [
            {"account_id": r.account_id, "delivery_id": None, "received_id": r.id, "state": ""}
            for r in rows
        ],
    )


def _add(connection: Connection, now: int, rows: Sequence[Mapping[str, Any]]) -> None:
    fresh = {"happened_at": now, "due_at": now, "attempts": 0, "failure": ""}
    if rows:
        insert_many(connection, event, [{"id": new_id(now), **row, **fresh} for row in rows])
        ring(connection, Topic.EVENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An event that is to be sent, with its content and its callback."""

    id: str
    account_id: int
    account: str
    url: str
    secret: str
    #: The attempts made so far.
    attempts: int
    happened_at: int
    #: This and the next five are about a delivery; it is None for a received message.
    delivery_id: int | None
    state: str
    message_id: str
    recipient: str
    parts: int
    reference: str
    #: This and the next four are about a received message; it is None for a delivery.
    received_id: int | None
    sender: str
    number: str
    text: str
    received_at: int


_DUE = (
    select(event.c.id)
    .join_from(event, account)
    .where(event.c.due_at <= bindparam("now"))
    .where(account.c.callback_url != "")
    .where(account.c.callback_paused_at.is_(None))
    .order_by(event.c.due_at, event.c.id)
    .limit(bindparam("most"))
)
_DUE_LOCKED = _DUE.with_for_update(of=event, skip_locked=True)
_SHOWN = (
    select(
        event,
        account.c.name,
        account.c.callback_url,
        account.c.callback_secret,
        delivery.c.message_id,
        delivery.c.recipient,
        delivery.c.parts,
        message.c.reference,
        received.c.sender,
        received.c.recipient.label("number"),
        received.c.upstream,
        received.c.text,
        received.c.received_at,
    )
    .join_from(event, account)
    .outerjoin(delivery, event.c.delivery_id == delivery.c.id)
    .outerjoin(message, delivery.c.message_id == message.c.id)
    .outerjoin(received, event.c.received_id == received.c.id)
)


def is_any_due(connection: Connection, now: int, but: Collection[int] = ()) -> bool:
    """Whether there is an event to claim, except for the accounts in `but`."""
    due = _DUE.where(event.c.account_id.not_in(but)) if but else _DUE
    return connection.execute(due, {"now": now, "most": 1}).first() is not None


def claim(
    connection: Connection, *, now: int, lease: int, most: int, but: Collection[int] = ()
) -> list[Due]:
    """Claim due events for `lease` milliseconds, except for the accounts in `but`."""
    due = _DUE_LOCKED.where(event.c.account_id.not_in(but)) if but else _DUE_LOCKED
    ids = list(connection.execute(due, {"now": now, "most": most}).scalars())
    if not ids:
        return []
    connection.execute(update(event).where(event.c.id.in_(ids)).values(due_at=now + lease))
    rows = connection.execute(_SHOWN.where(event.c.id.in_(ids)).order_by(event.c.id))
    claimed = [
        Due(
            id=row.id,
            account_id=row.account_id,
            account=row.name,
            url=row.callback_url,
            secret=row.callback_secret,
            attempts=row.attempts,
            happened_at=row.happened_at,
            delivery_id=row.delivery_id,
            state=row.state,
            message_id=row.message_id or "",
            recipient=row.recipient or "",
            parts=row.parts or 0,
            reference=row.reference or "",
            received_id=row.received_id,
            sender=row.sender or "",
            number=row.number or "",
            text=_text(connection, row),
            received_at=row.received_at or 0,
        )
        for row in rows
    ]
    unreadable = [
        due.id
        for due in claimed
        if not is_readable(due.recipient, due.reference, due.sender, due.number, due.text)
    ]
    if unreadable:
        hidden = event.c.id.in_(unreadable)
        connection.execute(update(event).where(hidden).values(failure=CANNOT_BE_DECRYPTED))
    return [due for due in claimed if due.id not in unreadable]


def _text(connection: Connection, row: Any) -> str:
    """The text of the received message of an event; empty for an event about a delivery."""
    if row.text is None:
        return ""
    return text_of(connection, row.text, row.upstream, row.sender, row.number, row.received_at)


def drop(connection: Connection, id: str) -> None:
    """Delete an event, which the callback has taken."""
    connection.execute(delete(event).where(event.c.id == id))


def put_off(connection: Connection, id: str, *, due_at: int | None, failure: str) -> None:
    """Record a failed attempt; the next is at `due_at`. None parks the event."""
    connection.execute(
        update(event)
        .where(event.c.id == id)
        .values(due_at=due_at, failure=failure, attempts=event.c.attempts + 1)
    )


def failing_since(connection: Connection, account_id: int, now: int) -> int:
    """Record a failure of an account's callback; returns since when it has failed."""
    connection.execute(
        update(account)
        .where(account.c.id == account_id, account.c.callback_failing_since.is_(None))
        .values(callback_failing_since=now)
    )
    since: int | None = connection.execute(
        select(account.c.callback_failing_since).where(account.c.id == account_id)
    ).scalar_one()
    return now if since is None else since


def works(connection: Connection, account_id: int) -> None:
    """Record that an account's callback has taken an event."""
    connection.execute(
        update(account)
        .where(account.c.id == account_id, account.c.callback_failing_since.is_not(None))
        .values(callback_failing_since=None)
    )


def pause(connection: Connection, account_id: int, *, now: int, reason: str) -> None:
    """Pause a callback until it is set again or its events are replayed."""
    connection.execute(
        update(account)
        .where(account.c.id == account_id)
        .values(
            callback_paused_at=now,
            callback_paused_reason=reason,
            version=account.c.version + 1,
        )
    )


def listed(connection: Connection, name: str | None = None, *, most: int) -> Sequence[Any]:
    """The waiting and parked events of one account or of all, oldest first."""
    rows = _SHOWN.order_by(event.c.id).limit(most)
    if name is not None:
        rows = rows.where(account.c.name == name)
    return connection.execute(rows).all()


def replay(
    connection: Connection, now: int, *, id: str | None = None, name: str | None = None
) -> int:
    """Make parked events due now, and those of paused callbacks; returns how many.

    `id` chooses one event, `name` those of an account; otherwise all. It ends the pauses.
    """
    accounts = select(account.c.id)
    if name is not None:
        accounts = accounts.where(account.c.name == name)
    paused = select(account.c.id).where(account.c.callback_paused_at.is_not(None))
    chosen: list[ColumnElement[bool]] = [
        event.c.account_id.in_(accounts),
        or_(event.c.due_at.is_(None), event.c.account_id.in_(paused)),
    ]
    if id is not None:
        chosen.append(event.c.id == id)
    theirs = list(
        connection.execute(select(event.c.account_id).where(*chosen).distinct()).scalars()
    )
    replayed = connection.execute(
        update(event).where(*chosen).values(due_at=now, attempts=0)
    ).rowcount
    if theirs:
        ring(connection, Topic.EVENT)
        connection.execute(update(account).where(account.c.id.in_(theirs)).values(**RESUMED))
    return replayed


#: The columns of an account when its callback's pause ends.
RESUMED: Mapping[str, Any] = {
    "callback_failing_since": None,
    "callback_paused_at": None,
    "callback_paused_reason": "",
}


def forget_parked(connection: Connection, *, happened_before: int) -> None:
    """Delete parked events from before a time (Unix milliseconds)."""
    connection.execute(
        delete(event).where(event.c.due_at.is_(None), event.c.happened_at < happened_before)
    )
