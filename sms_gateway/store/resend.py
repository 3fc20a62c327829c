"""Reads the unsent deliveries of a message, and queues them again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from ..sms.message import State
from .attempts import forget_awaited
from .bulk_rows import BulkRows
from .queue import IN_QUEUE, STATE, enqueue, lane_until, leave, lock, record_steps
from .sealed import opened
from .tables import delivery, message, part
from .wakes import Topic, ring

# Queued, or being handed to a carrier.
_PENDING = frozenset({State.QUEUED, State.SUBMITTING})
# Not known to be sent: sent again when the sender asks for it.
_UNSENT = frozenset({State.FAILED, State.EXPIRED, State.UNCERTAIN, State.UNDELIVERABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A delivery that is to be sent again."""

    id: int
    recipient: str
    parts: int
    state: State


class Stored(NamedTuple):
    """A message, with its deliveries that are to be sent again."""

    sender: str
    text: str
    deliveries: list[Unfinished]


def unfinished(connection: Connection, account_id: int, message_id: str) -> Stored | None:
    """A message with its unsent deliveries; None when the account has no such message.

    The deliveries are locked until the transaction ends, so that nobody claims them meanwhile.
    """
    found = connection.execute(
        select(message.c.sender, message.c.text)
        .where(message.c.id == message_id)
        .where(message.c.account_id == account_id)
        .where(message.c.erased_at.is_(None))
    ).one_or_none()
    if found is None:
        return None
    theirs = select(delivery.c.id).where(delivery.c.message_id == message_id)
    lock(connection, list(connection.execute(theirs).scalars()))
    rows = connection.execute(
        select(delivery.c.id, delivery.c.recipient, delivery.c.parts, STATE.label("state"))
        .select_from(IN_QUEUE)
        .where(delivery.c.message_id == message_id)
        .where(delivery.c.state.in_(_PENDING | _UNSENT))
        .where(delivery.c.recipient != "")  # a forgotten person
        .order_by(delivery.c.id)
    )
    deliveries = [
        Unfinished(id=r.id, recipient=r.recipient, parts=r.parts, state=State(r.state))
        for r in rows
    ]
    text = opened(connection, "message.text", found.text, message_id)
    return Stored(found.sender, text, deliveries)


_HURRY = BulkRows(
    "UPDATE queue SET due_at = ? WHERE delivery_id IN (SELECT id FROM given)", id="bigint"
)
# Queued by the version before.
_HURRY_BEFORE = BulkRows(
    """
    UPDATE delivery SET due_at = ? WHERE id IN (SELECT id FROM given) AND state = 'queued'
    """,
    id="bigint",
)
_AGAIN = BulkRows(
    """
    UPDATE delivery
    SET state = 'submitting', route = given.route, parts = given.parts, due_at = given.due,
        expires_at = given.expires_at, attempts = 0, possible_duplicate = given.duplicate
    FROM given WHERE delivery.id = given.id
    """,
    id="bigint",
    route="text",
    parts="integer",
    due="bigint",
    expires_at="bigint",
    duplicate="boolean",
)


class Again(NamedTuple):
    """A delivery that is sent again: how, and until when."""

    delivery: Unfinished
    #: The prefix of its route, and the lane.
    route: str
    lane: str
    parts: int
    #: Unix milliseconds.
    due_at: int
    expires_at: int


def queue_again(
    connection: Connection,
    again: Sequence[Again],
    *,
    message_id: str,
    account_id: int,
    priority: int,
    now: int,
) -> None:
    """Queue deliveries of a message again.

    A delivery that is still queued only becomes due; one that had ended begins anew, with all its
    parts.
    """
    hurried = [(each.delivery.id,) for each in again if each.delivery.state is State.QUEUED]
    if hurried:
        _HURRY.run(connection, hurried, now)
        _HURRY_BEFORE.run(connection, hurried, now)
    ended = [each for each in again if each.delivery.state in _UNSENT]
    if ended:
        ids = [each.delivery.id for each in ended]
        connection.execute(delete(part).where(part.c.delivery_id.in_(ids)))
        forget_awaited(connection, ids)
        # A receipt may have ended them while they waited for another attempt.
        leave(connection, ids)
        # The first copy may have arrived all the same.
        rows = [(each, each.delivery.state is State.UNCERTAIN) for each in ended]
        _AGAIN.run(
            connection,
            [
                (e.delivery.id, e.route, e.parts, e.due_at, e.expires_at, duplicate)
                for e, duplicate in rows
            ],
        )
        enqueue(
            connection,
            [
                (
                    e.delivery.id, message_id, account_id, lane_until(e.lane, e.due_at, now),
                    e.route, priority, e.parts, e.expires_at, 0, duplicate, None, None, e.due_at,
                )
                for e, duplicate in rows
            ],
        )  # fmt: skip
    ring(connection, Topic.QUEUE)
    deliveries = [each.delivery for each in again]
    record_steps(connection, [(d.id, now, 0, "resend", f"it was {d.state}") for d in deliveries])
