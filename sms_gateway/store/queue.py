"""The queue: puts deliveries in, off and out of it, and says where they are.

A delivery is in `queue` while it waits, in `claim` while a worker hands it to a carrier (`claims`),
and in `awaited` while the carrier's word is awaited (`attempts`). Transactions lock a delivery's
rows in this order: queue, awaited, delivery.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, select

from ..moments import utc
from ..sms.message import State
from .bulk import insert_rows, later, run
from .bulk_rows import BulkRows
from .tables import (
    awaited,
    claim,
    delivery,
    early_receipt,
    idempotency,
    queue,
)

#: The lane of deliveries that are put off for long, so that claims need not pass by them.
ASLEEP = "asleep"
#: For how long a delivery has to be put off to sleep, and how long before it is due it wakes, ms.
_SLEEP, AWAKE_BEFORE = 60_000, 15_000

#: The state of a delivery as people are told it. It needs IN_QUEUE.
STATE = case(
    (
        (delivery.c.state == State.SUBMITTING) & queue.c.delivery_id.is_not(None),
        State.QUEUED.value,
    ),
    else_=delivery.c.state,
)
#: Deliveries with their rows of the queue, if they have one.
IN_QUEUE = delivery.outerjoin(queue, queue.c.delivery_id == delivery.c.id)

#: From the most urgent.
PRIORITIES = HIGH, NORMAL, LOW = 0, 1, 2

#: The columns that a delivery takes with it from the queue to a claim, and back.
CARRIED = tuple(column.name for column in claim.c)
QUEUE = (*CARRIED, "due_at")


def lane_until(lane: str, due: int, now: int) -> str:
    """The lane of a delivery that is due at a time: its own, or ASLEEP."""
    return lane if due <= now + _SLEEP else ASLEEP


def enqueue(connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Add deliveries to the queue. `rows`: the values of QUEUE."""
    insert_rows(connection, queue, QUEUE, [tuple(row) for row in rows])


_LEAVE = BulkRows("DELETE FROM queue WHERE delivery_id IN (SELECT id FROM given)", id="bigint")
_PUT_OFF = BulkRows(
    """
    UPDATE queue SET due_at = given.until, lane = given.lane FROM given
    WHERE queue.delivery_id = given.id
    """,
    id="bigint",
    until="bigint",
    lane="text",
)
_MOVE = BulkRows(
    """
    UPDATE queue SET route = given.route, lane = given.lane FROM given
    WHERE queue.delivery_id = given.id
    """,
    id="bigint",
    route="text",
    lane="text",
)
_REROUTE = BulkRows(
    "UPDATE delivery SET route = given.route FROM given WHERE delivery.id = given.id",
    id="bigint",
    route="text",
)


def put_off(connection: Connection, waiting: Sequence[tuple[int, int, str, str]], now: int) -> None:
    """Have deliveries wait: delivery, until when, lane, why."""
    _PUT_OFF.run(connection, [(id, until, lane) for id, until, lane, _ in waiting])
    record_steps(connection, [(id, now, 0, "put off", why) for id, _, _, why in waiting])


def move(connection: Connection, moved: Sequence[tuple[int, str, str, str]], now: int) -> None:
    """Give waiting deliveries another lane: delivery, old route, new route, lane.

    A change of the route is told in the journal.
    """
    _MOVE.run(connection, [(id, route, lane) for id, _, route, lane in moved])
    rerouted = [(id, route) for id, before, route, _ in moved if route != before]
    if rerouted:
        _REROUTE.run(connection, rerouted)
        steps = [(id, now, 0, "rerouted", route or "default") for id, route in rerouted]
        record_steps(connection, steps)


def leave(connection: Connection, ids: Collection[int]) -> None:
    """Take deliveries out of the queue."""
    _LEAVE.run(connection, [(id,) for id in ids])


_CANCEL = BulkRows(
    "DELETE FROM queue WHERE delivery_id IN (SELECT id FROM given) RETURNING delivery_id",
    id="bigint",
)
_END_QUEUED = BulkRows(
    """
    UPDATE delivery SET state = given.state FROM given
    WHERE delivery.id = given.id AND delivery.state IN ('queued', given.before)
    RETURNING delivery.id
    """,
    id="bigint",
    before="text",
    state="text",
)


def end_queued(
    connection: Connection, ids: Collection[int], state: State, reason: str, now: int
) -> list[int]:
    """End those of these deliveries that are queued, with a reason; returns their ids."""
    if not ids:
        return []
    waiting = {id for (id,) in _CANCEL.run(connection, [(id,) for id in ids])}
    # The version before has queued some by their state alone.
    given = [
        (id, (State.SUBMITTING if id in waiting else State.QUEUED).value, state.value)
        for id in sorted(ids)
    ]
    ended = [id for (id,) in _END_QUEUED.run(connection, given)]
    record_steps(connection, [(id, now, 0, state.value, reason) for id in ended])
    return ended


def quiet_words(until: int) -> str:
    """The reason in the journal why a delivery waits."""
    reason = f"quiet hours until {moment(until)}"
    return reason


def moment(milliseconds: int) -> str:
    """A time to the minute, for people."""
    return f"{utc(milliseconds):%Y-%m-%d %H:%MZ}"


_IN_USE = """
    WITH RECURSIVE lane (name) AS (
        SELECT min(lane) FROM queue
        UNION ALL
        SELECT (SELECT min(queue.lane) FROM queue WHERE queue.lane > lane.name) FROM lane
        WHERE lane.name IS NOT NULL
    ) SELECT name FROM lane WHERE name IS NOT NULL
"""


def lanes_in_use(connection: Connection) -> list[str]:
    """The lanes in which deliveries wait."""
    return [name for (name,) in run(connection, _IN_USE, ())]


def waiting(connection: Connection, route: str) -> int:
    """How many deliveries are queued on a route."""
    queued = select(func.count()).select_from(queue).where(queue.c.route == route)
    number: int = connection.execute(queued).scalar_one()
    return number


def lock(connection: Connection, ids: Collection[int]) -> None:
    """Lock these deliveries, in the order of all transactions, until the transaction ends.

    Later reads in it see what other transactions committed before.
    """
    if ids:
        for statement in _LOCKS:
            connection.execute(statement, {"ids": list(ids)})


_LOCKS = [
    select(key).where(key.in_(bindparam("ids", expanding=True))).order_by(key).with_for_update()
    for key in (queue.c.delivery_id, awaited.c.delivery_id, delivery.c.id)
]

_RECORD = BulkRows(
    """
    INSERT INTO step (delivery_id, at, part, event, detail)
    SELECT delivery_id, at, part, event, detail FROM given
    """,
    delivery_id="bigint",
    at="bigint",
    part="integer",
    event="text",
    detail="text",
)


def record_steps(connection: Connection, steps: Sequence[tuple[int, int, int, str, str]]) -> None:
    """Add lines to the journal: delivery, time, part (0: all), event, detail."""
    if steps:
        _RECORD.run(connection, steps, execute=later)


def forget_old(connection: Connection, *, repeats_before: int, receipts_before: int) -> None:
    """Delete old idempotency records and old early receipts."""
    connection.execute(delete(idempotency).where(idempotency.c.created_at < repeats_before))
    connection.execute(delete(early_receipt).where(early_receipt.c.received_at < receipts_before))
