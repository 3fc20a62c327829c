"""Statements that tell people what became of a message."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from ..sms.message import State, fold
from .tables import account, delivery, message, step


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a delivery's journal."""

    #: Unix milliseconds.
    at: int
    #: The part it is about; 0 is the whole delivery.
    part: int
    event: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryHistory:
    recipient: str
    state: State
    route: str
    upstream: str
    parts: int
    #: When it may be tried next; of use while it is queued. Unix milliseconds.
    due_at: int
    expires_at: int
    steps: Sequence[Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHistory:
    id: str
    account_id: int
    account: str
    sender: str
    text: str
    encoding: str
    parts: int
    accepted_at: int
    #: Text and numbers were deleted.
    erased: bool
    deliveries: Sequence[DeliveryHistory]

    @property
    def state(self) -> State:
        return fold(d.state for d in self.deliveries)


def of_message(connection: Connection, message_id: str) -> MessageHistory | None:
    """Everything that is known of a message; None when there is none of that id."""
    row = connection.execute(
        select(message, account.c.name)
        .join_from(message, account)
        .where(message.c.id == message_id)
    ).one_or_none()
    if row is None:
        return None
    steps: dict[int, list[Step]] = {}
    for line in connection.execute(
        select(step)
        .join_from(step, delivery)
        .where(delivery.c.message_id == message_id)
        .order_by(step.c.id)
    ):
        steps.setdefault(line.delivery_id, []).append(
            Step(at=line.at, part=line.part, event=line.event, detail=line.detail)
        )
    deliveries = connection.execute(
        select(delivery).where(delivery.c.message_id == message_id).order_by(delivery.c.id)
    )
    return MessageHistory(
        id=row.id,
        account_id=row.account_id,
        account=row.name,
        sender=row.sender,
        text=row.text,
        encoding=row.encoding,
        parts=row.parts,
        accepted_at=row.accepted_at,
        erased=row.erased_at is not None,
        deliveries=[
            DeliveryHistory(
                recipient=d.recipient,
                state=State(d.state),
                route=d.route,
                upstream=d.upstream or "",
                parts=d.parts,
                due_at=d.due_at,
                expires_at=d.expires_at,
                steps=steps.get(d.id, []),
            )
            for d in deliveries
        ],
    )
