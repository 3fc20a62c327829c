"""Moves waiting deliveries to other lanes: when they wake, and when the settings have changed."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, bindparam, literal_column, select

from ..routing.routes import Routes
from .queue import ASLEEP, lanes_in_use, move
from .queue import AWAKE_BEFORE as AWAKE_BEFORE
from .tables import delivery, queue

_ROWS = select(queue.c.delivery_id, queue.c.route, queue.c.due_at, delivery.c.recipient).join_from(
    queue, delivery, delivery.c.id == queue.c.delivery_id
)
# By a partial index of its own.
_WAKING = (
    _ROWS.where(queue.c.lane == literal_column(f"'{ASLEEP}'"))
    .where(queue.c.due_at <= bindparam("until"))
    .order_by(queue.c.due_at)
    .limit(bindparam("most"))
    .with_for_update(of=queue, skip_locked=True)
)
_OF_LANE = (
    _ROWS.where(queue.c.lane == bindparam("lane"))
    .where(queue.c.delivery_id > bindparam("after"))
    .order_by(queue.c.delivery_id)
    .limit(bindparam("most"))
    .with_for_update(of=queue, skip_locked=True)
)


def unknown_lanes(connection: Connection, routes: Routes) -> list[str]:
    """The lanes of the queue from which no upstream of these routes claims."""
    known = {ASLEEP, *routes.lane_names()}
    return [name for name in lanes_in_use(connection) if name not in known]


def wake(connection: Connection, routes: Routes, *, now: int, most: int = 1000) -> int:
    """Give deliveries that are soon due their lane; returns how many, at most `most`."""
    given = {"until": now + AWAKE_BEFORE, "most": most}
    return len(_placed(connection, _WAKING, given, routes, "", now))


def clear(
    connection: Connection, lane: str, routes: Routes, *, now: int, after: int, most: int = 1000
) -> int | None:
    """Give deliveries of an unknown lane another; returns the last of them, None without any.

    `after`: the delivery after which to begin.
    """
    given = {"lane": lane, "after": after, "most": most}
    ids = _placed(connection, _OF_LANE, given, routes, lane, now)
    return max(ids, default=None)


def _placed(
    connection: Connection,
    statement: Select[Any],
    given: dict[str, Any],
    routes: Routes,
    before: str,
    now: int,
) -> Collection[int]:
    moved, ids = [], []
    for row in connection.execute(statement, given).all():
        prefix, lane = routes.place(row.route, row.recipient)
        ids.append(row.delivery_id)
        if lane != before:
            moved.append((row.delivery_id, row.route, prefix, lane))
    if moved:
        move(connection, moved, now)
    return ids
