"""Leases: what only one worker does at a time."""

from sqlalchemy import Connection

from .bulk import run

#: How long a lease holds when it is not prolonged, ms: another worker takes over within 10 s.
LASTS = 6_000

_TAKE = """
    INSERT INTO lease AS old (name, holder, until) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE old.holder = excluded.holder OR old.until <= ?
    RETURNING holder
"""

_HELD = "SELECT 1 FROM lease WHERE name = ? AND holder = ? AND until > ?"


def hold(connection: Connection, name: str, worker: int, *, now: int) -> bool:
    """Take or prolong a lease; False when another worker has it.

    The lease is locked until the transaction ends, so that what is written in it is written by one
    worker alone.
    """
    # Who writes to SQLite is alone. A transaction that then writes nothing need not reach the disk.
    is_alone = connection.dialect.name == "sqlite"
    if is_alone and list(run(connection, _HELD, (name, worker, now + LASTS // 2))):
        return True
    return bool(list(run(connection, _TAKE, (name, worker, now + LASTS, now))))


def prolong(connection: Connection, name: str, until: int) -> None:
    """Prolong a lease that nobody holds: it stands for something that was seen."""
    run(connection, _PROLONG, (name, until))


_PROLONG = """
    INSERT INTO lease (name, holder, until) VALUES (?, 0, ?)
    ON CONFLICT (name) DO UPDATE SET until = excluded.until
"""


def ends_at(connection: Connection, name: str) -> int | None:
    """When a lease ends, or has ended; None when there was none."""
    rows = list(run(connection, "SELECT until FROM lease WHERE name = ?", (name,)))
    return rows[0][0] if rows else None


def give_back(connection: Connection, worker: int) -> None:
    """A worker that ends holds no lease any more."""
    run(connection, "DELETE FROM lease WHERE holder = ?", (worker,))
