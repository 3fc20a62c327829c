"""Compares four books: what clients were told, what the store says, what the carriers saw, and
what their receipts said."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from sms_gateway.codes import Code
from sms_gateway.sms.message import State
from sms_gateway.store import Store, tables

from .difficult import RESENT, expected
from .load import Book

#: Under way: something is still to happen.
OPEN = (State.QUEUED, State.SUBMITTING, State.SUBMITTED)


@dataclass(slots=True)
class Audit:
    """What was found. Deliveries are counted unless it says otherwise."""

    #: Messages that clients were told are accepted, and the deliveries that they come to.
    acknowledged: int = 0
    accepted: int = 0
    #: Messages of which no client was told, as its request was cut off or answered with 6.
    untold: int = 0
    #: Messages whose clients were told that nothing was accepted (30), and which are there.
    denied: int = 0
    #: How deliveries have ended that carriers took.
    outcomes: Counter[str] = field(default_factory=Counter)
    #: Taken by no carrier, as far as carriers know, and held: nobody could know that.
    held: int = 0
    #: Acknowledged and not in the store, or with an end that no carrier has told of.
    lost: int = 0
    #: Parts that a carrier took more than once, on routes that hold.
    twice: int = 0
    #: The same on routes that resend, marked as possible duplicates, and once more than that.
    resent: int = 0
    unexplained: int = 0
    #: Without an end although everything is quiet.
    stuck: int = 0
    complaints: list[str] = field(default_factory=list)
    #: Deliveries that the first complaints are about, whose journals are shown.
    suspects: list[int] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        faults = self.lost, self.denied, self.twice, self.unexplained, self.stuck
        return not (any(faults) or self.complaints)

    def complain(self, what: str) -> None:
        # The first few say it all.
        if len(self.complaints) < 20:
            self.complaints.append(what)

    def complain_of(self, delivery: Any, what: str) -> None:
        self.complain(f"delivery {delivery.id} ({delivery.state}) {what}")
        if len(self.suspects) < 5:
            self.suspects.append(delivery.id)

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {state}" for state, count in sorted(self.outcomes.items()))
        lines = (
            f"accepted              {self.accepted} deliveries of {self.acknowledged} messages"
            f" (and {self.untold} messages whose clients were not told)",
            f"ended                 {ends}",
            f"held as uncertain     {self.held}",
            f"lost                  {self.lost}",
            f"denied                {self.denied}",
            f"sent twice (hold)     {self.twice}",
            f"sent twice (resend)   {self.resent} marked as possible duplicates,"
            f" {self.unexplained} unexplained",
            f"stuck                 {self.stuck}",
            *self.complaints,
        )
        return "\n".join(lines)


def audit(
    books: Iterable[Book], store: Store, journals: Iterable[Path], *, are_joined: bool = True
) -> Audit:
    """Compare all books. Nothing may be under way.

    Without `are_joined`, receipts whose answer never came may still wait for their delivery, which
    takes a minute: what they tell of is held.
    """
    found = Audit()
    taken, told = _carriers(journals)
    with store.read() as connection:
        texts = {
            row.id: row.text
            for row in connection.execute(select(tables.message.c.id, tables.message.c.text))
        }
        deliveries = connection.execute(select(tables.delivery)).all()
        last_steps = _explanations(connection)
    by_message: dict[str, int] = Counter(row.message_id for row in deliveries)
    _compare_clients(found, books, texts, by_message)
    for row in deliveries:
        parts = [taken.pop((row.recipient, number), 0) for number in range(1, row.parts + 1)]
        _compare_delivery(found, row, texts[row.message_id], parts, are_joined)
        if row.id not in last_steps:
            found.complain_of(row, "has no explanation")
        receipts = told.get(row.recipient, set())
        if row.state == State.DELIVERED and receipts != {"DELIVRD"}:
            found.complain_of(row, f"has receipts that say {receipts}")
    found.complaints += _journals(store, found.suspects)
    if taken:
        found.complain(f"carriers took {len(taken)} parts that the store knows nothing of")
    return found


def _compare_clients(
    found: Audit, books: Iterable[Book], texts: dict[str, str], deliveries: dict[str, int]
) -> None:
    ids: dict[str, list[str]] = defaultdict(list)
    for id, text in texts.items():
        ids[text].append(id)
    told: set[str] = set()
    for book in books:
        for text, id in book.accepted.items():
            found.acknowledged += 1
            found.accepted += deliveries.get(id, 0)
            if ids.get(text) != [id]:
                found.lost += id not in texts
                found.complain(f"message {id} was acknowledged, and the store has {ids.get(text)}")
        told |= book.accepted.keys()
        for text, code in book.refused.items():
            if code == Code.INTERNAL and text in ids:
                found.denied += 1
                found.complain(f"{text[:30]!r} was answered 30, and is there")
            elif code not in (Code.TIMED_OUT, Code.INTERNAL):
                found.complain(f"code {code} for {text[:30]!r}")
        asked = {*book.unanswered, *book.refused}
        found.untold += sum(text in ids for text in asked)
        told |= asked
    for text, same in ids.items():
        if len(same) > 1:
            found.complain(f"{text[:30]!r} was accepted {len(same)} times")
        if text not in told:
            found.complain(f"nobody has asked for {text[:30]!r}")


def _compare_delivery(
    found: Audit, row: Any, text: str, parts: list[int], are_joined: bool
) -> None:
    """One delivery, and how many times a carrier took each of its parts."""
    copies = sum(count - 1 for count in parts if count > 1)
    taken = f"was taken {parts} times"
    if copies and not row.recipient.startswith(RESENT):
        found.twice += copies
        found.complain_of(row, taken)
    elif copies:
        explained = row.possible_duplicate and max(parts) == 2
        found.resent += copies if explained else 0
        if not explained:
            found.unexplained += copies
            found.complain_of(row, f"{taken}, unexplained")
    end = expected(text)
    # The receipt of one part is enough to say that the whole has failed. It is the first that
    # has the word in it.
    is_told = all(parts) or (parts[0] and end is not State.DELIVERED)
    if row.state in OPEN:
        found.stuck += 1
        found.complain_of(row, f"{taken}, and has no end")
    elif is_told and row.state == end:
        found.outcomes[row.state] += 1
    elif row.state != State.UNCERTAIN:
        found.lost += 1
        found.complain_of(row, f"{taken}, and should be {end}")
    elif is_told and are_joined:
        found.stuck += 1
        found.complain_of(row, f"{taken}, and the carrier has told all of it")
    else:
        found.held += 1


def _carriers(
    journals: Iterable[Path],
) -> tuple[dict[tuple[str, int], int], dict[str, set[str]]]:
    """How many times each part (number, part) was taken, and what receipts said of each number."""
    taken: Counter[tuple[str, int]] = Counter()
    numbers: dict[str, str] = {}
    told: dict[str, set[str]] = defaultdict(set)
    for entry in _entries(journals):
        if entry["event"] == "submit" and not entry["status"]:
            number = "+" + entry["destination"]
            taken[number, entry["part"]] += 1
            numbers[entry["id"]] = number
        elif entry["event"] == "receipt" and not entry["status"]:
            told[numbers[entry["id"]]].add(entry["stat"])
    return taken, told


def _entries(journals: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for journal in journals:
        with journal.open() as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)


def _explanations(connection: Any) -> set[int]:
    """The deliveries of which the journal says something."""
    return set(connection.execute(select(tables.step.c.delivery_id).distinct()).scalars())


def _journals(store: Store, deliveries: list[int]) -> Iterator[str]:
    """What the store knows of deliveries, line by line."""
    query = select(tables.step).where(tables.step.c.delivery_id.in_(deliveries))
    with store.read() as connection:
        for row in connection.execute(query.order_by(tables.step.c.delivery_id, tables.step.c.id)):
            yield f"  delivery {row.delivery_id}: {row.at} {row.part} {row.event} {row.detail}"
