"""Reads and writes the heartbeats of workers: the claims of a worker hold while it is alive."""

from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from .tables import SCHEMA, worker


def enroll(connection: Connection, *, now: int, lease: int, number: int | None = None) -> int:
    """Insert a worker, alive for `lease` milliseconds; returns its number.

    `number`: the earlier number of a worker whose row was deleted.
    """
    values: dict[str, Any] = {"started_at": now, "alive_until": now + lease, "schema": SCHEMA}
    if number is not None:
        values["id"] = number
    created = connection.execute(insert(worker).values(values).returning(worker.c.id))
    enrolled: int = created.scalar_one()
    return enrolled


_PROLONG = (
    update(worker)
    .where(worker.c.id == bindparam("number"))
    .values(alive_until=bindparam("until"), leaving=bindparam("failed_over"))
)


def prolong(
    connection: Connection, number: int, *, now: int, lease: int, failed_over: str = ""
) -> bool:
    """Record a heartbeat; False when the worker was taken for dead and must enroll again.

    `failed_over`: the upstreams that failed over to others at this worker.
    """
    kept = connection.execute(
        _PROLONG, {"number": number, "until": now + lease, "failed_over": failed_over}
    )
    return kept.rowcount == 1


def dismiss(connection: Connection, number: int) -> None:
    """Delete a worker that ends; its claims no longer hold."""
    connection.execute(delete(worker).where(worker.c.id == number))


def bury(connection: Connection, *, now: int) -> None:
    """Delete workers that have been dead for a minute."""
    connection.execute(delete(worker).where(worker.c.alive_until < now - 60_000))


def are_of_this_version(connection: Connection, *, now: int) -> bool:
    """Whether no worker of an older schema is alive."""
    older = select(worker.c.id).where(worker.c.alive_until > now, worker.c.schema == "")
    return connection.execute(older.limit(1)).first() is None


def beats(connection: Connection, *, now: int) -> dict[int, int]:
    """The alive workers, each with its `alive_until`, which changes with every heartbeat."""
    rows = connection.execute(
        select(worker.c.id, worker.c.alive_until).where(worker.c.alive_until > now)
    )
    return {row.id: row.alive_until for row in rows}


def alive(connection: Connection, *, now: int) -> dict[int, tuple[str, ...]]:
    """The alive workers, each with the upstreams that failed over at it."""
    rows = connection.execute(
        select(worker.c.id, worker.c.leaving)
        .where(worker.c.alive_until > now)
        .order_by(worker.c.id)
    )
    return {row.id: tuple(filter(None, row.leaving.split(","))) for row in rows}
