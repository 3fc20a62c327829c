"""Divides the limits of upstreams and routes between the workers.

Each worker writes what it holds and what it wants, and takes no more than the others leave. So what
all hold together never exceeds the limit, whoever joins, stops or dies. What a worker has too much
it gives back by holding less in its next call. Rows count until their lease ends, by the clock of
the database, for SQLite that of its machine.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete

from .. import moments
from ..upstream.allotment import Ask, fair_shares
from .bulk import run, with_marks
from .bulk_rows import BulkRows
from .tables import allotment

# Arbitrary, but equal in all workers: they take turns.
_ADVISORY_LOCK = 7_353_768
_LOCK = "SELECT pg_advisory_xact_lock(?::bigint)"
_CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"


class Held(NamedTuple):
    """The units of a rate and of a window that a worker holds, or should."""

    rate: int = 0
    window: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """What came of an exchange."""

    #: What the worker holds now, and what its fair share is.
    held: Held
    fair: Held
    #: The parts per second of all workers together; math.inf without a limit.
    whole: float
    #: The parts that other workers wrote in the last second.
    others: float


class _Row(NamedTuple):
    scope: str
    worker: int
    ready: bool
    rate_held: int
    rate_wanted: int
    window_held: int
    window_wanted: int
    speed: float
    ceiling: float | None
    until: int


_COLUMNS = ", ".join(_Row._fields)
_ALL = f"SELECT {_COLUMNS} FROM allotment WHERE scope IN (...)"  # noqa: S608 - names of ours
_STORE = BulkRows(
    f"""
    INSERT INTO allotment ({_COLUMNS}) SELECT {_COLUMNS} FROM given WHERE true
    ON CONFLICT (scope, worker) DO UPDATE SET ready = excluded.ready,
        rate_held = excluded.rate_held, rate_wanted = excluded.rate_wanted,
        window_held = excluded.window_held, window_wanted = excluded.window_wanted,
        speed = excluded.speed, ceiling = excluded.ceiling, until = excluded.until
    """,  # noqa: S608
    scope="text",
    worker="bigint",
    ready="boolean",
    rate_held="integer",
    rate_wanted="integer",
    window_held="integer",
    window_wanted="integer",
    speed="float8",
    ceiling="float8",
    until="bigint",
)


def exchange(
    connection: Connection, worker: int, offers: Mapping[str, tuple[Held, Ask]], *, lease: int
) -> dict[str, Exchanged]:
    """Store what a worker holds and asks for, by scope, and take what it may hold besides.

    It then holds that for `lease` milliseconds.
    """
    now = _turn(connection)
    others: dict[str, list[_Row]] = defaultdict(list)
    gone = False
    for values in run(connection, with_marks(_ALL, len(offers)), list(offers)):
        row = _Row(*values)
        if row.until <= now:
            gone = True
        elif row.worker != worker:
            others[row.scope].append(row)
    if gone:
        connection.execute(delete(allotment).where(allotment.c.until <= now))
    rows, exchanged = [], {}
    for scope, (held, ask) in offers.items():
        own, exchanged[scope] = _divided(scope, worker, held, ask, others[scope], now + lease)
        rows.append(own)
    _STORE.run(connection, rows)
    return exchanged


def _divided(
    scope: str, worker: int, held: Held, ask: Ask, others: list[_Row], until: int
) -> tuple[_Row, Exchanged]:
    limits = ask.limits
    ceilings = [row.ceiling for row in others if row.ceiling is not None]
    whole = min(limits.rate, ask.ceiling, *ceilings)
    units = Held(limits.rate_units, limits.window_units)
    # Whose carrier is there wants a unit at least, to find out whether it needs more.
    least = int(ask.ready)
    wanted = Held(
        max(least, _units(ask.rate, whole / units.rate, units.rate)),
        max(least, _units(ask.window, 1, units.window)),
    )
    own = _Row(
        scope=scope,
        worker=worker,
        ready=ask.ready,
        rate_held=held.rate,
        rate_wanted=wanted.rate,
        window_held=held.window,
        window_wanted=wanted.window,
        speed=ask.speed,
        ceiling=None if ask.ceiling == math.inf else ask.ceiling,
        until=until,
    )
    everybody = sorted([*others, own], key=lambda row: row.worker)
    place = everybody.index(own)
    ready = [bool(row.ready) for row in everybody]
    fair = Held(
        fair_shares(units.rate, [row.rate_wanted for row in everybody], ready)[place],
        fair_shares(units.window, [row.window_wanted for row in everybody], ready)[place],
    )
    left = Held(
        units.rate - sum(row.rate_held for row in others),
        units.window - sum(row.window_held for row in others),
    )
    takes = Held(
        max(held.rate, min(fair.rate, left.rate)), max(held.window, min(fair.window, left.window))
    )
    return own._replace(rate_held=takes.rate, window_held=takes.window), Exchanged(
        held=takes, fair=fair, whole=whole, others=sum(row.speed for row in others)
    )


def _units(wanted: float, unit: float, most: int) -> int:
    """So many units are wanted, at most all of them."""
    return most if wanted == math.inf else min(most, math.ceil(wanted / unit))


def _turn(connection: Connection) -> int:
    """Wait until no other worker exchanges; returns the time, Unix milliseconds."""
    if connection.dialect.name == "sqlite":
        return moments.now()
    run(connection, _LOCK, (_ADVISORY_LOCK,))
    # By a statement of its own: what it sees begins when the lock is held.
    ((now,),) = run(connection, _CLOCK, ())
    return int(now)


def dismiss(connection: Connection, worker: int) -> None:
    """Give back all that a worker holds."""
    connection.execute(delete(allotment).where(allotment.c.worker == worker))
