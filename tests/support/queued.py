"""Deliveries in the queue, and in other states, without a worker."""

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from sms_gateway.sms.ids import new_id
from sms_gateway.sms.message import State
from sms_gateway.store import attempts, intake, queue, tables


def accept(
    connection: Connection,
    account_id: int,
    number: str,
    *,
    lane: str,
    at: int,
    text: str = "hello",
    route: str = "",
    parts: int = 1,
    validity: int = 3_600_000,
    priority: int = queue.NORMAL,
) -> str:
    """Accept a message to a number; returns its id."""
    id = new_id(at)
    intake.add_messages(connection, [(id, account_id, "ACME", text, "gsm7", parts, at, "", 0)])
    intake.add_deliveries(
        connection,
        [(id, number, route, parts, at, at + validity, "BE")],
        [(account_id, lane, priority)],
    )
    return id


def bring_to(connection: Connection, delivery_id: int, state: str, **values: Any) -> None:
    """Bring a queued delivery to a state. `values`: other columns of the delivery."""
    waits = tables.queue.c.delivery_id == delivery_id
    if state == State.QUEUED:
        connection.execute(update(tables.queue).where(waits).values(due_at=values.get("due_at", 0)))
        return
    row = connection.execute(select(tables.queue).where(waits)).mappings().one()
    connection.execute(delete(tables.queue).where(waits))
    if state == State.SUBMITTING:
        held = {name: row[name] for name in queue.CARRIED}
        connection.execute(insert(tables.claim).values(held | {"claimed_by": 1, "upstream": "a"}))
    if state in (State.SUBMITTED, State.UNCERTAIN):
        until = tables.NEVER if state == State.UNCERTAIN else row["expires_at"]
        attempts.await_word(connection, [(delivery_id, until)])
    chosen = tables.delivery.c.id == delivery_id
    connection.execute(update(tables.delivery).where(chosen).values(state=state, **values))


def states(connection: Connection) -> list[str]:
    """The states of all deliveries, as people are told them."""
    rows = select(queue.STATE).select_from(queue.IN_QUEUE).order_by(tables.delivery.c.id)
    return list(connection.execute(rows).scalars())
