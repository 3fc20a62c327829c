"""Statements about received messages (MO) and the numbers they are sent to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from .bulk import insert_many
from .intake import digest
from .tables import account, idempotency, incoming_part, number, received

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


def unowned(connection: Connection) -> Sequence[Any]:
    """What came to numbers that nobody has: recipient, messages (how many), last_at; most first."""
    messages = func.count().label("messages")
    return connection.execute(
        select(received.c.recipient, messages, func.max(received.c.received_at).label("last_at"))
        .where(received.c.account_id.is_(None))
        .group_by(received.c.recipient)
        .order_by(messages.desc(), received.c.recipient)
    ).all()


def give_unowned(connection: Connection, recipients: Collection[str], account_id: int) -> int:
    """Give an account what came for nobody to these recipients; how many messages.

    They get new ids, the next ones: who reads on after an id is told of them.
    """
    take_turns(connection)
    waiting = (received.c.account_id.is_(None), received.c.recipient.in_(recipients))
    rows = connection.execute(select(received).where(*waiting).order_by(received.c.id)).all()
    connection.execute(delete(received).where(received.c.id.in_([row.id for row in rows])))
    given = {"account_id": account_id}
    add_received(
        connection,
        [{name: v for name, v in row._mapping.items() if name != "id"} | given for row in rows],
    )
    return len(rows)


def add_received(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store received messages (columns of the table)."""
    insert_many(connection, received, rows)


def offered_before(
    connection: Connection, offers: Mapping[tuple[str, str], int]
) -> set[tuple[str, str]]:
    """Which messages were offered before, and note that all of them are now: by upstream and the
    carrier's id, each with the time. `take_turns` has to come before. An offer is remembered for as
    long as a repeat of an accepted request, counted from the last."""
    # Beside the digests of accounts and their keys, which begin with a number.
    digests = {digest(f"offer {upstream}\0{id}"): (upstream, id) for upstream, id in offers}
    known = set(
        connection.execute(select(idempotency.c.id).where(idempotency.c.id.in_(digests))).scalars()
    )
    at = max(offers.values())
    if known:
        connection.execute(
            update(idempotency).where(idempotency.c.id.in_(known)).values(created_at=at)
        )
    fresh = sorted(digests.keys() - known)
    if fresh:
        blank = {"content_hash": b"", "message_id": "", "sent": 0, "created_at": at}
        connection.execute(insert(idempotency), [{"id": id, **blank} for id in fresh])
    return {digests[id] for id in known}


def add_part(connection: Connection, row: dict[str, Any]) -> None:
    """Keep a part until its others come (columns of the table)."""
    connection.execute(insert(incoming_part), row)


def offered_again(connection: Connection, whole: Whole, number: int, at: int) -> None:
    """Note that a part that is there came once more."""
    of_it = incoming_part.c.number == number
    connection.execute(update(incoming_part).where(*_same(whole), of_it).values(received_at=at))


def parts_of(connection: Connection, whole: Whole) -> Sequence[Any]:
    """The parts that have come with this reference, joined ones too, in their order."""
    return connection.execute(
        select(incoming_part).where(*_same(whole)).order_by(incoming_part.c.number)
    ).all()


def mark_joined(connection: Connection, whole: Whole, at: int) -> None:
    waiting = incoming_part.c.joined_at.is_(None)
    connection.execute(update(incoming_part).where(*_same(whole), waiting).values(joined_at=at))


def begin_anew(connection: Connection, whole: Whole, *, but: int) -> None:
    """Forget the joined parts. Those that came once more stay: they are of the next message, unless
    it has another part of this number."""
    columns = incoming_part.c
    gone = (columns.received_at <= columns.joined_at) | (columns.number == but)
    connection.execute(delete(incoming_part).where(*_same(whole), gone))
    connection.execute(update(incoming_part).where(*_same(whole)).values(joined_at=None))


def forget_joined(connection: Connection, *, before: int) -> None:
    """Forget the parts that were joined, and came last, before a time."""
    columns = incoming_part.c
    connection.execute(
        delete(incoming_part).where(columns.joined_at.is_not(None), columns.received_at < before)
    )


def _same(whole: Whole) -> Iterable[Any]:
    columns = incoming_part.c
    names = (columns.upstream, columns.sender, columns.recipient, columns.reference, columns.total)
    return (column == value for column, value in zip(names, whole, strict=True))


def incomplete(connection: Connection, *, received_before: int) -> list[Whole]:
    """Messages whose last part so far is older than a time."""
    columns = incoming_part.c
    key = (columns.upstream, columns.sender, columns.recipient, columns.reference, columns.total)
    rows = connection.execute(
        select(*key)
        .where(columns.joined_at.is_(None))
        .group_by(*key)
        .having(func.max(columns.received_at) < received_before)
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
