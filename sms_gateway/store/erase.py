"""Erases texts and numbers.

Erasing empties the columns and keeps the rows: daily counts need them, and a late receipt must find
its delivery. Call `Store.scrub` afterwards to remove the texts from the free pages too.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import ColumnElement, Connection, delete, exists, select, update

from ..sms.message import State
from . import counters
from .attempts import forget_awaited
from .lookup import deliveries_to
from .queue import end_queued, record_steps
from .sealed import words
from .tables import delivery, early_receipt, event, incoming_part, message, received

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
    account_id: int,
    message_id: str | None = None,
    before: int | None = None,
    after: str = "",
) -> list[str]:
    """Erase the sent messages of an account that match all given filters and do not wait.

    `before`: a time of acceptance, milliseconds. A call erases at most AT_ONCE messages, in the
    order of their ids, and returns the ids. Call again with the last id as `after`, until the list
    is empty.
    """
    fitting: list[ColumnElement[bool]] = [message.c.erased_at.is_(None), message.c.id > after]
    fitting.append(message.c.account_id == account_id)
    if message_id is not None:
        fitting.append(message.c.id == message_id)
    if before is not None:
        fitting.append(message.c.accepted_at < before)
    chosen = connection.execute(
        select(message.c.id).where(*fitting, ~_PENDING).order_by(message.c.id).limit(AT_ONCE)
    )
    ids = list(chosen.scalars())
    if ids:
        _empty(connection, ids, now)
    return ids


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


@dataclass(slots=True, kw_only=True)
class Forgotten:
    """How many messages to and from a person were erased."""

    #: Messages sent to them, now without text and numbers.
    sent: int = 0
    #: Messages received from them, deleted.
    received: int = 0
    #: Messages to them that were waiting, and are not sent any more.
    cancelled: int = 0
    #: Messages to them that a worker is handing to a carrier: the next run erases these.
    submitting: int = 0


def forget(number: str, now: int, done: Forgotten) -> Iterator[Callable[[Connection], None]]:
    """The steps that erase a person: everything to and from a number (E.164 with its plus sign).

    Run each in a transaction of its own, and begin anew if interrupted: what was erased is not
    found again. A text that waits for another recipient too is erased after it was sent. The steps
    count in `done`.
    """
    found: list[tuple[int, str]] = []
    yield lambda c: found.extend(deliveries_to(c, number))
    for start in range(0, len(found), AT_ONCE):
        yield partial(_forget_sent, found[start : start + AT_ONCE], now, done)
    more = True
    while more:
        before = done.received
        yield partial(_forget_received, number, done)
        more = done.received - before == AT_ONCE
    yield partial(_forget_rest, number)


def _forget_sent(
    to_them: Sequence[tuple[int, str]], now: int, done: Forgotten, connection: Connection
) -> None:
    ids = [id for id, _ in to_them]
    some = delivery.c.id.in_(ids)
    done.cancelled += len(end_queued(connection, ids, State.FAILED, FORGOTTEN, now))
    _give_up_uncertain(connection, some, now)
    # Not the deliveries in submission: if put off, they still need their number.
    emptied = connection.execute(
        update(delivery)
        .where(some, delivery.c.state != State.SUBMITTING)
        .values(recipient="", binding=None)
    )
    submitting = len(ids) - emptied.rowcount
    messages = list(dict.fromkeys(message_id for _, message_id in to_them))
    erase_listed(connection, messages, now)
    done.submitting += submitting
    done.sent += len(messages) - submitting


def _forget_received(number: str, done: Forgotten, connection: Connection) -> None:
    theirs = words(connection, "received.sender", _forms(number))
    some = select(received.c.id).where(received.c.sender.in_(theirs)).limit(AT_ONCE)
    ids = list(connection.execute(some).scalars())
    connection.execute(delete(event).where(event.c.received_id.in_(ids)))
    connection.execute(delete(received).where(received.c.id.in_(ids)))
    done.received += len(ids)


def _forget_rest(number: str, connection: Connection) -> None:
    theirs = words(connection, "incoming_part.sender", _forms(number))
    connection.execute(delete(incoming_part).where(incoming_part.c.sender.in_(theirs)))
    _forget_receipts(connection, _forms(number))
    counters.forget(connection, number)


def _forms(number: str) -> tuple[str, str]:
    """The forms in which carriers write a number."""
    return number, number.removeprefix("+")


def _forget_receipts(connection: Connection, theirs: Collection[str]) -> None:
    """Delete the receipts about a number."""
    # Searched here, as the numbers may be encrypted, and a receipt may have two, separated by a
    # blank.
    about = select(early_receipt.c.id, early_receipt.c.recipient)
    ids = [id for id, numbers in connection.execute(about) if {*theirs} & {*numbers.split(" ")}]
    for start in range(0, len(ids), AT_ONCE):
        some = early_receipt.c.id.in_(ids[start : start + AT_ONCE])
        connection.execute(delete(early_receipt).where(some))
