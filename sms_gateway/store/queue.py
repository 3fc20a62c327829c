"""The queue: claims due deliveries and records how their attempts ended."""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    case,
    delete,
    func,
    select,
    type_coerce,
    update,
)

from ..moments import utc
from ..routing.routes import Share
from ..sms.encoding import Encoding
from ..sms.message import State
from ..upstream import Delivery
from .bulk_rows import BulkRows
from .sealed import CANNOT_BE_DECRYPTED, is_readable, looks_stored, seal_of
from .tables import delivery, early_receipt, idempotency, message, part, worker

_DELIVERIES = select(
    delivery.c.id,
    delivery.c.message_id,
    # The stored form, which `_read` decrypts.
    type_coerce(delivery.c.recipient, Text).label("recipient"),
    delivery.c.binding,
    delivery.c.route,
    delivery.c.parts,
    delivery.c.attempts,
    delivery.c.expires_at,
    delivery.c.possible_duplicate,
    message.c.sender,
    message.c.text,
    message.c.encoding,
).join_from(delivery, message)

_DUE = (
    _DELIVERIES.where(delivery.c.state == State.QUEUED)
    .where(delivery.c.route == bindparam("route"))
    .where(delivery.c.due_at <= bindparam("now"))
    .where(delivery.c.expires_at > bindparam("now"))
    .order_by(delivery.c.due_at, delivery.c.id)
    .limit(bindparam("most"))
    # Deliveries that another worker is claiming at this moment are skipped.
    .with_for_update(of=delivery, skip_locked=True)
)

_NUMBER_IN_SHARE = delivery.c.id % bindparam("modulus", type_=Integer)
_DUE_OF_SHARE = _DUE.where(_NUMBER_IN_SHARE.between(bindparam("first"), bindparam("last")))
_DUE_UNTRIED = _DUE.where(delivery.c.upstream.is_distinct_from(bindparam("upstream_name")))

_TAKE = BulkRows(
    """
    UPDATE delivery
    SET state = 'submitting', claimed_by = ?, upstream = ?, attempts = delivery.attempts + 1
    FROM given WHERE delivery.id = given.id
    """,
    id="bigint",
)
_RECORD_TAKE = BulkRows(
    """
    INSERT INTO step (delivery_id, at, part, event, detail)
    SELECT id, ?, 0, 'claimed', ? FROM given
    """,
    id="bigint",
)

_ACCEPTED = select(part.c.delivery_id, part.c.number).where(
    part.c.delivery_id.in_(bindparam("ids", expanding=True))
)


def claim(
    connection: Connection,
    *,
    shares: Sequence[Share],
    upstream: str,
    worker: int,
    parts: int,
    now: int,
    hold: Callable[[str, int], int] | None = None,
) -> list[Delivery]:
    """Claim due deliveries of these shares for an upstream that has room for `parts` parts.

    A delivery with more parts than there is room for is claimed only when it is the first, so that
    every claimed delivery is written at once. Put off instead are deliveries in the quiet hours of
    their route, those that `hold` makes wait for their number, and those that cannot be decrypted.
    """
    taken: list[Any] = []
    room = parts
    for share in shares:
        left = room if share.most is None else min(room, share.most)
        most, ours = left, len(taken)
        for _ in range(_LOOKS if left > 0 else 0):
            waiting: list[tuple[int, int, str]] = []
            known = {row.id for row in taken[ours:]}
            for row in _due(connection, share, upstream, now=now, most=most):
                if row.id in known:
                    continue
                if not _is_readable(row):
                    waiting.append((row.id, now + _UNREADABLE_FOR, CANNOT_BE_DECRYPTED))
                    continue
                until = share.route.quiet and share.route.quiet.until(row.recipient, now)
                if until:
                    waiting.append((row.id, until, f"quiet hours until {moment(until)}"))
                    continue
                if (row.parts > room and taken) or (row.parts > left and len(taken) > ours):
                    break
                # Last: a delivery that `hold` lets go may be the one trial of its number.
                until = hold(row.recipient, now) if hold is not None else 0
                if until:
                    why = f"the number is busy until {moment(until)}"
                    waiting.append((row.id, until, why))
                    continue
                taken.append(row)
                left -= row.parts
                room -= row.parts
            if not waiting:
                break
            _put_off(connection, waiting, now)
            most = _MORE
    if not taken:
        return []
    ids = [(row.id,) for row in taken]
    _TAKE.run(connection, ids, worker, upstream)
    _RECORD_TAKE.run(connection, ids, now, upstream)
    return _deliveries(connection, [(row, row.attempts + 1) for row in taken])


#: After putting deliveries off, `claim` looks for others: at most _LOOKS times, at _MORE rows. So
#: ten thousand deliveries to one busy number do not block the queue. A look puts off at most 100
#: deliveries, which keeps the transaction short.
_LOOKS, _MORE = 4, 100
#: For how long a delivery that cannot be decrypted is put off, ms: an operator may add the key.
_UNREADABLE_FOR = 15 * 60_000


def _due(
    connection: Connection, share: Share, upstream: str, *, now: int, most: int
) -> Sequence[Any]:
    """The due deliveries of a share of an upstream, in the order of the queue."""
    wanted = {"route": share.route.prefix, "now": now, "most": most}
    if share.untried:
        return _read(connection, _DUE_UNTRIED, wanted | {"upstream_name": upstream})
    if share.of == 1:
        return _read(connection, _DUE, wanted)
    within = {"modulus": share.of, "first": share.first, "last": share.last - 1}
    return _read(connection, _DUE_OF_SHARE, wanted | within)


def _read(
    connection: Connection, statement: Select[Any], parameters: Mapping[str, Any]
) -> Sequence[Any]:
    """Execute a SELECT of `_DELIVERIES`; returns its rows, decrypted."""
    rows = connection.execute(statement, parameters).all()
    seal = seal_of(connection.dialect)
    if seal is None:
        return rows
    return [
        SimpleNamespace(
            **row._asdict()
            | {
                "recipient": seal.recipient(row.message_id, row.recipient, row.binding),
                "text": seal.opened("message.text", row.text, row.message_id),
            }
        )
        for row in rows
    ]


def _is_readable(row: Any) -> bool:
    """Whether the recipient, text and sender of a row could be decrypted."""
    # Without a seal the encrypted values would be sent.
    return is_readable(row.recipient, row.text, row.sender) and not looks_stored(row.recipient)


_PUT_OFF = (
    update(delivery)
    .where(delivery.c.id == bindparam("delivery_id"))
    .values(due_at=bindparam("until"))
)


def _put_off(connection: Connection, waiting: Sequence[tuple[int, int, str]], now: int) -> None:
    """Put deliveries off. `waiting`: id, until when, reason."""
    connection.execute(_PUT_OFF, [{"delivery_id": id, "until": until} for id, until, _ in waiting])
    record_steps(
        connection,
        [(id, now, 0, "put off", why) for id, _, why in waiting],
    )


def moment(milliseconds: int) -> str:
    """A time to the minute, for people."""
    return f"{utc(milliseconds):%Y-%m-%d %H:%MZ}"


def waiting(connection: Connection, route: str) -> int:
    """How many deliveries are queued on a route."""
    queued = select(func.count()).where(delivery.c.state == State.QUEUED, delivery.c.route == route)
    number: int = connection.execute(queued).scalar_one()
    return number


_CLAIMED = (
    _DELIVERIES.where(delivery.c.state == State.SUBMITTING)
    .where(delivery.c.claimed_by == bindparam("worker"))
    .where(delivery.c.upstream == bindparam("upstream_name"))
    .order_by(delivery.c.id)
)


def claimed(
    connection: Connection, *, upstream: str, worker: int, but: Collection[int]
) -> list[Delivery]:
    """The deliveries that a worker has claimed for an upstream, except those in `but`."""
    rows = _read(connection, _CLAIMED, {"worker": worker, "upstream_name": upstream})
    ours = [row for row in rows if row.id not in but and _is_readable(row)]
    return _deliveries(connection, [(row, row.attempts) for row in ours])


def _deliveries(connection: Connection, rows: Sequence[tuple[Any, int]]) -> list[Delivery]:
    """Make deliveries of rows, each with its attempt number."""
    accepted: dict[int, set[int]] = {}
    again = [row.id for row, attempt in rows if attempt > 1]
    if again:
        for delivery_id, number in connection.execute(_ACCEPTED, {"ids": again}):
            accepted.setdefault(delivery_id, set()).add(number)
    return [
        Delivery(
            id=row.id,
            message_id=row.message_id,
            sender=row.sender,
            recipient=row.recipient,
            text=row.text,
            encoding=Encoding(row.encoding),
            parts=row.parts,
            accepted=frozenset(accepted.get(row.id, ())),
            expires_at=row.expires_at,
            route=row.route,
            attempt=attempt,
            possible_duplicate=row.possible_duplicate,
        )
        for row, attempt in rows
    ]


_LOCK = (
    select(delivery.c.id)
    .where(delivery.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(delivery.c.id)
    .with_for_update()
)


def lock(connection: Connection, ids: Collection[int]) -> None:
    """Lock these deliveries until the transaction ends.

    Later reads in it see what other transactions committed before.
    """
    if ids:
        connection.execute(_LOCK, {"ids": list(ids)})


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
        _RECORD.run(connection, steps)


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


_SETTLE = BulkRows(
    """
    UPDATE delivery
    SET state = given.state, due_at = given.due, possible_duplicate = given.duplicate
    FROM given
    WHERE delivery.id = given.delivery_id
    AND (given.attempt = 0 OR delivery.attempts = given.attempt)
    AND (
        delivery.state = 'uncertain'
        OR delivery.state = 'submitting' AND delivery.claimed_by = ?
        -- Queued once more when this worker was taken for dead, and not claimed since.
        OR delivery.state = 'queued' AND delivery.claimed_by = ?
        AND delivery.attempts = given.attempt AND delivery.attempts > 0
    )
    """,
    delivery_id="bigint",
    attempt="integer",
    state="text",
    due="bigint",
    duplicate="boolean",
)


def settle(
    connection: Connection, rows: Sequence[tuple[int, int, State, int, bool]], *, worker: int
) -> None:
    """Record how attempts ended: delivery, attempt (0: any), state, due, possible_duplicate.

    A delivery that was settled otherwise meanwhile, such as by a receipt, is not changed.
    """
    _SETTLE.run(connection, rows, worker, worker)


_COMPLETED = (
    update(delivery)
    .where(delivery.c.id == bindparam("delivery_id"))
    .where(delivery.c.state.in_((State.UNCERTAIN, State.QUEUED)))
    .where(
        delivery.c.parts
        <= select(func.count())
        .select_from(part)
        .where(part.c.delivery_id == delivery.c.id)
        .scalar_subquery()
    )
    .values(state=State.SUBMITTED)
)


def settle_late(connection: Connection, ids: Collection[int]) -> None:
    """Set deliveries to submitted if all of their parts have an answer by now.

    They were uncertain, or queued to be sent again.
    """
    connection.execute(_COMPLETED, [{"delivery_id": id} for id in ids])


def lost_claims(
    connection: Connection, *, resending: Collection[str], now: int
) -> list[tuple[int, State]]:
    """Release the claims of dead workers; returns the deliveries with their new states.

    The deliveries become uncertain; on routes in `resending` they are queued once more.
    """
    alive = select(worker.c.id).where(worker.c.alive_until > now)
    again = delivery.c.route.in_(resending) & ~delivery.c.possible_duplicate
    lost = connection.execute(
        update(delivery)
        .where(delivery.c.state == State.SUBMITTING)
        .where(delivery.c.claimed_by.not_in(alive))
        .values(
            state=case((again, State.QUEUED), else_=State.UNCERTAIN),
            possible_duplicate=delivery.c.possible_duplicate | again,
        )
        .returning(delivery.c.id, delivery.c.state)
    )
    return [(row.id, State(row.state)) for row in lost]


def expire(connection: Connection, *, now: int, most: int = 1000) -> list[tuple[int, State]]:
    """End old deliveries: queued ones become expired, submitted ones unknown.

    Returns at most `most` deliveries with their new states.
    """
    old = (
        select(delivery.c.id)
        .where(delivery.c.state.in_((State.QUEUED, State.SUBMITTED)))
        .where(delivery.c.expires_at <= now)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ended = connection.execute(
        update(delivery)
        .where(delivery.c.id.in_(old))
        .values(
            state=case((delivery.c.state == State.QUEUED, State.EXPIRED), else_=State.UNKNOWN),
        )
        .returning(delivery.c.id, delivery.c.state)
    )
    return [(row.id, State(row.state)) for row in ended]


def without_route(
    connection: Connection, *, prefixes: Collection[str], most: int = 1000
) -> Sequence[Any]:
    """Queued deliveries (id, recipient) whose route is not among `prefixes` any more."""
    return connection.execute(
        select(delivery.c.id, delivery.c.recipient)
        .where(delivery.c.state == State.QUEUED)
        .where(delivery.c.route.not_in(prefixes))
        .limit(most)
    ).all()


def reroute(connection: Connection, routes: Mapping[int, str]) -> None:
    """Give queued deliveries another route."""
    connection.execute(
        update(delivery)
        .where(delivery.c.id == bindparam("delivery_id"))
        .where(delivery.c.state == State.QUEUED)
        .values(route=bindparam("prefix")),
        [{"delivery_id": id, "prefix": prefix} for id, prefix in routes.items()],
    )


def forget_old(connection: Connection, *, repeats_before: int, receipts_before: int) -> None:
    """Delete old idempotency records and old early receipts."""
    connection.execute(delete(idempotency).where(idempotency.c.created_at < repeats_before))
    connection.execute(delete(early_receipt).where(early_receipt.c.received_at < receipts_before))
