"""Erases texts and numbers.

Erasing empties the columns and keeps the rows: daily counts need them, and a late receipt must find
its delivery. Call `Store.scrub` afterwards to remove the texts from the free pages too.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, exists, select, update

from ..sms.ids import first_id
from ..sms.message import State
from . import counters
from .attempts import forget_awaited
from .lookup import deliveries_to
from .queue import end_queued, record_steps
from .sealed import words
from .tables import delivery, early_receipt, event, incoming_part, message, received

# The most that ids run ahead of a clock that was set back, milliseconds. Messages whose ids are
# further ahead are erased later.
_IDS_AHEAD = 86_400_000
# A message with a delivery that has not gone out is not history yet.
_PENDING = exists().where(
    delivery.c.message_id == message.c.id,
    delivery.c.state.in_((State.QUEUED, State.SUBMITTING)),
)


#: The reason in the journal when an erased delivery had no answer from the carrier.
ERASED = "it was erased before the carrier answered"
#: The reason in the journal when a queued delivery to a forgotten person is not sent.
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
    """Erase the sent messages that match all given filters and are not waiting to be sent.

    `before`: a time of acceptance, milliseconds. A call erases at most AT_ONCE messages, in the
    order of their ids, and returns the ids. Call again with the last id as `after`, until the list
    is empty.
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

    The search locks nothing. It may take a while after years of erased messages.
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
    """A condition that limits a search by the index of the ids, which contain their time."""
    return message.c.id < first_id(time + _IDS_AHEAD)


def erase_listed(connection: Connection, ids: Collection[str], now: int) -> list[str]:
    """Erase these messages, except those that are waiting to be sent; returns the erased ids."""
    done = list(
        connection.execute(select(message.c.id).where(message.c.id.in_(ids), ~_PENDING)).scalars()
    )
    _empty(connection, done, now)
    return done


def _empty(connection: Connection, ids: Collection[str], now: int) -> None:
    # Locked in the same order as workers do, to avoid deadlocks.
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
    """Set uncertain deliveries to unknown: a late refusal would have an erased text sent again."""
    ended = list(
        connection.execute(
            update(delivery)
            .where(which, delivery.c.state == State.UNCERTAIN)
            .values(state=State.UNKNOWN)
            .returning(delivery.c.id)
        ).scalars()
    )
    if ended:
        forget_awaited(connection, ended)
        record_steps(connection, [(id, now, 0, State.UNKNOWN.value, ERASED) for id in ended])


def delete_received(connection: Connection, *, before: int) -> int:
    """Delete the oldest received messages from before a time (milliseconds); returns how many.

    A call deletes at most AT_ONCE: call again until it returns 0.
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
    """Delete early receipts that came before a time (milliseconds) and matched no part."""
    connection.execute(delete(early_receipt).where(early_receipt.c.received_at < before))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How many messages to and from a person were erased."""

    #: Messages sent to them, now without text and numbers.
    sent: int
    #: Messages received from them, deleted.
    received: int
    #: Messages to them that were waiting, and are not sent any more.
    cancelled: int
    #: Messages to them that a worker is handing to a carrier: the next run erases these.
    submitting: int


def forget(connection: Connection, number: str, now: int) -> Forgotten:
    """Erase a person: everything to and from a number (E.164 with its plus sign).

    A text that waits for another recipient too is erased after it was sent.
    """
    theirs = (number, number.removeprefix("+"))
    to_them = deliveries_to(connection, number)
    ids = list(dict.fromkeys(message_id for _, message_id in to_them))
    cancelled = submitting = 0
    for start in range(0, len(to_them), AT_ONCE):
        some_ids = [id for id, _ in to_them[start : start + AT_ONCE]]
        some = delivery.c.id.in_(some_ids)
        cancelled += len(end_queued(connection, some_ids, State.FAILED, FORGOTTEN, now))
        _give_up_uncertain(connection, some, now)
        # Not the deliveries in submission: if put off, they still need their number.
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
    # Searched here, as the numbers may be encrypted, and a receipt may have two, separated by a
    # blank.
    about = select(early_receipt.c.id, early_receipt.c.recipient)
    ids = [id for id, numbers in connection.execute(about) if {*theirs} & {*numbers.split(" ")}]
    for start in range(0, len(ids), AT_ONCE):
        some = early_receipt.c.id.in_(ids[start : start + AT_ONCE])
        connection.execute(delete(early_receipt).where(some))
