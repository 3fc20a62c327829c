"""Counts the accepted parts in each window, and records which caps were reached.

A transaction holds a counter (inserts or locks it) before it compares it with a cap, and writes it
together with the messages that it counts. Other transactions wait for the counter until then, so it
is exact across processes and hosts. Windows follow the clock of the database, for SQLite the clock
of its machine.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, delete, func, or_, select, text, update

from ..caps import Cap, Counts, Period
from .bulk import later, run
from .bulk_rows import BulkRows
from .tables import account, cap_trip, counter

#: The key of a counter without its window: scope and period.
Name = tuple[str, Period]


class Counted(NamedTuple):
    """The value of a counter in its present window."""

    #: When the window began, Unix milliseconds.
    start: int
    parts: int


# Locks are taken in the order of the names, so that two processes never deadlock.
_HOLD = """
    INSERT INTO counter AS old (scope, period, start, parts) SELECT scope, period, {start}, 0
    FROM given WHERE true ORDER BY scope, period
    ON CONFLICT (scope, period, start) DO UPDATE SET parts = old.parts
    RETURNING scope, period, start, parts
"""
# now() is when the transaction began: one time for everything that it counts.
_NOW = "(extract(epoch FROM date_trunc(period, now() AT TIME ZONE 'UTC')) * 1000)::bigint"
_HOLD_IN_POSTGRESQL = BulkRows(_HOLD.format(start=_NOW), scope="text", period="text")
_HOLD_IN_SQLITE = BulkRows(_HOLD.format(start="start"), scope="text", period="text", start="bigint")


def hold(connection: Connection, names: Collection[Name], now: int) -> dict[Name, Counted]:
    """The present counters of these names, locked until the transaction ends.

    A missing counter is inserted with 0 parts; `add` deletes it again if it stays at 0.
    `now` (Unix milliseconds) is used for SQLite, which has no clock of its own.
    """
    if connection.dialect.name == "sqlite":
        starting = [(scope, period.value, period.start(now)) for scope, period in names]
        found = _HOLD_IN_SQLITE.run(connection, starting)
    else:
        plain = [(scope, period.value) for scope, period in names]
        found = _HOLD_IN_POSTGRESQL.run(connection, plain)
    return {(scope, Period(p)): Counted(start, parts) for scope, p, start, parts in found}


_ADD = BulkRows(
    """
    UPDATE counter SET parts = counter.parts + given.parts FROM given
    WHERE counter.scope = given.scope AND counter.period = given.period
        AND counter.start = given.start
    """,
    scope="text",
    period="text",
    start="bigint",
    parts="bigint",
)
_LET_GO = BulkRows(
    """
    DELETE FROM counter WHERE parts = 0
    AND (scope, period, start) IN (SELECT scope, period, start FROM given)
    """,
    scope="text",
    period="text",
    start="bigint",
)


def add(connection: Connection, held: Mapping[Name, Counted], parts: Mapping[Name, int]) -> None:
    """Add parts to held counters, and delete the counters that are still 0."""
    added = [
        (scope, period.value, held[scope, period].start, more)
        for (scope, period), more in sorted(parts.items())
        if more
    ]
    if added:
        _ADD.run(connection, added, execute=later)
    empty = [
        (name[0], name[1].value, each.start)
        for name, each in held.items()
        if not each.parts and not parts.get(name)
    ]
    if empty:
        _LET_GO.run(connection, empty, execute=later)


_TRIP = BulkRows(
    """
    INSERT INTO cap_trip AS old (scope, period, start, parts, account_id, refusals, refused_parts,
        tripped_at, due_at, attempts, failure)
    SELECT scope, period, start, parts, account_id, refusals, refused_parts, tripped_at, tripped_at,
        0, '' FROM given WHERE true ORDER BY scope, period
    ON CONFLICT (scope, period, start) DO UPDATE SET refusals = old.refusals + excluded.refusals,
        refused_parts = old.refused_parts + excluded.refused_parts
    """,
    scope="text",
    period="text",
    start="bigint",
    parts="bigint",
    account_id="bigint",
    refusals="bigint",
    refused_parts="bigint",
    tripped_at="bigint",
)


class Trip(NamedTuple):
    """Refusals by a cap in one window."""

    #: The parts that the cap allows.
    parts: int
    #: The account of the first refusal.
    account_id: int
    refusals: int
    refused_parts: int


def trip(
    connection: Connection, held: Mapping[Name, Counted], trips: Mapping[Name, Trip], now: int
) -> None:
    """Count submissions that caps refused. The first in a window makes a notice to the operator."""
    rows = [
        (scope, period.value, held[scope, period].start, *each, now)
        for (scope, period), each in trips.items()
    ]
    if rows:
        _TRIP.run(connection, rows, execute=later)


def clock(connection: Connection, now: int) -> int:
    """The clock that windows follow, Unix milliseconds: PostgreSQL's, or `now` for SQLite."""
    if connection.dialect.name == "sqlite":
        return now
    asked = text("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    return int(connection.execute(asked).scalar_one())


def present(connection: Connection, names: Collection[Name], now: int) -> dict[Name, Counted]:
    """The present counters of these names, not locked."""
    now = clock(connection, now)
    starts = {(scope, period): period.start(now) for scope, period in names}
    scopes = {scope for scope, _ in names}
    rows = connection.execute(select(counter).where(counter.c.scope.in_(scopes)))
    parts = {(r.scope, Period(r.period), r.start): r.parts for r in rows}
    return {name: Counted(start, parts.get((*name, start), 0)) for name, start in starts.items()}


def used(
    connection: Connection, account_id: int, caps: Collection[Cap], now: int
) -> list[tuple[Cap, int]]:
    """The caps of a key, each with the parts that were accepted in its present window."""
    scope = f"{Counts.KEY} {account_id}"
    found = present(connection, [(scope, cap.period) for cap in caps], now) if caps else {}
    return [(cap, found[scope, cap.period].parts) for cap in caps]


def listed(connection: Connection, now: int, *, every: bool) -> Sequence[Any]:
    """The counters of the present windows: scope, period, start, parts, and refusals.

    There are many counters of numbers, ranges and networks: they are listed only if a cap was
    reached, or with `every`.
    """
    now = clock(connection, now)
    present = or_(
        *[and_(counter.c.period == p.value, counter.c.start == p.start(now)) for p in Period]
    )
    joined = counter.outerjoin(
        cap_trip,
        and_(
            cap_trip.c.scope == counter.c.scope,
            cap_trip.c.period == counter.c.period,
            cap_trip.c.start == counter.c.start,
        ),
    )
    rows = (
        select(
            counter.c.scope,
            counter.c.period,
            counter.c.start,
            counter.c.parts,
            cap_trip.c.parts.label("cap"),
            cap_trip.c.tripped_at,
            cap_trip.c.lifted_at,
            func.coalesce(cap_trip.c.refusals, 0).label("refusals"),
        )
        .select_from(joined)
        .where(present)
        .order_by(counter.c.scope, counter.c.start)
    )
    if not every:
        few = [f"{word} %" for word in (Counts.KEY, Counts.PREFIX)]
        shown = [counter.c.scope.like(each) for each in few]
        rows = rows.where(
            or_(*shown, counter.c.scope == Counts.TOTAL.value, cap_trip.c.refusals > 0)
        )
    return connection.execute(rows).all()


def lift(connection: Connection, scopes: Collection[str], now: int) -> int:
    """Set the present counters of these scopes to 0; returns how many counters that were."""
    moment = clock(connection, now)
    current = [
        and_(counter.c.period == p.value, counter.c.start == p.start(moment)) for p in Period
    ]
    parts = connection.execute(
        update(counter)
        .where(counter.c.scope.in_(scopes), or_(*current))
        .values(parts=0)
        .returning(counter.c.scope)
    ).all()
    tripped = [
        and_(cap_trip.c.period == p.value, cap_trip.c.start == p.start(moment)) for p in Period
    ]
    connection.execute(
        update(cap_trip).where(cap_trip.c.scope.in_(scopes), or_(*tripped)).values(lifted_at=moment)
    )
    return len(parts)


def refusals(connection: Connection) -> dict[Counts, tuple[int, int]]:
    """How many submissions and parts each kind of cap has ever refused."""
    rows = connection.execute(
        select(
            cap_trip.c.scope,
            func.sum(cap_trip.c.refusals).label("refusals"),
            func.sum(cap_trip.c.refused_parts).label("refused_parts"),
        ).group_by(cap_trip.c.scope)
    )
    found = dict.fromkeys(Counts, (0, 0))
    for row in rows:
        kind = Counts(row.scope.partition(" ")[0])
        before = found[kind]
        found[kind] = before[0] + int(row.refusals), before[1] + int(row.refused_parts)
    return found


class Due(NamedTuple):
    """A reached cap of which the operator is to be notified."""

    scope: str
    period: Period
    start: int
    parts: int
    #: The name of the key whose submission was refused first; empty when the key was deleted.
    key: str
    #: The name of the key when the cap is a key's own; else empty.
    name: str
    refusals: int
    refused_parts: int
    tripped_at: int
    attempts: int


_DUE = (
    select(cap_trip, account.c.name)
    .select_from(cap_trip.outerjoin(account, cap_trip.c.account_id == account.c.id))
    .where(cap_trip.c.due_at.is_not(None))
)


def is_any_due(connection: Connection, now: int) -> bool:
    """Whether the operator is to be notified of a reached cap."""
    found = run(connection, "SELECT 1 FROM cap_trip WHERE due_at <= ? LIMIT 1", (now,))
    return any(True for _ in found)


def claim(connection: Connection, *, now: int, lease: int, most: int) -> list[Due]:
    """Claim due trips for `lease` milliseconds; afterwards others may claim them."""
    rows = connection.execute(
        _DUE.where(cap_trip.c.due_at <= now)
        .order_by(cap_trip.c.due_at)
        .limit(most)
        .with_for_update(of=cap_trip, skip_locked=True)
    ).all()
    for row in rows:
        connection.execute(_one(row).values(due_at=now + lease, attempts=cap_trip.c.attempts + 1))
    return [
        Due(
            scope=row.scope,
            period=Period(row.period),
            start=row.start,
            parts=row.parts,
            key=row.name or "",
            name=row.name or "" if row.scope.startswith(f"{Counts.KEY} ") else "",
            refusals=row.refusals,
            refused_parts=row.refused_parts,
            tripped_at=row.tripped_at,
            attempts=row.attempts,
        )
        for row in rows
    ]


def told(connection: Connection, due: Due, *, failure: str, again_at: int | None) -> None:
    """Record the result of a notice to the operator; it is retried at `again_at`, unless None."""
    connection.execute(_one(due).values(failure=failure, due_at=again_at))


def _one(which: Any) -> Any:
    return update(cap_trip).where(
        cap_trip.c.scope == which.scope,
        cap_trip.c.period == str(which.period),
        cap_trip.c.start == which.start,
    )


# How long counters and trips are kept after their window began, milliseconds. The scopes of minutes
# and hours contain phone numbers, which must be gone when the history is erased.
_HOUR = 3_600_000
_KEPT = {
    Period.MINUTE: 2 * _HOUR,
    Period.HOUR: 24 * _HOUR,
    Period.DAY: 48 * _HOUR,
    Period.MONTH: 62 * 24 * _HOUR,
}


def sweep(connection: Connection, now: int) -> int:
    """Delete counters and trips of old windows, but keep the sums of refusals; returns the rows."""
    moment = clock(connection, now)
    gone = 0
    for period, kept in _KEPT.items():
        old = moment - kept
        gone += connection.execute(
            delete(counter).where(counter.c.period == period.value, counter.c.start < old)
        ).rowcount
        swept = connection.execute(
            delete(cap_trip)
            .where(
                cap_trip.c.period == period.value,
                cap_trip.c.start < old,
                # The row of the sums has the start 0.
                cap_trip.c.start > 0,
                cap_trip.c.due_at.is_(None),
            )
            .returning(cap_trip.c.scope, cap_trip.c.refusals, cap_trip.c.refused_parts)
        ).all()
        sums: dict[str, list[int]] = {}
        for row in swept:
            total = sums.setdefault(row.scope.partition(" ")[0], [0, 0])
            total[0] += row.refusals
            total[1] += row.refused_parts
        for word, total in sorted(sums.items()):
            summed = {"scope": word, "period": period.value, "r": total[0], "p": total[1]}
            connection.execute(_SUM, summed)
        gone += len(swept)
    return gone


_SUM = text(
    """
    INSERT INTO cap_trip AS old (scope, period, start, parts, account_id, refusals, refused_parts,
        tripped_at, attempts, failure)
    VALUES (:scope, :period, 0, 0, 0, :r, :p, 0, 0, '')
    ON CONFLICT (scope, period, start) DO UPDATE SET refusals = old.refusals + excluded.refusals,
        refused_parts = old.refused_parts + excluded.refused_parts
    """
)


def forget(connection: Connection, number: str) -> None:
    """Delete the counters and trips of a number (E.164 with its plus sign)."""
    scopes = [f"{word} {number}" for word in (Counts.NUMBER, Counts.FREE_NUMBER)]
    connection.execute(delete(counter).where(counter.c.scope.in_(scopes)))
    connection.execute(delete(cap_trip).where(cap_trip.c.scope.in_(scopes)))
