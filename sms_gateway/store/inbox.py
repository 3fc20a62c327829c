"""Statements about received messages (MO) and the numbers they are sent to."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text

from .bulk import insert_many
from .tables import account, incoming_part, number, received

# Any constant: it only has to be the same in every process that receives.
_ADVISORY_LOCK = 7_353_768

#: What all parts of one message share: upstream, sender, recipient, reference, total.
Whole = tuple[str, str, str, int, int]


def take_turns(connection: Connection) -> None:
    """Make processes that receive at once do so one after the other, until they commit.

    So the ids of `received` become visible in their order, and of two processes that each have
    one part of a message the second sees both.
    """
    if connection.dialect.name != "sqlite":  # SQLite has one writer anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


_OWNERS = select(number.c.digits, number.c.account_id).where(
    number.c.digits.in_(bindparam("digits", expanding=True))
)


def owners(connection: Connection, digits: Collection[str]) -> dict[str, int]:
    """The accounts that have these numbers."""
    return {
        row.digits: row.account_id for row in connection.execute(_OWNERS, {"digits": list(digits)})
    }


def add_received(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store received messages (columns of the table)."""
    insert_many(connection, received, rows)


_ADD_PARTS = text(
    """
    INSERT INTO incoming_part
        (upstream, sender, recipient, reference, total, number, text, received_at)
    VALUES (:upstream, :sender, :recipient, :reference, :total, :number, :text, :received_at)
    ON CONFLICT DO NOTHING
    """
)


def add_parts(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Keep parts until their others come; a part that came before is not kept twice."""
    connection.execute(_ADD_PARTS, rows)


def parts_of(connection: Connection, whole: Whole) -> Sequence[Any]:
    """The parts of a message that have come so far, in their order."""
    return connection.execute(
        select(incoming_part).where(*_same(whole)).order_by(incoming_part.c.number)
    ).all()


def drop_parts(connection: Connection, whole: Whole) -> None:
    connection.execute(delete(incoming_part).where(*_same(whole)))


def _same(whole: Whole) -> Iterable[Any]:
    columns = incoming_part.c
    names = (columns.upstream, columns.sender, columns.recipient, columns.reference, columns.total)
    return (column == value for column, value in zip(names, whole, strict=True))


def incomplete(connection: Connection, *, received_before: int) -> list[Whole]:
    """Messages whose last part so far is older than a time."""
    columns = incoming_part.c
    key = (columns.upstream, columns.sender, columns.recipient, columns.reference, columns.total)
    rows = connection.execute(
        select(*key).group_by(*key).having(func.max(columns.received_at) < received_before)
    )
    return [tuple(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A received message."""

    id: int
    sender: str
    recipient: str
    text: str
    #: Unix milliseconds.
    received_at: int


#: The most characters in the texts of one page; the first message is on it, however long.
PAGE_CHARACTERS = 1_000_000

_NEXT = (
    select(
        received,
        (
            func.sum(func.length(received.c.text)).over(order_by=received.c.id)
            - func.length(received.c.text)
        ).label("characters_before"),
    )
    .where(received.c.account_id == bindparam("account"))
    .where(received.c.id > bindparam("after"))
    .order_by(received.c.id)
    .limit(bindparam("most"))
    .subquery()
)
_PAGE = (
    select(_NEXT).where(_NEXT.c.characters_before < bindparam("characters")).order_by(_NEXT.c.id)
)


def page(connection: Connection, account_id: int, *, after: int, most: int) -> list[Received]:
    """What an account received after the message of this id, oldest first.

    It ends before the limit where the texts of more would not fit a page.
    """
    rows = connection.execute(
        _PAGE,
        {"account": account_id, "after": after, "most": most, "characters": PAGE_CHARACTERS},
    )
    return [
        Received(
            id=row.id,
            sender=row.sender,
            recipient=row.recipient,
            text=row.text,
            received_at=row.received_at,
        )
        for row in rows
    ]


def assign(connection: Connection, digits: str, account_id: int, now: int) -> None:
    """Give an account a number; IntegrityError when somebody has it."""
    connection.execute(insert(number).values(digits=digits, account_id=account_id, assigned_at=now))


def release(connection: Connection, digits: str) -> bool:
    """Take a number back; False when nobody has it."""
    return connection.execute(delete(number).where(number.c.digits == digits)).rowcount == 1


def numbers(connection: Connection) -> Sequence[Any]:
    """All dedicated numbers: digits, account (its name), assigned_at."""
    return connection.execute(
        select(number.c.digits, account.c.name.label("account"), number.c.assigned_at)
        .join_from(number, account)
        .order_by(number.c.digits)
    ).all()
