"""How attempts end: outcomes of claims, late answers, claims of dead workers, ends of validity."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, bindparam, delete, func, select
from sqlalchemy.sql.dml import ReturningDelete

from ..routing.routes import Routes
from ..sms.message import State
from .bulk import later
from .bulk_rows import BulkRows
from .queue import CARRIED, IN_QUEUE, NORMAL, enqueue, lane_until, leave, lock
from .tables import NEVER, awaited, claim, delivery, message, part, queue, worker


class Attempt(NamedTuple):
    """A delivery with the columns that it has in the queue and in a claim."""

    delivery_id: int
    message_id: str
    account_id: int
    lane: str
    route: str
    priority: int
    parts: int
    expires_at: int
    attempts: int
    possible_duplicate: bool
    claimed_by: int | None
    upstream: str | None


_ADD_PARTS = BulkRows(
    """
    INSERT INTO part (delivery_id, number, upstream, smsc_key, state)
    SELECT delivery_id, number, upstream, smsc_key, 'submitted' FROM given WHERE true
    ON CONFLICT (delivery_id, number) DO UPDATE
    SET upstream = excluded.upstream, smsc_key = excluded.smsc_key WHERE part.state = 'submitted'
    """,
    delivery_id="bigint",
    number="integer",
    upstream="text",
    smsc_key="text",
)


def add_parts(connection: Connection, parts: Sequence[tuple[int, int, str, str]]) -> None:
    """Insert parts that a carrier accepted: delivery, number, upstream, smsc_key.

    The second copy of a part replaces the first, unless the first has its receipt.
    """
    # One statement cannot write the same row twice.
    last = {row[:2]: row for row in parts}
    _ADD_PARTS.run(connection, list(last.values()))


_COLUMNS = ", ".join(CARRIED)
_END_CLAIM = BulkRows(
    f"""
    DELETE FROM claim WHERE claimed_by = ?
    AND (delivery_id, attempts) IN (SELECT delivery_id, attempt FROM given) RETURNING {_COLUMNS}
    """,  # noqa: S608 - names of ours
    delivery_id="bigint",
    attempt="integer",
)
# Queued once more when this worker was taken for dead, and not claimed since.
_END_RELEASED = BulkRows(
    f"""
    DELETE FROM queue WHERE claimed_by = ? AND attempts > 0
    AND (delivery_id, attempts) IN (SELECT delivery_id, attempt FROM given) RETURNING {_COLUMNS}
    """,  # noqa: S608 - names of ours
    delivery_id="bigint",
    attempt="integer",
)
_UNDER_WAY = select(claim.c.delivery_id, claim.c.attempts).where(
    claim.c.delivery_id.in_(bindparam("ids", expanding=True))
)
_UNCERTAIN = (
    select(
        delivery.c.id,
        delivery.c.message_id,
        message.c.account_id,
        delivery.c.recipient,
        delivery.c.route,
        delivery.c.parts,
        delivery.c.expires_at,
        delivery.c.attempts,
        delivery.c.possible_duplicate,
        delivery.c.upstream,
    )
    .join_from(delivery, message)
    .where(delivery.c.id.in_(bindparam("ids", expanding=True)))
    .where(delivery.c.state == State.UNCERTAIN)
)

#: How an attempt ended: delivery, attempt (0: any), state, due, possible_duplicate.
Ended = tuple[int, int, State, int, bool]


def settle(
    connection: Connection, rows: Sequence[Ended], *, worker: int, routes: Routes, now: int
) -> None:
    """Record how attempts of a worker ended.

    A delivery that was settled otherwise meanwhile, such as by a receipt, is not changed.
    """
    rows = _with_attempts(connection, rows)
    found = _ended(connection, _END_CLAIM, rows, worker)
    missing = [row for row in rows if row[0] not in found]
    if missing:
        found |= _ended(connection, _END_RELEASED, missing, worker)
        missing = [row for row in missing if row[0] not in found]
    if missing:
        found |= _uncertain(connection, missing, routes)
    outcomes = {
        id: (state, due, duplicate)
        for id, attempt, state, due, duplicate in rows
        if id in found and attempt in (0, found[id].attempts)
    }
    waiting: list[tuple[Any, ...]] = []
    settled: list[tuple[Attempt, State, int]] = []
    for id, (state, due, duplicate) in outcomes.items():
        attempt = found[id]._replace(possible_duplicate=duplicate)
        if state is State.QUEUED:
            lane = lane_until(attempt.lane, due, now)
            waiting.append((*attempt._replace(lane=lane), due))
        else:
            settled.append((attempt, state, due))
    if waiting:
        enqueue(connection, waiting)
    if settled:
        _write(connection, settled)


def _with_attempts(connection: Connection, rows: Sequence[Ended]) -> Sequence[Ended]:
    """The rows with the number of the attempt under way in the place of 0."""
    any_attempt = [row[0] for row in rows if row[1] == 0]
    if not any_attempt:
        return rows
    rows_there = connection.execute(_UNDER_WAY, {"ids": any_attempt})
    known = {row.delivery_id: row.attempts for row in rows_there}
    return [(id, known.get(id, 0) if n == 0 else n, *rest) for id, n, *rest in rows]  # type: ignore[misc]


def _ended(
    connection: Connection, statement: BulkRows, rows: Sequence[Ended], worker: int
) -> dict[int, Attempt]:
    given = [(id, attempt) for id, attempt, *_ in rows]
    return {row[0]: Attempt(*row) for row in statement.run(connection, given, worker)}


def _uncertain(connection: Connection, rows: Sequence[Ended], routes: Routes) -> dict[int, Attempt]:
    """The uncertain ones of these deliveries, which an answer reaches late."""
    attempts = {id: attempt for id, attempt, *_ in rows}
    found: dict[int, Attempt] = {}
    for row in connection.execute(_UNCERTAIN, {"ids": list(attempts)}):
        if attempts[row.id] in (0, row.attempts):
            prefix, lane = routes.place(row.route, row.recipient)
            found[row.id] = Attempt(
                row.id, row.message_id, row.account_id, lane, prefix, NORMAL, row.parts,
                row.expires_at, row.attempts, row.possible_duplicate, None, row.upstream,
            )  # fmt: skip
    if found:
        forget_awaited(connection, found)
        _BEGUN_AGAIN.run(connection, [(id,) for id in found])
    return found


_BEGUN_AGAIN = BulkRows(
    "UPDATE delivery SET state = 'submitting' WHERE id IN (SELECT id FROM given)", id="bigint"
)
_WRITE = BulkRows(
    """
    UPDATE delivery
    SET state = given.state, due_at = given.ended_at, attempts = given.attempts,
        possible_duplicate = given.duplicate, upstream = given.upstream
    FROM given WHERE delivery.id = given.delivery_id AND delivery.state = 'submitting'
    RETURNING delivery.id
    """,
    delivery_id="bigint",
    state="text",
    ended_at="bigint",
    attempts="integer",
    duplicate="boolean",
    upstream="text",
)


def _write(
    connection: Connection, settled: Sequence[tuple[Attempt, State, int]]
) -> dict[int, State]:
    """Write outcomes of attempts into the history, with the times of their ends.

    Returns the new states. A delivery that a receipt has ended meanwhile is left alone.
    """
    rows = _WRITE.run(
        connection,
        [
            (a.delivery_id, state.value, at, a.attempts, bool(a.possible_duplicate), a.upstream)
            for a, state, at in settled
        ],
    )
    written = {id for (id,) in rows}
    until = {State.SUBMITTED: None, State.UNCERTAIN: NEVER}
    waiting = [
        (attempt.delivery_id, until[state] or attempt.expires_at)
        for attempt, state, _ in settled
        if state in until and attempt.delivery_id in written
    ]
    if waiting:
        await_word(connection, waiting)
    return {a.delivery_id: state for a, state, _ in settled if a.delivery_id in written}


_AWAIT = BulkRows(
    """
    INSERT INTO awaited (delivery_id, expires_at) SELECT delivery_id, until FROM given WHERE true
    ON CONFLICT (delivery_id) DO UPDATE SET expires_at = excluded.expires_at
    """,
    delivery_id="bigint",
    until="bigint",
)
_FORGET = BulkRows("DELETE FROM awaited WHERE delivery_id IN (SELECT id FROM given)", id="bigint")


def await_word(connection: Connection, rows: Sequence[tuple[int, int]]) -> None:
    """Note deliveries that wait for the carrier's word, each until a time (NEVER: without end)."""
    _AWAIT.run(connection, rows, execute=later)


def forget_awaited(connection: Connection, ids: Collection[int]) -> None:
    """Deliveries wait for the carrier's word no longer."""
    _FORGET.run(connection, [(id,) for id in ids])


_ANSWERED = (
    select(delivery.c.id, delivery.c.state, delivery.c.expires_at, queue.c.delivery_id)
    .select_from(IN_QUEUE)
    .where(delivery.c.id.in_(bindparam("ids", expanding=True)))
    .where((delivery.c.state == State.UNCERTAIN) | queue.c.delivery_id.is_not(None))
    .where(
        delivery.c.parts
        <= select(func.count())
        .select_from(part)
        .where(part.c.delivery_id == delivery.c.id)
        .scalar_subquery()
    )
)
_SUBMITTED = BulkRows(
    """
    UPDATE delivery SET state = 'submitted' WHERE id IN (SELECT id FROM given)
    AND state IN ('submitting', 'uncertain')
    """,
    id="bigint",
)


def settle_late(connection: Connection, ids: Collection[int]) -> None:
    """Set deliveries to submitted if all of their parts have an answer by now.

    They were uncertain, or queued to be sent again.
    """
    lock(connection, ids)
    answered = connection.execute(_ANSWERED, {"ids": list(ids)}).all()
    if answered:
        given = [(row.id,) for row in answered]
        leave(connection, [row.id for row in answered])
        await_word(connection, [(row.id, row.expires_at) for row in answered])
        _SUBMITTED.run(connection, given)


_ALIVE = select(worker.c.id).where(worker.c.alive_until > bindparam("now"))
_LOST = (
    delete(claim)
    .where(claim.c.delivery_id.in_(
        select(claim.c.delivery_id)
        .where(claim.c.claimed_by.not_in(_ALIVE))
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    ))
    .returning(*claim.c)
)  # fmt: skip


def lost_claims(
    connection: Connection, *, resending: Collection[str], now: int, most: int = 1000
) -> dict[int, State]:
    """Release claims of dead workers; returns at most `most` deliveries with their new states.

    The deliveries become uncertain; on routes in `resending` they are queued once more.
    """
    lost = [Attempt(*row) for row in connection.execute(_LOST, {"now": now, "most": most})]
    return release(connection, lost, resending=resending, now=now)


def release(
    connection: Connection, lost: Sequence[Attempt], *, resending: Collection[str], now: int
) -> dict[int, State]:
    """End attempts whose worker is dead; returns the deliveries with their new states."""
    again = [a for a in lost if a.route in resending and not a.possible_duplicate]
    if again:
        enqueue(connection, [(*a._replace(possible_duplicate=True), now) for a in again])
    states = dict.fromkeys((a.delivery_id for a in again), State.QUEUED)
    uncertain = [(a, State.UNCERTAIN, now) for a in lost if a.delivery_id not in states]
    return states | (_write(connection, uncertain) if uncertain else {})


def _oldest(table: Table) -> ReturningDelete[Any]:
    """Take the rows of a table whose validity has ended."""
    some = (
        select(table.c.delivery_id)
        .where(table.c.expires_at <= bindparam("now"))
        .order_by(table.c.expires_at)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )
    return delete(table).where(table.c.delivery_id.in_(some)).returning(table.c.delivery_id)


_EXPIRED = {State.EXPIRED: _oldest(queue), State.UNKNOWN: _oldest(awaited)}
_END = BulkRows(
    """
    UPDATE delivery SET state = given.after FROM given
    WHERE delivery.id = given.id AND delivery.state = given.before RETURNING delivery.id
    """,
    id="bigint",
    before="text",
    after="text",
)


def expire(connection: Connection, *, now: int, most: int = 1000) -> dict[int, State]:
    """End old deliveries: queued ones become expired, submitted ones unknown.

    Returns at most `most` of each with their new states.
    """
    ended: dict[int, State] = {}
    for after, oldest in _EXPIRED.items():
        before = State.SUBMITTING if after is State.EXPIRED else State.SUBMITTED
        rows = connection.execute(oldest, {"now": now, "most": most})
        given = [(id, before.value, after.value) for id in rows.scalars()]
        if given:
            ended |= {id: after for (id,) in _END.run(connection, given)}
    return ended
