"""Finds the part of each receipt, and stores the receipts that come too early."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, delete, func, select, update

from ..sms.message import State
from . import adoption, lookup
from .attempts import forget_awaited
from .bulk import insert_many
from .bulk_rows import BulkRows
from .queue import leave
from .sealed import opened, seal_of, words
from .tables import NEVER, awaited, claim, delivery, early_receipt, part

_PARTS = BulkRows(
    """
    SELECT part.smsc_key, part.delivery_id, part.number, part.state,
        delivery.recipient, delivery.parts, delivery.state, delivery.expires_at,
        delivery.due_at
    FROM part JOIN delivery ON delivery.id = part.delivery_id
    WHERE part.upstream = ? AND part.smsc_key IN (SELECT key FROM given)
    """,
    key="text",
)


class KnownPart(NamedTuple):
    """A part that a carrier accepted, with the id that the carrier gave it."""

    smsc_key: str
    delivery_id: int
    number: int
    state: str
    recipient: str
    #: How many parts the delivery has.
    parts: int
    delivery_state: str
    expires_at: int
    #: When the last attempt of the delivery ended; before that, when it was due.
    settled_at: int


def parts_by_key(connection: Connection, upstream: str, keys: Collection[str]) -> list[KnownPart]:
    """The parts of an upstream with these keys."""
    given = [(key,) for key in keys]
    known = [KnownPart(*row) for row in _PARTS.run(connection, given, upstream)]
    if seal_of(connection.dialect) is None:
        return known
    return [part._replace(recipient=_number(connection, part.recipient)) for part in known]


def _number(connection: Connection, stored: str) -> str:
    return opened(connection, "delivery.recipient", stored)


def _forms(connection: Connection, numbers: Collection[str]) -> list[str]:
    return words(connection, "delivery.recipient", numbers)


_OF_SUBMITTED = (
    select(part.c.smsc_key, delivery.c.recipient, delivery.c.expires_at)
    .join_from(delivery, part)
    .where(delivery.c.state == State.SUBMITTED)
    .where(part.c.upstream == bindparam("upstream_name"))
    .where(part.c.state == State.SUBMITTED)
)
_OPEN = _OF_SUBMITTED.join(awaited, awaited.c.delivery_id == delivery.c.id).where(
    awaited.c.expires_at > bindparam("now")
)
# Submitted by the version before.
_OPEN_BEFORE = _OF_SUBMITTED.where(delivery.c.expires_at > bindparam("now")).where(
    delivery.c.claimed_by.is_not(None)
)


def open_parts(connection: Connection, upstream: str, now: int) -> list[tuple[str, str, int]]:
    """The parts that wait for a receipt of an upstream: key, recipient, end of validity."""
    given = {"upstream_name": upstream, "now": now}
    rows = [*connection.execute(_OPEN, given)]
    if not adoption.is_over(connection):
        rows += connection.execute(_OPEN_BEFORE, given)
    return [(row.smsc_key, row.recipient, row.expires_at) for row in rows]


_UNCERTAIN = (
    select(
        delivery.c.recipient,
        func.min(delivery.c.id).label("id"),
        func.min(delivery.c.parts).label("parts"),
        func.count().label("many"),
    )
    .join_from(awaited, delivery, delivery.c.id == awaited.c.delivery_id)
    .where(awaited.c.expires_at == NEVER)
    .where(delivery.c.state == State.UNCERTAIN)
    .where(delivery.c.recipient.in_(bindparam("numbers", expanding=True)))
    .where(delivery.c.upstream == bindparam("upstream_name"))
    .group_by(delivery.c.recipient)
)


def only_uncertain(
    connection: Connection, upstream: str, recipients: Collection[str]
) -> dict[str, Any]:
    """The uncertain delivery to each recipient, where there is exactly one."""
    given = {"numbers": _forms(connection, recipients), "upstream_name": upstream}
    rows = connection.execute(_UNCERTAIN, given).all()
    # One number has several rows here while keys of encryption change.
    there = Counter(row.recipient for row in rows)
    return {r.recipient: r for r in rows if r.many == there[r.recipient] == 1}


_UNDER_WAY = (
    select(delivery.c.id)
    .join_from(claim, delivery, delivery.c.id == claim.c.delivery_id)
    .where(delivery.c.recipient.in_(bindparam("numbers", expanding=True)))
    .limit(1)
)


def is_under_way(connection: Connection, recipient: str) -> bool:
    """Whether a delivery to this number is being submitted: its answer may still come."""
    given = {"numbers": _forms(connection, [recipient])}
    return connection.execute(_UNDER_WAY, given).first() is not None


_TO = select(delivery.c.id, delivery.c.recipient)
_SUBMITTING = _TO.join_from(claim, delivery, delivery.c.id == claim.c.delivery_id).where(
    claim.c.upstream == bindparam("upstream_name")
)
_UNANSWERED = (
    _TO.join_from(awaited, delivery, delivery.c.id == awaited.c.delivery_id)
    .where(awaited.c.expires_at == NEVER)
    .where(delivery.c.state == State.UNCERTAIN)
    .where(delivery.c.upstream == bindparam("upstream_name"))
    .where(delivery.c.recipient.in_(bindparam("numbers", expanding=True)))
)


def submitting(connection: Connection, upstream: str) -> list[tuple[int, str]]:
    """The deliveries that are being submitted to an upstream: id and recipient."""
    rows = connection.execute(_SUBMITTING, {"upstream_name": upstream})
    return [(row.id, row.recipient) for row in rows]


def unanswered(
    connection: Connection, upstream: str, recipients: Collection[str]
) -> list[tuple[int, str]]:
    """The deliveries to these recipients that are being submitted or uncertain."""
    given = {"upstream_name": upstream, "numbers": _forms(connection, recipients)}
    uncertain = [(row.id, row.recipient) for row in connection.execute(_UNANSWERED, given)]
    under_way = [row for row in submitting(connection, upstream) if row[1] in recipients]
    return under_way + uncertain


_LATELY = 1_000_000
_OUTSTANDING = (
    select(delivery.c.id, delivery.c.state, delivery.c.recipient, delivery.c.parts)
    .select_from(delivery.outerjoin(claim, claim.c.delivery_id == delivery.c.id))
    .where(delivery.c.recipient.in_(bindparam("numbers", expanding=True)))
    .where(
        (claim.c.upstream == bindparam("upstream_name"))
        | (delivery.c.upstream == bindparam("upstream_name"))
        & delivery.c.state.in_((State.SUBMITTED, State.UNCERTAIN))
    )
    .where(delivery.c.expires_at >= bindparam("now"))
)


def outstanding(
    connection: Connection, upstream: str, recipients: Collection[str], now: int
) -> Sequence[Any]:
    """The deliveries to these recipients that wait for receipts: id, state, recipient, parts.

    Only the last million deliveries are searched.
    """
    numbers = _forms(connection, recipients)
    given = {"upstream_name": upstream, "numbers": numbers, "now": now}
    lately = _OUTSTANDING.where(lookup.in_blocks(connection.dialect.name))
    return [
        row
        for blocks in lookup.newest_blocks(connection, _LATELY)
        for row in connection.execute(lately, given | blocks.given())
    ]


_PARTS_OF = (
    select(
        part.c.smsc_key,
        part.c.delivery_id,
        part.c.number,
        part.c.state,
        delivery.c.recipient,
        delivery.c.parts,
        delivery.c.state.label("delivery_state"),
        delivery.c.expires_at,
        delivery.c.due_at,
    )
    .join_from(part, delivery)
    .where(part.c.delivery_id == bindparam("delivery_id"))
    .order_by(part.c.number)
)


def parts_of(connection: Connection, delivery_id: int) -> list[KnownPart]:
    """The known parts of a delivery, in their order."""
    rows = connection.execute(_PARTS_OF, {"delivery_id": delivery_id})
    return [KnownPart(*row) for row in rows]


_PART_STATE = BulkRows(
    """
    UPDATE part SET state = given.state FROM given
    WHERE part.delivery_id = given.delivery_id AND part.number = given.number
    """,
    delivery_id="bigint",
    number="integer",
    state="text",
)


def set_part_states(connection: Connection, rows: Sequence[tuple[int, int, State]]) -> None:
    """Record the outcome of parts: delivery, number, state."""
    _PART_STATE.run(connection, rows)


_STATES = select(part.c.delivery_id, part.c.state).where(
    part.c.delivery_id.in_(bindparam("ids", expanding=True))
)


def part_states(connection: Connection, ids: Collection[int]) -> dict[int, list[State]]:
    """The states of the known parts of deliveries."""
    states: dict[int, list[State]] = {}
    for delivery_id, state in connection.execute(_STATES, {"ids": list(ids)}):
        states.setdefault(delivery_id, []).append(State(state))
    return states


_REPORTED = (
    select(
        delivery.c.id,
        delivery.c.state,
        delivery.c.parts,
        func.count().label("known"),
        func.sum(case((part.c.state == State.SUBMITTED, 0), else_=1)).label("reported"),
        func.max(case((part.c.state == State.DELIVERED, part.c.number), else_=0)).label("number"),
    )
    .join_from(delivery, part)
    .where(delivery.c.id.in_(bindparam("ids", expanding=True)))
    .group_by(delivery.c.id, delivery.c.state, delivery.c.parts)
)


def reported_parts(connection: Connection, ids: Collection[int]) -> Sequence[Any]:
    """Rows for these deliveries: id, state, parts; parts known, parts reported, last delivered."""
    return connection.execute(_REPORTED, {"ids": list(ids)}).all()


_RECENT = 100_000  # deliveries: searched in a fraction of a second
_LONG = (
    select(delivery.c.upstream, delivery.c.id, delivery.c.expires_at)
    .where(delivery.c.id > bindparam("first"))
    .where(delivery.c.parts > 1)
    .where(delivery.c.upstream.in_(bindparam("upstreams", expanding=True)))
)
_REPORTED_PARTS = (
    select(func.count())
    .where(part.c.delivery_id == delivery.c.id)
    .where(part.c.state != State.SUBMITTED)
    .scalar_subquery()
)
_LONE = _LONG.where(delivery.c.state == State.SUBMITTED).where(_REPORTED_PARTS == 1)
_SEVERAL = _LONG.where(delivery.c.state == State.DELIVERED).where(_REPORTED_PARTS > 1)


def long_texts(
    connection: Connection, upstreams: Collection[str]
) -> tuple[list[tuple[str, int, int]], set[str]]:
    """Deliveries of several parts with a receipt for one part only, and upstreams that report all.

    Among the last deliveries: the submitted ones with exactly one reported part (upstream, id, end
    of validity), and the upstreams that have reported several parts of a delivery.
    """
    given = {"first": lookup.recent(connection, _RECENT), "upstreams": list(upstreams)}
    lone = [(row.upstream, row.id, row.expires_at) for row in connection.execute(_LONE, given)]
    return lone, {row.upstream for row in connection.execute(_SEVERAL, given)}


_OUTCOME = BulkRows(
    """
    UPDATE delivery SET state = given.state FROM given
    WHERE delivery.id = given.delivery_id
    -- What is queued has had an answer for some of its parts, or too late for all of them.
    AND delivery.state IN ('queued', 'submitting', 'submitted', 'uncertain', 'unknown')
    """,
    delivery_id="bigint",
    state="text",
)


def set_outcomes(connection: Connection, rows: Sequence[tuple[int, State]]) -> None:
    """Set the states of deliveries by their receipts: delivery, state. A final state stays."""
    ids = [id for id, _ in rows]
    leave(connection, ids)
    forget_awaited(connection, ids)
    _OUTCOME.run(connection, rows)


def keep_early(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store receipts for which no part is known yet. `rows`: columns of the table."""
    insert_many(connection, early_receipt, rows)


class Early(NamedTuple):
    """A receipt that waits for its part, with columns of the table."""

    id: int
    upstream: str
    smsc_id: str
    state: str
    recipient: str
    error: str
    done_at: int
    raw: str
    received_at: int


def states_of_early(connection: Connection, upstream: str, ids: Collection[str]) -> list[str]:
    """The states of the receipts that were kept for ids of an upstream that no part has."""
    mine = select(early_receipt.c.state).where(
        early_receipt.c.upstream == upstream, early_receipt.c.smsc_id.in_(ids)
    )
    return list(connection.execute(mine).scalars())


_WAITING = (
    select(*(early_receipt.c[name] for name in Early._fields))
    .where(early_receipt.c.given_up.is_(False))
    .where(early_receipt.c.id > bindparam("after"))
    .order_by(early_receipt.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


#: The most early receipts that one transaction reads.
AT_ONCE = 2000


def early(connection: Connection, *, after: int = 0) -> list[Early]:
    """The early receipts after the row `after` that wait for their part.

    Receipts that another worker has locked are left out.
    """
    rows = connection.execute(_WAITING, {"after": after, "most": AT_ONCE})
    return [early._replace(raw=_raw(connection, early)) for early in map(Early._make, rows)]


def _raw(connection: Connection, early: Early) -> str:
    place = (early.upstream, early.smsc_id, early.received_at)
    return opened(connection, "early_receipt.raw", early.raw, *place)


def give_up_early(connection: Connection, ids: Collection[int]) -> None:
    """Stop matching early receipts; they are kept for people only."""
    connection.execute(
        update(early_receipt).where(early_receipt.c.id.in_(ids)).values(given_up=True)
    )


def drop_early(connection: Connection, ids: Collection[int]) -> None:
    """Delete early receipts whose part was found."""
    connection.execute(delete(early_receipt).where(early_receipt.c.id.in_(ids)))


_NUMBERS = select(part.c.number).where(part.c.delivery_id == bindparam("delivery_id"))


def first_unanswered(connection: Connection, delivery_id: int, parts: int) -> int:
    """The first part of a delivery without an answer of a carrier; the last if all have one."""
    answered = set(connection.execute(_NUMBERS, {"delivery_id": delivery_id}).scalars())
    return next((n for n in range(1, parts + 1) if n not in answered), parts)
