"""Statements about workers: who is alive, and so whose claims hold."""

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from .tables import worker


def enroll(connection: Connection, *, now: int, lease: int, number: int | None = None) -> int:
    """The number of a new worker, alive for `lease` milliseconds from now; with `number`, that of
    one that had been forgotten."""
    values = {"started_at": now, "alive_until": now + lease}
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
    """Keep a worker alive; False when it has been taken for dead and must enroll again.

    `failed_over` names the upstreams for which others stand in at this worker.
    """
    kept = connection.execute(
        _PROLONG, {"number": number, "until": now + lease, "failed_over": failed_over}
    )
    return kept.rowcount == 1


def dismiss(connection: Connection, number: int) -> None:
    """A worker ends; what it still holds is no longer claimed."""
    connection.execute(delete(worker).where(worker.c.id == number))


def bury(connection: Connection, *, now: int) -> None:
    """Forget workers that have been dead for a while."""
    connection.execute(delete(worker).where(worker.c.alive_until < now - 60_000))


def beats(connection: Connection, *, now: int) -> dict[int, int]:
    """The workers that are alive, each with what its last heartbeat has changed."""
    rows = connection.execute(
        select(worker.c.id, worker.c.alive_until).where(worker.c.alive_until > now)
    )
    return {row.id: row.alive_until for row in rows}


def alive(connection: Connection, *, now: int) -> dict[int, tuple[str, ...]]:
    """The workers that are alive, each with the upstreams for which others stand in."""
    rows = connection.execute(
        select(worker.c.id, worker.c.leaving)
        .where(worker.c.alive_until > now)
        .order_by(worker.c.id)
    )
    return {row.id: tuple(filter(None, row.leaving.split(","))) for row in rows}
