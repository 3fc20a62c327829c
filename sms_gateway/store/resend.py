"""Reads the unsent deliveries of a message, and queues them again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from ..sms.message import State
from .queue import record_steps
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
    rows = connection.execute(
        select(delivery.c.id, delivery.c.recipient, delivery.c.parts, delivery.c.state)
        .where(delivery.c.message_id == message_id)
        .where(delivery.c.state.in_(_PENDING | _UNSENT))
        .where(delivery.c.recipient != "")  # a forgotten person
        .order_by(delivery.c.id)
        .with_for_update()
    )
    deliveries = [
        Unfinished(id=r.id, recipient=r.recipient, parts=r.parts, state=State(r.state))
        for r in rows
    ]
    text = opened(connection, "message.text", found.text, message_id)
    return Stored(found.sender, text, deliveries)


_HURRY = (
    update(delivery)
    .where(delivery.c.id == bindparam("delivery_id"))
    .where(delivery.c.state == State.QUEUED)
    .values(due_at=bindparam("now"))
)

_AGAIN = (
    update(delivery)
    .where(delivery.c.id == bindparam("delivery_id"))
    .values(
        state=State.QUEUED,
        route=bindparam("prefix"),
        parts=bindparam("new_parts"),
        due_at=bindparam("now"),
        expires_at=bindparam("until"),
        attempts=0,
        # The first copy may have arrived all the same.
        possible_duplicate=bindparam("duplicate"),
    )
)


def queue_again(
    connection: Connection,
    deliveries: Sequence[tuple[Unfinished, str, int, int]],
    *,
    now: int,
) -> None:
    """Queue deliveries again, due now.

    `deliveries`: each with the prefix of its route, the parts that the text takes there, and when
    it expires (milliseconds). A delivery that is still queued only becomes due; one that had ended
    begins anew, with all its parts.
    """
    hurried = [d.id for d, _, _, _ in deliveries if d.state is State.QUEUED]
    if hurried:
        connection.execute(_HURRY, [{"delivery_id": id, "now": now} for id in hurried])
    ended = [each for each in deliveries if each[0].state in _UNSENT]
    if ended:
        connection.execute(
            delete(part).where(part.c.delivery_id.in_([d.id for d, _, _, _ in ended]))
        )
        connection.execute(
            _AGAIN,
            [
                {
                    "delivery_id": d.id,
                    "prefix": prefix,
                    "new_parts": parts,
                    "now": now,
                    "until": expires_at,
                    "duplicate": d.state is State.UNCERTAIN,
                }
                for d, prefix, parts, expires_at in ended
            ],
        )
    ring(connection, Topic.QUEUE)
    record_steps(
        connection, [(d.id, now, 0, "resend", f"it was {d.state}") for d, _, _, _ in deliveries]
    )
