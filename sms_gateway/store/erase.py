"""Statements that make texts and numbers disappear.

Erasing empties them and keeps the rows, for the daily counts and so that a receipt on its way
still finds its delivery. `Store.scrub` afterwards takes them out of the free pages too.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, exists, select, update

from ..sms.ids import first_id
from ..sms.message import State
from . import counters
from .lookup import deliveries_to
from .queue import record_steps
from .sealed import words
from .tables import delivery, early_receipt, event, incoming_part, message, received

# How far ids run ahead of a clock that was set back, at most; what is further is erased later.
# Milliseconds.
_IDS_AHEAD = 86_400_000
# What has not gone out yet is not history.
_PENDING = exists().where(
    delivery.c.message_id == message.c.id,
    delivery.c.state.in_((State.QUEUED, State.SUBMITTING)),
)


#: Why nobody will know what became of a delivery that no carrier had answered.
ERASED = "it was erased before the carrier answered"
#: Why what waited for a person who was forgotten is not sent.
FORGOTTEN = "the recipient is forgotten"

#: The most rows that one transaction erases, so that nobody waits long for its end.
AT_ONCE = 500


def erase_messages(
    connection: Connection,
    *,
    now: int,
    account_id: int | None = None,
    message_id: str | None = None,
    before: int | None = None,
    after: str = "",
) -> list[str]:
    """Erase sent messages that fit all that is given, and are not waiting to be sent.

    `before` is a time of acceptance in milliseconds. At most AT_ONCE are erased, in the order of
    their ids, which are returned: go on `after` the last one until there are none.
    """
    fitting: list[ColumnElement[bool]] = [message.c.erased_at.is_(None), message.c.id > after]
    if account_id is not None:
        fitting.append(message.c.account_id == account_id)
    if message_id is not None:
        fitting.append(message.c.id == message_id)
    if before is not None:
        fitting.append(message.c.accepted_at < before)
        if account_id is None:
            fitting.append(_made_before(before))
    chosen = connection.execute(
        select(message.c.id).where(*fitting, ~_PENDING).order_by(message.c.id).limit(AT_ONCE)
    )
    ids = list(chosen.scalars())
    if ids:
        _empty(connection, ids, now)
    return ids


def first_message(connection: Connection, *, before: int) -> str | None:
    """The first id that `erase_messages` would erase; None when there is nothing to erase.

    Finding it may take a while where years of messages are erased already, and locks nothing.
    """
    first: str | None = connection.execute(
        select(message.c.id)
        .where(message.c.erased_at.is_(None), message.c.accepted_at < before, ~_PENDING)
        .where(_made_before(before))
        .order_by(message.c.id)
        .limit(1)
    ).scalar_one_or_none()
    return first


def _made_before(time: int) -> ColumnElement[bool]:
    """What spares a look at all later messages: ids tell their time, and have an index."""
    return message.c.id < first_id(time + _IDS_AHEAD)


def erase_listed(connection: Connection, ids: Collection[str], now: int) -> list[str]:
    """Erase those of these messages that are not waiting to be sent; their ids."""
    done = list(
        connection.execute(select(message.c.id).where(message.c.id.in_(ids), ~_PENDING)).scalars()
    )
    _empty(connection, done, now)
    return done


def _empty(connection: Connection, ids: Collection[str], now: int) -> None:
    # In the order in which workers lock them, so that nobody waits for each other in a ring.
    connection.execute(
        select(delivery.c.id)
        .where(delivery.c.message_id.in_(ids))
        .order_by(delivery.c.id)
        .with_for_update()
    )
    connection.execute(
        update(message)
        .where(message.c.id.in_(ids))
        .values(text="", sender="", reference="", erased_at=now)
    )
    _give_up_uncertain(connection, delivery.c.message_id.in_(ids), now)
    theirs = delivery.c.message_id.in_(ids)
    connection.execute(update(delivery).where(theirs).values(recipient="", binding=None))


def _give_up_uncertain(connection: Connection, which: ColumnElement[bool], now: int) -> None:
    """A carrier's late refusal would have what is erased sent once more."""
    given_up = connection.execute(
        update(delivery)
        .where(which, delivery.c.state == State.UNCERTAIN)
        .values(state=State.UNKNOWN)
        .returning(delivery.c.id)
    ).scalars()
    steps = [(id, now, 0, State.UNKNOWN.value, ERASED) for id in given_up]
    record_steps(connection, steps)


def delete_received(connection: Connection, *, before: int) -> int:
    """Delete received messages that came before a time (milliseconds); how many they were.

    At most AT_ONCE of the oldest: call again until it is 0.
    """
    oldest = connection.execute(
        select(received.c.id, received.c.received_at).order_by(received.c.id).limit(AT_ONCE)
    )
    ids = [row.id for row in oldest if row.received_at < before]
    if ids:
        connection.execute(delete(event).where(event.c.received_id.in_(ids)))
        connection.execute(delete(received).where(received.c.id.in_(ids)))
    return len(ids)


def delete_receipts(connection: Connection, *, before: int) -> None:
    """Delete receipts that came before a time (milliseconds) and fit nothing."""
    connection.execute(delete(early_receipt).where(early_receipt.c.received_at < before))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How much there was of a person."""

    #: Messages sent to them, now without text and numbers.
    sent: int
    #: Messages received from them, deleted.
    received: int
    #: Messages to them that were waiting, and are not sent any more.
    cancelled: int
    #: Messages to them that a worker is handing to a carrier: these stay for the next time.
    submitting: int


def forget(connection: Connection, number: str, now: int) -> Forgotten:
    """Erase a person: everything to and from a number (E.164 with its plus sign).

    A text that is still to be sent to somebody else stays until it has been.
    """
    theirs = (number, number.removeprefix("+"))
    to_them = deliveries_to(connection, number)
    ids = list(dict.fromkeys(message_id for _, message_id in to_them))
    cancelled = submitting = 0
    for start in range(0, len(to_them), AT_ONCE):
        some = delivery.c.id.in_([id for id, _ in to_them[start : start + AT_ONCE]])
        waiting = connection.execute(
            update(delivery)
            .where(some, delivery.c.state == State.QUEUED)
            .values(state=State.FAILED)
            .returning(delivery.c.id)
        ).scalars()
        steps = [(id, now, 0, State.FAILED.value, FORGOTTEN) for id in waiting]
        record_steps(connection, steps)
        cancelled += len(steps)
        _give_up_uncertain(connection, some, now)
        # Without its number a delivery that is put off would be sent to nobody.
        emptied = connection.execute(
            update(delivery)
            .where(some, delivery.c.state != State.SUBMITTING)
            .values(recipient="", binding=None)
        )
        submitting += len(to_them[start : start + AT_ONCE]) - emptied.rowcount
    for start in range(0, len(ids), AT_ONCE):
        erase_listed(connection, ids[start : start + AT_ONCE], now)
    came = received.c.sender.in_(words(connection, "received.sender", theirs))
    from_them = select(received.c.id).where(came)
    connection.execute(delete(event).where(event.c.received_id.in_(from_them)))
    gone = connection.execute(delete(received).where(came)).rowcount
    parts = incoming_part.c.sender.in_(words(connection, "incoming_part.sender", theirs))
    connection.execute(delete(incoming_part).where(parts))
    _forget_receipts(connection, theirs)
    counters.forget(connection, number)
    return Forgotten(
        sent=len(ids) - submitting, received=gone, cancelled=cancelled, submitting=submitting
    )


def _forget_receipts(connection: Connection, theirs: Collection[str]) -> None:
    """Delete the receipts about a number."""
    # A receipt may have two numbers, separated by a blank; no database can look into what is
    # encrypted.
    about = select(early_receipt.c.id, early_receipt.c.recipient)
    ids = [id for id, numbers in connection.execute(about) if {*theirs} & {*numbers.split(" ")}]
    for start in range(0, len(ids), AT_ONCE):
        some = early_receipt.c.id.in_(ids[start : start + AT_ONCE])
        connection.execute(delete(early_receipt).where(some))
