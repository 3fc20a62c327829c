"""Reads the history of messages for people."""

import re
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select, true

from ..sms.ids import first_id, moment_of
from ..sms.message import State, fold, tally
from ..sms.searching import as_id, as_numbers
from . import counts, periods
from .inbox import Received, text_of
from .lookup import messages_to
from .plans import by_index
from .queue import IN_QUEUE, STATE
from .sealed import opened, seal_of
from .tables import account, claim, delivery, message, number, queue, received, step

#: How many deliveries are in each state, the least finished state first.
Tally = tuple[tuple[State, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a delivery's journal."""

    #: Unix milliseconds.
    at: int
    #: The number of the part; 0 for the whole delivery.
    part: int
    event: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryHistory:
    recipient: str
    state: State
    route: str
    upstream: str
    parts: int
    #: When a queued delivery may be tried next, Unix milliseconds.
    due_at: int
    expires_at: int
    steps: Sequence[Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHistory:
    id: str
    account_id: int
    #: The name of the account; empty when it is deleted.
    account: str
    sender: str
    #: The name that the caller gave the message.
    reference: str
    text: str
    encoding: str
    parts: int
    accepted_at: int
    #: Whether its text and numbers were erased.
    erased: bool
    deliveries: Sequence[DeliveryHistory]

    @property
    def state(self) -> State:
        return fold(d.state for d in self.deliveries)

    @property
    def states(self) -> Tally:
        """How many of the deliveries are in each state."""
        return tally(d.state for d in self.deliveries)


def of_message(connection: Connection, message_id: str) -> MessageHistory | None:
    """A message with its deliveries and their journals; None when no message has this id."""
    row = connection.execute(
        select(message, account.c.name, account.c.deleted_at)
        .join_from(message, account)
        .where(message.c.id == message_id)
    ).one_or_none()
    if row is None:
        return None
    steps: dict[int, list[Step]] = {}
    for line in connection.execute(
        select(step)
        .join_from(step, delivery)
        .where(delivery.c.message_id == message_id)
        .order_by(step.c.id)
    ):
        steps.setdefault(line.delivery_id, []).append(
            Step(at=line.at, part=line.part, event=line.event, detail=line.detail)
        )
    deliveries = connection.execute(
        select(
            delivery,
            STATE.label("now"),
            func.coalesce(queue.c.due_at, delivery.c.due_at).label("due"),
            func.coalesce(claim.c.upstream, queue.c.upstream, delivery.c.upstream).label("way"),
        )
        .select_from(IN_QUEUE.outerjoin(claim, claim.c.delivery_id == delivery.c.id))
        .where(delivery.c.message_id == message_id)
        .order_by(delivery.c.id)
    )
    return MessageHistory(
        id=row.id,
        account_id=row.account_id,
        account=row.name if row.deleted_at is None else "",
        sender=row.sender,
        reference=row.reference,
        text=opened(connection, "message.text", row.text, row.id),
        encoding=row.encoding,
        parts=row.parts,
        accepted_at=row.accepted_at,
        erased=row.erased_at is not None,
        deliveries=[
            DeliveryHistory(
                recipient=d.recipient,
                state=State(d.now),
                route=d.route,
                upstream=d.way or "",
                parts=d.parts,
                due_at=d.due,
                expires_at=d.expires_at,
                steps=steps.get(d.id, []),
            )
            for d in deliveries
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A line of an account's history."""

    id: str
    sender: str
    text: str
    parts: int
    #: Unix milliseconds.
    accepted_at: int
    #: Each recipient and the state of its delivery.
    recipients: tuple[tuple[str, State], ...]

    @property
    def states(self) -> Tally:
        """How many of the deliveries are in each state."""
        return tally(state for _, state in self.recipients)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPage:
    """Some of an account's history, newest first."""

    messages: Sequence[SentMessage]
    #: The next page begins before this id; empty when this page is the last.
    before: str
    #: The messages are to these numbers, of any age.
    numbers: tuple[str, ...] = ()
    #: Numbers that the search may have meant; there is no message to them.
    missed: tuple[str, ...] = ()
    #: How many messages a search of texts looked through for this page.
    looked: int = 0
    #: When the oldest of them was accepted, Unix milliseconds.
    back_to: int = 0


#: How many messages one statement of a text search looks through, and the seconds after which a
#: page shows the messages found so far. (20,000 messages take SQLite about 0.1 s.)
SEARCHED_AT_ONCE = 20_000
SEARCHED_FOR = 1.0


def sent_page(
    connection: Connection, account_id: int, *, before: str = "", most: int = 25
) -> SentPage:
    """The messages that an account sent before the message `before`, newest first.

    Erased messages are left out.
    """
    ids = list(connection.execute(_history(account_id, before).limit(most + 1)).scalars())
    last = ids[most - 1] if len(ids) > most else ""
    return SentPage(messages=_sent(connection, ids[:most]), before=last)


def found_page(
    connection: Connection,
    account_id: int,
    search: str,
    *,
    before: str = "",
    regions: Collection[str] = (),
    texts: bool = False,
    most: int = 25,
) -> SentPage:
    """As `sent_page`, but only messages that match a search.

    A message's id, and a whole number in any form (as dialled inside `regions`, too), are found by
    an index, however old the messages are. If that finds none, or with `texts`, the search is for a
    part of a text or of a number. A page takes about a second at most, and says how far it got.
    """
    if not texts:
        if id := as_id(search):
            named = _history(account_id, before).where(message.c.id == id)
            return SentPage(
                messages=_sent(connection, list(connection.execute(named).scalars())), before=""
            )
        numbers = as_numbers(search, regions)
        if numbers:
            ids = messages_to(connection, account_id, numbers, before=before, most=most + 1)
            if ids or before:
                last = ids[most - 1] if len(ids) > most else ""
                return SentPage(
                    messages=_sent(connection, ids[:most]), before=last, numbers=numbers
                )
            page = _texts_page(connection, account_id, search, before=before, most=most)
            return replace(page, missed=numbers)
    return _texts_page(connection, account_id, search, before=before, most=most)


def _texts_page(
    connection: Connection, account_id: int, search: str, *, before: str, most: int
) -> SentPage:
    by_index(connection)
    ids: list[str] = []
    looked, last, back_to = 0, before, ""
    until = time.monotonic() + SEARCHED_FOR
    while True:
        window = _history(account_id, last).limit(SEARCHED_AT_ONCE).subquery()
        oldest, count = connection.execute(select(func.min(window.c.id), func.count())).one()
        within = _Window(account_id, oldest or "", last)
        ids += _fitting(connection, within, search, most + 1 - len(ids)) if count else []
        if len(ids) > most:
            ids = ids[:most]
            # Older messages are left for the next page.
            shown = select(func.count()).where(window.c.id >= ids[-1])
            looked += connection.execute(shown).scalar_one()
            back_to = last = ids[-1]
            break
        looked, back_to = looked + count, oldest or back_to
        last = oldest or ""
        if last and connection.execute(_history(account_id, last).limit(1)).first() is None:
            last = ""
        if not last or time.monotonic() > until:
            break
    return SentPage(
        messages=_sent(connection, ids),
        before=last,
        looked=looked,
        back_to=moment_of(back_to) if back_to else 0,
    )


def _history(account_id: int, before: str) -> Select[str]:
    """The ids of an account's messages, newest first."""
    ids = (
        select(message.c.id)
        .where(message.c.account_id == account_id, message.c.erased_at.is_(None))
        .order_by(message.c.id.desc())
    )
    return ids.where(message.c.id < before) if before else ids


class _Window(NamedTuple):
    """The messages of an account from the id `oldest` until before `end`, unless that is empty."""

    account_id: int
    oldest: str
    end: str

    def has(self) -> ColumnElement[bool]:
        newer = message.c.id < self.end if self.end else true()
        return and_(
            message.c.account_id == self.account_id,
            message.c.erased_at.is_(None),
            message.c.id >= self.oldest,
            newer,
        )

    def deliveries(self, connection: Connection) -> Iterator[Select[Any]]:
        """Statements for their deliveries, by periods."""
        since = moment_of(self.oldest) - periods.IDS_OFF
        for part in periods.ranges(connection):
            if part.until > since:
                yield (
                    select(delivery.c.message_id, delivery.c.recipient)
                    .join_from(message, delivery)
                    .where(self.has(), part.has())
                )


def _fitting(connection: Connection, window: _Window, search: str, most: int) -> list[str]:
    """The ids of messages in a window whose text or recipients contain a search, newest first."""
    digits = _digits(search)
    if seal_of(connection.dialect) is not None:
        return _fitting_decrypted(connection, window, search, digits)[:most]
    texts = select(message.c.id).where(
        window.has(), message.c.text.icontains(search, autoescape=True)
    )
    found = set(connection.execute(texts.order_by(message.c.id.desc()).limit(most)).scalars())
    if _IN_NUMBERS.fullmatch(digits):
        for theirs in window.deliveries(connection):
            to_them = theirs.where(delivery.c.recipient.contains(digits, autoescape=True))
            newest = to_them.order_by(message.c.id.desc()).limit(most)
            found.update(connection.execute(newest).scalars())
    return sorted(found, reverse=True)[:most]


# What a stored number may contain.
_IN_NUMBERS = re.compile(r"\+?[0-9]+")


def _fitting_decrypted(
    connection: Connection, window: _Window, search: str, digits: str
) -> list[str]:
    """As `_fitting`, but searches here, as the database cannot search encrypted values."""
    found: set[str] = set()
    if _IN_NUMBERS.fullmatch(digits):
        for theirs in window.deliveries(connection):
            found |= {id for id, number in connection.execute(theirs) if digits in number}
    rows = connection.execute(select(message.c.id, message.c.text).where(window.has()))
    for id, text in rows:
        if search.lower() in opened(connection, "message.text", text, id).lower():
            found.add(id)
    return sorted(found, reverse=True)


def _digits(search: str) -> str:
    """A search in the form of stored numbers."""
    digits = re.sub(r"[\s().-]", "", search)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    # The zero of a number dialled inside a country is no part of the international number.
    return re.sub("^0(?=[1-9][0-9]{3})", "", digits) or search


def _sent(connection: Connection, ids: Sequence[str]) -> list[SentMessage]:
    recipients: dict[str, list[tuple[str, State]]] = {id: [] for id in ids}
    for d in connection.execute(
        select(delivery.c.message_id, delivery.c.recipient, STATE.label("state"))
        .select_from(IN_QUEUE)
        .where(delivery.c.message_id.in_(ids))
        .order_by(delivery.c.id)
    ):
        recipients[d.message_id].append((d.recipient, State(d.state)))
    rows = connection.execute(
        select(message).where(message.c.id.in_(ids)).order_by(message.c.id.desc())
    )
    return [
        SentMessage(
            id=row.id,
            sender=row.sender,
            text=opened(connection, "message.text", row.text, row.id),
            parts=row.parts,
            accepted_at=row.accepted_at,
            recipients=tuple(recipients[row.id]),
        )
        for row in rows
    ]


def by_day(connection: Connection, account_id: int, since: int) -> dict[tuple[int, State], int]:
    """The number of deliveries since a time (Unix milliseconds), by day and state.

    Days are whole days since 1970, UTC. Erased and deleted messages count.
    """
    by_index(connection)
    counted = Counter(counts.kept(connection, account_id, since // counts.DAY))
    day = message.c.accepted_at.op("/")(counts.DAY)
    for part in periods.ranges(connection):
        if part.until <= since - periods.IDS_OFF:
            break
        rows = connection.execute(
            select(day.label("day"), delivery.c.state, func.count())
            .join_from(message, delivery)
            .where(message.c.account_id == account_id, message.c.id >= first_id(since))
            .where(part.has())
            .group_by("day", delivery.c.state)
        )
        for row in rows:
            counted[row[0], State(row[1])] += row[2]
    return dict(counted)


def received_page(
    connection: Connection, account_id: int, *, before: int = 2**62, most: int = 25
) -> Sequence[Received]:
    """The messages that an account received before the message `before`, newest first."""
    rows = connection.execute(
        select(received)
        .where(received.c.account_id == account_id, received.c.id < before)
        .order_by(received.c.id.desc())
        .limit(most)
    )
    return [
        Received(
            id=row.id,
            sender=row.sender,
            recipient=row.recipient,
            text=text_of(
                connection, row.text, row.upstream, row.sender, row.recipient, row.received_at
            ),
            received_at=row.received_at,
        )
        for row in rows
    ]


def numbers_of(connection: Connection, account_id: int) -> Sequence[str]:
    """The dedicated numbers of an account, digits only."""
    found = select(number.c.digits).where(number.c.account_id == account_id)
    return sorted(connection.execute(found).scalars())


def key_hash_of(connection: Connection, account_id: int) -> bytes | None:
    """The digest of an account's key."""
    found = select(account.c.key_hash).where(account.c.id == account_id)
    return connection.execute(found).scalar_one_or_none()
