"""Reads and writes received messages (MO) and the dedicated numbers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from .bulk import insert_many
from .intake import digest, id_forms, stored_id
from .sealed import is_readable, opened, seal_of, words
from .tables import PART, account, idempotency, incoming_part, keyword, number, received

# Arbitrary, but equal in all processes that receive.
_ADVISORY_LOCK = 7_353_768

#: The key that all parts of one message share: upstream, sender, recipient, reference, total.
Whole = tuple[str, str, str, int, int]


def take_turns(connection: Connection) -> None:
    """Let one process at a time receive; the lock ends with the transaction.

    So the ids of `received` become visible in their order. And when two processes each have a part
    of a message, the second sees both parts.
    """
    if connection.dialect.name != "sqlite":  # SQLite has one writer anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


_OWNERS = select(number.c.digits, number.c.account_id).where(
    number.c.digits.in_(bindparam("digits", expanding=True))
)


_DIGITS = "keyword.digits"
_SHARED = select(keyword.c.digits, keyword.c.word, keyword.c.account_id).where(
    keyword.c.digits.in_(bindparam("digits", expanding=True))
)


def owners(connection: Connection, digits: Collection[str]) -> dict[str, int]:
    """The accounts that have these numbers."""
    forms = words(connection, "number.digits", digits)
    return {row.digits: row.account_id for row in connection.execute(_OWNERS, {"digits": forms})}


class Unowned(NamedTuple):
    """The messages to a number that no account has."""

    recipient: str
    messages: int
    #: When the last message came, Unix milliseconds.
    last_at: int


def unowned(connection: Connection) -> Sequence[Unowned]:
    """The messages to numbers that no account has, by number; the most messages first."""
    rows = connection.execute(
        select(received.c.recipient, func.count(), func.max(received.c.received_at))
        .where(received.c.account_id.is_(None))
        .group_by(received.c.recipient)
    )
    found: dict[str, Unowned] = {}
    for recipient, messages, last_at in rows:
        # One number has several rows here while keys of encryption change.
        before = found.get(recipient, Unowned(recipient, 0, 0))
        found[recipient] = Unowned(
            recipient, before.messages + messages, max(before.last_at, last_at)
        )
    return sorted(found.values(), key=lambda each: (-each.messages, each.recipient))


def give_unowned(connection: Connection, recipients: Collection[str], account_id: int) -> int:
    """Give an account the messages to these recipients that nobody owns; returns how many.

    The messages get new, higher ids, so that a client that reads on after an id finds them.
    """
    take_turns(connection)
    forms = words(connection, "received.recipient", recipients)
    waiting = (received.c.account_id.is_(None), received.c.recipient.in_(forms))
    rows = connection.execute(select(received).where(*waiting).order_by(received.c.id)).all()
    given: dict[int, dict[str, Any]] = {}
    for row in rows:
        values = row._asdict() | {"account_id": account_id, "text": _text(connection, row)}
        # A message that cannot be decrypted is left until it can.
        if is_readable(row.sender, values["text"]):
            given[values.pop("id")] = values
    connection.execute(delete(received).where(received.c.id.in_(given)))
    add_received(connection, list(given.values()))
    return len(given)


def add_received(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store received messages (columns of the table)."""
    insert_many(connection, received, rows)


def offered_before(
    connection: Connection, offers: Mapping[tuple[str, str], int]
) -> set[tuple[str, str]]:
    """Record offers of messages; returns the offers that were recorded before.

    `offers`: upstream and the carrier's id, with the time of the offer. Call `take_turns` first. An
    offer is remembered for as long as an accepted request is for repeats, from its last repeat on.
    """
    # No clash with the digests of idempotency keys: those texts begin with a number.
    digests = {(upstream, id): digest(f"offer {upstream}\0{id}") for upstream, id in offers}
    forms = {form: offer for offer, id in digests.items() for form in id_forms(connection, id)}
    known = set(
        connection.execute(select(idempotency.c.id).where(idempotency.c.id.in_(forms))).scalars()
    )
    before = {forms[id] for id in known}
    at = max(offers.values())
    if known:
        connection.execute(
            update(idempotency).where(idempotency.c.id.in_(known)).values(created_at=at)
        )
    fresh = sorted(
        stored_id(connection, id) for offer, id in digests.items() if offer not in before
    )
    if fresh:
        blank = {"content_hash": b"", "message_id": "", "sent": 0, "created_at": at}
        connection.execute(insert(idempotency), [{"id": id, **blank} for id in fresh])
    return before


def add_part(connection: Connection, row: dict[str, Any]) -> None:
    """Store a part until the other parts of its message come. `row`: columns of the table."""
    seal = seal_of(connection.dialect)
    if seal is not None:
        place = (row[name] for name in PART)
        row = row | {"text": seal.octets("incoming_part.text", row["text"], *place)}
    connection.execute(insert(incoming_part), row)


def offered_again(connection: Connection, whole: Whole, number: int, at: int) -> None:
    """Record that a stored part came once more."""
    of_it = incoming_part.c.number == number
    where = (*_same(connection, whole), of_it)
    connection.execute(update(incoming_part).where(*where).values(received_at=at))


class Part(NamedTuple):
    """A part of a received message."""

    number: int
    #: See the column of the table.
    text: bytes
    #: Unix milliseconds.
    received_at: int
    joined_at: int | None


def parts_of(connection: Connection, whole: Whole) -> list[Part]:
    """The stored parts of a message, also joined ones, in their order."""
    columns = incoming_part.c
    rows = connection.execute(
        select(columns.number, columns.text, columns.received_at, columns.joined_at)
        .where(*_same(connection, whole))
        .order_by(columns.number)
    )
    parts = [Part(*row) for row in rows]
    seal = seal_of(connection.dialect)
    if seal is None:
        return parts
    column = "incoming_part.text"
    return [
        part._replace(text=seal.opened_octets(column, part.text, *whole, part.number))
        for part in parts
    ]


def mark_joined(connection: Connection, whole: Whole, at: int) -> None:
    waiting = (*_same(connection, whole), incoming_part.c.joined_at.is_(None))
    connection.execute(update(incoming_part).where(*waiting).values(joined_at=at))


def begin_anew(connection: Connection, whole: Whole, *, but: int) -> None:
    """Delete the joined parts of a message, as the next one has begun to use its reference.

    Parts that came again since they were joined stay, as parts of the next message; but not the
    part number `but`, for which it has another.
    """
    columns = incoming_part.c
    same = _same(connection, whole)
    gone = (columns.received_at <= columns.joined_at) | (columns.number == but)
    connection.execute(delete(incoming_part).where(*same, gone))
    connection.execute(update(incoming_part).where(*same).values(joined_at=None))


def forget_joined(connection: Connection, *, before: int) -> None:
    """Delete the joined parts that last came before a time."""
    columns = incoming_part.c
    connection.execute(
        delete(incoming_part).where(columns.joined_at.is_not(None), columns.received_at < before)
    )


def _same(connection: Connection, whole: Whole) -> list[Any]:
    columns = incoming_part.c
    upstream, sender, recipient, reference, total = whole
    return [
        columns.upstream == upstream,
        columns.sender.in_(words(connection, "incoming_part.sender", [sender])),
        columns.recipient.in_(words(connection, "incoming_part.recipient", [recipient])),
        columns.reference == reference,
        columns.total == total,
    ]


def incomplete(connection: Connection, *, received_before: int) -> list[Whole]:
    """The incomplete messages whose last part came before a time."""
    columns = incoming_part.c
    key = (columns.upstream, columns.sender, columns.recipient, columns.reference, columns.total)
    rows = connection.execute(
        select(*key)
        .where(columns.joined_at.is_(None))
        .group_by(*key)
        .having(func.max(columns.received_at) < received_before)
    )
    # One message has several rows here while keys of encryption change.
    return list(dict.fromkeys(tuple(row) for row in rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A received message."""

    id: int
    sender: str
    recipient: str
    text: str
    #: Unix milliseconds.
    received_at: int


#: The most characters in the texts of one page. A first message that is longer is still on it.
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
    """The messages that an account received after the message `after`, oldest first.

    The page has fewer than `most` when the texts of more would exceed PAGE_CHARACTERS.
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
            text=_text(connection, row),
            received_at=row.received_at,
        )
        for row in rows
    ]


def _text(connection: Connection, row: Any) -> str:
    """The text of a row of the table."""
    return text_of(connection, row.text, row.upstream, row.sender, row.recipient, row.received_at)


def text_of(connection: Connection, text: str, *row: object) -> str:
    """The decrypted text of a received message. `row`: the values of its RECEIVED columns."""
    return opened(connection, "received.text", text, *row)


def assign(connection: Connection, digits: str, account_id: int, now: int) -> None:
    """Give an account a number; IntegrityError when an account has it already."""
    connection.execute(insert(number).values(digits=digits, account_id=account_id, assigned_at=now))


def release(connection: Connection, digits: str) -> bool:
    """Take a number back; False when no account has it."""
    forms = words(connection, "number.digits", [digits])
    return connection.execute(delete(number).where(number.c.digits.in_(forms))).rowcount == 1


def assign_keyword(
    connection: Connection, digits: str, word: str, account_id: int, now: int
) -> None:
    """Give an account the messages to a number that begin with a word (`stop_words.bare`);
    IntegrityError when an account has them already."""
    values = {"digits": digits, "word": word, "account_id": account_id, "assigned_at": now}
    connection.execute(insert(keyword).values(values))


def release_keywords(connection: Connection, digits: str, word: str | None = None) -> int:
    """Take back a keyword of a number, or all of them; how many there were."""
    taking = delete(keyword).where(keyword.c.digits.in_(words(connection, _DIGITS, [digits])))
    if word is not None:
        taking = taking.where(keyword.c.word == word)
    return connection.execute(taking).rowcount


def shared(connection: Connection, digits: Collection[str]) -> dict[str, dict[str, int]]:
    """The accounts by keyword of each of these numbers that has any."""
    found: dict[str, dict[str, int]] = {}
    forms = words(connection, _DIGITS, digits)
    for row in connection.execute(_SHARED, {"digits": forms}) if digits else ():
        found.setdefault(row.digits, {})[row.word] = row.account_id
    return found


def keywords(connection: Connection) -> Sequence[Any]:
    """All keywords: digits, word, account (its name), assigned_at."""
    columns = keyword.c.digits, keyword.c.word, account.c.name.label("account")
    rows = connection.execute(select(*columns, keyword.c.assigned_at).join_from(keyword, account))
    return sorted(rows, key=lambda row: (row.digits, row.word))


def numbers(connection: Connection) -> Sequence[Any]:
    """All dedicated numbers: digits, account (its name), assigned_at."""
    rows = connection.execute(
        select(number.c.digits, account.c.name.label("account"), number.c.assigned_at).join_from(
            number, account
        )
    )
    return sorted(rows, key=lambda row: row.digits)
