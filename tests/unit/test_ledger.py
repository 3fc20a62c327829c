"""What a worker writes: claims, outcomes and receipts, in whatever order they come."""

import itertools
import random
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from sqlalchemy import func, select, update
from support import accounts as support

from sms_gateway.ledger import (
    Beat,
    Claim,
    Event,
    LateAnswer,
    Ledger,
    MessageCame,
    ReceiptCame,
    Settled,
)
from sms_gateway.routes import Route, Routes
from sms_gateway.sms.encoding import Encoding
from sms_gateway.sms.ids import new_id
from sms_gateway.sms.message import State
from sms_gateway.sms.receipt import Receipt
from sms_gateway.store import Store, history, inbox, intake, receipts, tables, workers
from sms_gateway.store.bulk import insert_many
from sms_gateway.upstream import Answer, Delivery, Incoming, Outcome
from sms_gateway.worker import settle

NOW = 1_800_014_400_000
SECOND = 1_000
HOUR = 3_600_000
LEASE = 15_000

ROUTES = Routes(
    [
        Route(prefix="", upstreams=("a",)),
        Route(prefix="33", upstreams=("b",)),
        Route(prefix="49", upstreams=("a",), resend=True),
    ]
)


class Books:
    """A store with a worker's ledger, and messages to write about."""

    def __init__(self, store: Store) -> None:
        self.store = store
        _, self.account = support.create(store)
        with store.write() as connection:
            self.worker = workers.enroll(connection, now=NOW, lease=LEASE)
        self.ledger = Ledger(ROUTES, worker=self.worker, lease=LEASE)

    def another(self, now: int = NOW) -> "Books":
        """The same store, seen by a second worker."""
        books = Books.__new__(Books)
        books.store, books.account = self.store, self.account
        with self.store.write() as connection:
            books.worker = workers.enroll(connection, now=now, lease=LEASE)
        books.ledger = Ledger(ROUTES, worker=books.worker, lease=LEASE)
        return books

    def accept(self, number: str = "+32494000000", parts: int = 1, at: int = NOW) -> str:
        id = new_id(at)
        with self.store.write() as connection:
            insert_many(
                connection,
                tables.message,
                [
                    {
                        "id": id,
                        "account_id": self.account.id,
                        "sender": "ACME",
                        "text": "x" * 150 * parts,
                        "encoding": Encoding.GSM7,
                        "parts": parts,
                        "accepted_at": at,
                    }
                ],
            )
            route = ROUTES.find(number)
            assert route is not None
            insert_many(
                connection,
                tables.delivery,
                [
                    {
                        "message_id": id,
                        "recipient": number,
                        "route": route.prefix,
                        "parts": parts,
                        "state": State.QUEUED,
                        "due_at": at,
                        "expires_at": at + HOUR,
                        "attempts": 0,
                        "possible_duplicate": False,
                    }
                ],
            )
        return id

    def write(self, *events: Event) -> Any:
        with self.store.write() as connection:
            return self.ledger.apply(connection, events)[-1]

    def claim(self, parts: int = 100, upstream: str = "a", now: int = NOW) -> list[Delivery]:
        claimed: list[Delivery] = self.write(Claim(upstream=upstream, parts=parts, now=now))
        return claimed

    def settle(
        self, delivery: Delivery, *outcomes: Outcome, ids: Any = None, now: int = NOW
    ) -> None:
        self.write(self.settled(delivery, *outcomes, ids=ids, now=now))

    def settled(
        self, delivery: Delivery, *outcomes: Outcome, ids: Any = None, now: int = NOW
    ) -> Settled:
        answers = [
            Answer(
                delivery_id=delivery.id,
                part=number,
                outcome=outcome,
                smsc_id=(ids or [f"{delivery.id}-{n}" for n in range(1, 9)])[number - 1]
                if outcome is Outcome.ACCEPTED
                else "",
                reason="" if outcome is Outcome.ACCEPTED else "0x000000ff because",
            )
            for number, outcome in enumerate(outcomes, 1)
            if number not in delivery.accepted
        ]
        resend = delivery.route in ROUTES.resending()
        return settle(delivery, answers, upstream="a", resend=resend, now=now)

    def receipt(
        self,
        smsc_id: str,
        state: State = State.DELIVERED,
        recipient: str = "32494000000",
        error: str = "000",
        now: int = NOW,
        upstream: str = "a",
    ) -> None:
        self.write(came(smsc_id, state, recipient, error, now, upstream))

    def state(self, id: str) -> State:
        with self.store.read() as connection:
            found = history.of_message(connection, id)
        assert found is not None
        return found.state

    def steps(self, id: str) -> list[str]:
        with self.store.read() as connection:
            found = history.of_message(connection, id)
        assert found is not None
        return [step.event for delivery in found.deliveries for step in delivery.steps]

    def early(self) -> int:
        with self.store.read() as connection:
            query = select(func.count()).select_from(tables.early_receipt)
            count: int = connection.execute(query).scalar_one()
        return count


def came(
    smsc_id: str,
    state: State = State.DELIVERED,
    recipient: str = "32494000000",
    error: str = "000",
    now: int = NOW,
    upstream: str = "a",
) -> ReceiptCame:
    receipt = Receipt(
        smsc_id=smsc_id, state=state, recipient=recipient, error=error, done_at=now, raw="id:…"
    )
    return ReceiptCame(upstream=upstream, receipt=receipt, now=now)


@pytest.fixture
def books(store: Store) -> Books:
    return Books(store)


def submitted(books: Books, smsc_id: str, number: str = "+32494000000") -> str:
    id = books.accept(number)
    (delivery,) = books.claim()
    books.settle(delivery, Outcome.ACCEPTED, ids=[smsc_id])
    assert books.state(id) is State.SUBMITTED
    return id


# -- claims --


def test_a_claimed_delivery_is_not_claimed_twice(books: Books) -> None:
    id = books.accept()
    (delivery,) = books.claim()
    assert (delivery.message_id, delivery.recipient) == (id, "+32494000000")
    assert (delivery.sender, delivery.parts, delivery.attempt) == ("ACME", 1, 1)
    assert books.claim() == []
    assert books.another().claim() == []
    assert books.state(id) is State.SUBMITTING


def test_the_oldest_is_claimed_first_and_only_its_routes(books: Books) -> None:
    second = books.accept(at=NOW - 5)
    first = books.accept(at=NOW - 9)
    french = books.accept("+33612345678")
    later = books.accept(at=NOW + 1)
    assert [d.message_id for d in books.claim()] == [first, second]
    assert [d.message_id for d in books.claim(upstream="b")] == [french]
    assert [d.message_id for d in books.claim(now=NOW + 1)] == [later]


def test_no_more_is_claimed_than_is_written_at_once(books: Books) -> None:
    for _ in range(3):
        books.accept(parts=2)
    assert len(books.claim(parts=5)) == 2
    assert len(books.claim(parts=1)) == 1  # longer than the room, but it is the first


def test_an_expired_delivery_is_not_claimed(books: Books) -> None:
    books.accept()
    assert books.claim(now=NOW + HOUR) == []


# -- how attempts end --

ACCEPTED, RETRY, REFUSED = Outcome.ACCEPTED, Outcome.RETRY, Outcome.REFUSED
UNANSWERED, NOT_WRITTEN = Outcome.UNANSWERED, Outcome.NOT_WRITTEN


@pytest.mark.parametrize(
    ("outcomes", "held", "resent"),
    [
        ([ACCEPTED], State.SUBMITTED, State.SUBMITTED),
        ([ACCEPTED, ACCEPTED], State.SUBMITTED, State.SUBMITTED),
        ([RETRY], State.QUEUED, State.QUEUED),
        ([NOT_WRITTEN], State.QUEUED, State.QUEUED),
        ([REFUSED], State.FAILED, State.FAILED),
        ([UNANSWERED], State.UNCERTAIN, State.QUEUED),
        ([ACCEPTED, RETRY], State.QUEUED, State.QUEUED),
        ([ACCEPTED, REFUSED], State.FAILED, State.FAILED),
        ([REFUSED, UNANSWERED], State.FAILED, State.FAILED),
        ([ACCEPTED, UNANSWERED], State.UNCERTAIN, State.QUEUED),
        ([UNANSWERED, RETRY], State.UNCERTAIN, State.QUEUED),
        ([ACCEPTED, NOT_WRITTEN], State.QUEUED, State.QUEUED),
    ],
)
def test_an_attempt_ends_as_its_answers_say(
    books: Books, outcomes: list[Outcome], held: State, resent: State
) -> None:
    for number, expected in (("+32494000000", held), ("+4915112345678", resent)):
        id = books.accept(number, parts=len(outcomes))
        (delivery,) = [d for d in books.claim() if d.message_id == id]
        books.settle(delivery, *outcomes)
        assert books.state(id) is expected


def test_a_second_attempt_waits_longer_and_leaves_out_what_was_accepted(books: Books) -> None:
    id = books.accept(parts=3)
    (delivery,) = books.claim()
    books.settle(delivery, ACCEPTED, RETRY, ACCEPTED)
    assert books.claim(now=NOW + 700) == []
    (again,) = books.claim(now=NOW + 1_300)
    assert (again.accepted, again.attempt) == (frozenset({1, 3}), 2)
    books.settle(again, ACCEPTED, RETRY, ACCEPTED, now=NOW + 1_300)
    assert books.claim(now=NOW + 1_300 + 1_500) == []
    (last,) = books.claim(now=NOW + 1_300 + 2_500)
    books.settle(last, ACCEPTED, ACCEPTED, ACCEPTED)
    assert books.state(id) is State.SUBMITTED
    assert books.steps(id).count("submitted") == 3


def test_pauses_grow_to_five_minutes_and_no_further(books: Books) -> None:
    books.accept()
    (delivery,) = books.claim()
    for attempt, longest in ((1, 1.2), (5, 19.2), (9, 307.2), (60, 360)):
        tried = Delivery(
            **{f: getattr(delivery, f) for f in Delivery.__slots__} | {"attempt": attempt}
        )
        due = books.settled(tried, RETRY).due - NOW
        assert longest * SECOND * 0.66 <= due <= longest * SECOND


def test_what_may_be_sent_twice_is_marked_and_never_sent_a_third_time(books: Books) -> None:
    id = books.accept("+4915112345678")
    (first,) = books.claim()
    assert not first.possible_duplicate
    books.settle(first, UNANSWERED)
    (second,) = books.claim()
    assert second.possible_duplicate
    books.settle(second, UNANSWERED)
    assert books.claim(now=NOW + HOUR // 2) == []
    assert books.state(id) is State.UNCERTAIN


# -- late answers --


def late(delivery: Delivery, outcome: Outcome, smsc_id: str = "", part: int = 1) -> LateAnswer:
    answer = Answer(
        delivery_id=delivery.id,
        attempt=delivery.attempt,
        part=part,
        outcome=outcome,
        smsc_id=smsc_id,
    )
    return LateAnswer(upstream="a", answer=answer, now=NOW)


def test_a_late_answer_ends_the_uncertainty(books: Books) -> None:
    for outcome, state in (
        (ACCEPTED, State.SUBMITTED),
        (REFUSED, State.FAILED),
        (RETRY, State.QUEUED),
    ):
        id = books.accept()
        (delivery,) = books.claim()
        books.settle(delivery, UNANSWERED)
        books.write(late(delivery, outcome, "late-1"))
        assert books.state(id) is state
        books.claim()


def test_a_long_message_is_submitted_once_all_its_late_answers_are_there(books: Books) -> None:
    id = books.accept(parts=3)
    (delivery,) = books.claim()
    books.settle(delivery, UNANSWERED, ACCEPTED, UNANSWERED)
    books.write(late(delivery, ACCEPTED, "x1", part=1))
    assert books.state(id) is State.UNCERTAIN
    books.write(late(delivery, ACCEPTED, "x3", part=3))
    assert books.state(id) is State.SUBMITTED


# -- receipts --


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        (State.DELIVERED, State.DELIVERED),
        (State.UNDELIVERABLE, State.UNDELIVERABLE),
        (State.EXPIRED, State.EXPIRED),
        (State.FAILED, State.FAILED),
        (State.SUBMITTED, State.SUBMITTED),  # an intermediate report
    ],
)
def test_a_receipt_decides(books: Books, reported: State, state: State) -> None:
    id = submitted(books, "abc")
    books.receipt("abc", reported)
    assert books.state(id) is state
    assert books.steps(id) == ["claimed", "submitted", "receipt"]


def test_the_first_outcome_stands_and_a_repeat_adds_nothing(books: Books) -> None:
    id = submitted(books, "abc")
    books.write(came("abc"), came("abc"), came("abc", State.UNDELIVERABLE))
    books.receipt("abc", State.EXPIRED)
    assert books.state(id) is State.DELIVERED
    assert books.steps(id).count("receipt") == 1
    assert books.early() == 0


def test_a_receipt_in_the_batch_of_its_answer_finds_it(books: Books) -> None:
    id = books.accept()
    (delivery,) = books.claim()
    books.write(came("abc"), books.settled(delivery, ACCEPTED, ids=["abc"]))
    assert books.state(id) is State.DELIVERED


def test_a_receipt_before_its_answer_is_kept_and_joined(books: Books) -> None:
    id = books.accept()
    (delivery,) = books.claim()
    books.receipt("abc")
    assert books.early() == 1
    books.settle(delivery, ACCEPTED, ids=["abc"])
    assert books.state(id) is State.SUBMITTED
    books.write(Beat(now=NOW + SECOND))
    assert books.state(id) is State.DELIVERED
    assert books.early() == 0


@pytest.mark.parametrize(
    ("answered", "reported"),
    [
        ("0000abcd", "ABCD"),
        ("ABCD", "0000abcd"),
        ("1A2B3C", "1715004"),  # hex in the answer, decimal in the receipt
        ("1715004", "1A2B3C"),  # and the other way round
        ("0001715004", "1a2b3c"),
        ("6ba7b810-9dad-11d1", "6BA7B810-9DAD-11D1"),
    ],
)
def test_an_id_written_differently_is_the_same(books: Books, answered: str, reported: str) -> None:
    id = submitted(books, answered)
    books.receipt(reported)
    assert books.state(id) is State.DELIVERED


def test_another_form_of_the_id_needs_the_same_recipient(books: Books) -> None:
    # 0x10 is 16: without the recipient the receipt for one would be taken for the other.
    other = submitted(books, "10", "+32494000001")
    books.receipt("16", recipient="32494000002")
    assert books.state(other) is State.SUBMITTED
    assert books.early() == 1


def test_the_exact_id_counts_even_if_the_number_is_written_nationally(books: Books) -> None:
    id = submitted(books, "abc")
    books.receipt("abc", recipient="0494000000")
    assert books.state(id) is State.DELIVERED


def test_the_same_id_at_another_upstream_is_another_message(books: Books) -> None:
    id = submitted(books, "abc")
    books.receipt("abc", upstream="b")
    assert books.state(id) is State.SUBMITTED


def test_a_long_message_is_delivered_when_its_last_part_is(books: Books) -> None:
    id = books.accept(parts=3)
    (delivery,) = books.claim()
    books.settle(delivery, ACCEPTED, ACCEPTED, ACCEPTED, ids=["p1", "p2", "p3"])
    books.write(came("p3"), came("p1"))
    assert books.state(id) is State.SUBMITTED
    books.receipt("p2")
    assert books.state(id) is State.DELIVERED


def test_a_long_message_fails_with_its_first_failed_part(books: Books) -> None:
    id = books.accept(parts=2)
    (delivery,) = books.claim()
    books.settle(delivery, ACCEPTED, ACCEPTED, ids=["p1", "p2"])
    books.receipt("p1")
    books.receipt("p2", State.UNDELIVERABLE)
    assert books.state(id) is State.UNDELIVERABLE


def test_a_receipt_of_unknown_name_answers_for_the_only_uncertain_delivery(books: Books) -> None:
    id = books.accept()
    (delivery,) = books.claim()
    books.settle(delivery, UNANSWERED)
    books.receipt("never-told")
    books.write(Beat(now=NOW + 30 * SECOND))
    assert books.state(id) is State.UNCERTAIN  # its answer might still be on its way
    books.write(Beat(now=NOW + 61 * SECOND))
    assert books.state(id) is State.DELIVERED
    assert books.early() == 0


def test_a_receipt_of_unknown_name_decides_nothing_when_two_are_uncertain(books: Books) -> None:
    ids = [books.accept(), books.accept()]
    for delivery in books.claim():
        books.settle(delivery, UNANSWERED)
    books.receipt("never-told")
    books.write(Beat(now=NOW + 61 * SECOND))
    assert {books.state(id) for id in ids} == {State.UNCERTAIN}
    assert books.early() == 1


def test_receipts_in_any_order_are_all_joined(books: Books) -> None:
    ids = [books.accept(f"+32494{n:06}") for n in range(300)]
    deliveries = books.claim(parts=1_000)
    events: list[Event] = []
    for n, delivery in enumerate(deliveries):
        events.append(books.settled(delivery, ACCEPTED, ids=[f"{n:x}"]))
        events += [came(f"{n:x}", recipient=delivery.recipient[1:])] * (2 if n % 10 == 0 else 1)
    random.Random(7).shuffle(events)
    for start in range(0, len(events), 37):
        books.write(*events[start : start + 37])
    books.write(Beat(now=NOW + SECOND))
    assert {books.state(id) for id in ids} == {State.DELIVERED}
    assert books.early() <= 30  # at most the repeats of what was joined


# -- time --


def test_validity_ends_what_waits_and_what_has_no_receipt(books: Books) -> None:
    without_receipt = submitted(books, "abc")
    waiting = books.accept()
    books.write(Beat(now=NOW + HOUR - 1))
    assert books.state(waiting) is State.QUEUED
    books.write(Beat(now=NOW + HOUR))
    assert books.state(waiting) is State.EXPIRED
    assert books.state(without_receipt) is State.UNKNOWN
    books.receipt("abc", now=NOW + 2 * HOUR)
    assert books.state(without_receipt) is State.DELIVERED  # better late than never


def test_what_a_dead_worker_held_is_uncertain_or_resent(books: Books) -> None:
    held, resent = books.accept(), books.accept("+4915112345678")
    assert len(books.claim()) == 2
    survivor = books.another(NOW + LEASE)
    survivor.write(Beat(now=NOW + LEASE - 1))
    assert books.state(held) is State.SUBMITTING
    survivor.write(Beat(now=NOW + LEASE + 1))
    assert books.state(held) is State.UNCERTAIN
    assert books.state(resent) is State.QUEUED
    assert "uncertain" in books.steps(held)
    (again,) = survivor.claim()
    assert again.possible_duplicate


def test_a_worker_that_beats_keeps_its_claims(books: Books) -> None:
    id = books.accept()
    books.claim()
    other = books.another()
    for tick in range(1, 10):
        books.write(Beat(now=NOW + tick * LEASE // 2))
        other.write(Beat(now=NOW + tick * LEASE // 2))
    assert books.state(id) is State.SUBMITTING


def test_a_worker_taken_for_dead_still_tells_what_became_of_its_claims(books: Books) -> None:
    id = books.accept()
    (delivery,) = books.claim()
    books.another().write(Beat(now=NOW + LEASE + 1))
    assert books.state(id) is State.UNCERTAIN
    books.settle(delivery, ACCEPTED, ids=["abc"])
    assert books.state(id) is State.SUBMITTED


def test_a_worker_taken_for_dead_saves_what_is_not_claimed_anew_from_a_second_copy(
    books: Books,
) -> None:
    id = books.accept("+4915112345678")
    (delivery,) = books.claim()
    books.another(NOW + LEASE).write(Beat(now=NOW + LEASE + 1))
    assert books.state(id) is State.QUEUED
    books.settle(delivery, ACCEPTED, ids=["abc"])
    assert books.state(id) is State.SUBMITTED
    books.receipt("abc", recipient="4915112345678")
    assert books.state(id) is State.DELIVERED


def test_a_worker_taken_for_dead_does_not_disturb_who_came_after(books: Books) -> None:
    id = books.accept("+4915112345678")
    (delivery,) = books.claim()
    other = books.another(NOW + LEASE)
    other.write(Beat(now=NOW + LEASE + 1))
    (again,) = other.claim(now=NOW + LEASE + 1)
    books.settle(delivery, REFUSED)
    assert books.state(id) is State.SUBMITTING
    other.settle(again, ACCEPTED, ids=["abc"])
    assert books.state(id) is State.SUBMITTED


def queued_though_accepted(books: Books) -> str:
    """A message of two parts, "abc" and "def": its worker was taken for dead and tells what became
    of it after another has claimed it, which then cannot write it."""
    id = books.accept("+4915112345678", parts=2)
    (delivery,) = books.claim()
    other = books.another(NOW + LEASE)
    other.write(Beat(now=NOW + LEASE + 1))
    (again,) = other.claim(now=NOW + LEASE + 1)
    books.settle(delivery, ACCEPTED, ACCEPTED, ids=["abc", "def"])
    other.settle(again, NOT_WRITTEN, NOT_WRITTEN)
    assert books.state(id) is State.QUEUED
    return id


def test_a_delivery_without_a_part_to_hand_out_is_submitted(books: Books) -> None:
    id = queued_though_accepted(books)
    third = books.another(NOW + LEASE)
    assert third.claim(now=NOW + LEASE + 2) == []
    assert books.state(id) is State.SUBMITTED
    assert books.steps(id)[-2:] == ["claimed", "submitted"]
    for part in ("abc", "def"):
        books.receipt(part, recipient="4915112345678")
    assert books.state(id) is State.DELIVERED


@pytest.mark.parametrize("state", [State.DELIVERED, State.UNDELIVERABLE])
def test_what_receipts_tell_of_is_not_sent_once_more(books: Books, state: State) -> None:
    id = queued_though_accepted(books)
    books.receipt("abc", recipient="4915112345678")
    assert books.state(id) is State.QUEUED
    books.receipt("def", state, recipient="4915112345678")
    assert books.state(id) is state
    assert books.claim(now=NOW + LEASE + 2) == []


def test_what_was_queued_for_a_route_that_is_gone_takes_another(books: Books) -> None:
    id = books.accept("+33612345678")
    with books.store.write() as connection:
        connection.execute(update(tables.delivery).values(route="336"))
    assert books.claim(upstream="b") == []
    books.write(Beat(now=NOW))
    (delivery,) = books.claim(upstream="b")
    assert delivery.message_id == id


def test_what_has_served_its_time_is_forgotten(books: Books) -> None:
    with books.store.write() as connection:
        first = intake.Accepted(content_hash=b"c" * 32, message_id="m", sent=1)
        intake.remember(connection, {b"k" * 32: first}, NOW)
    books.receipt("nobody's")
    books.write(Beat(now=NOW + 8 * 24 * HOUR))
    with books.store.read() as connection:
        assert not connection.execute(select(tables.idempotency)).all()
    assert books.early() == 0


# -- received messages --


def mo(
    text: str,
    number: int = 1,
    total: int = 1,
    reference: int = 7,
    sender: str = "32494000009",
    now: int = NOW,
) -> MessageCame:
    incoming = Incoming(
        sender=sender,
        recipient="+3228850000",
        text=text,
        reference=reference,
        total=total,
        number=number,
    )
    return MessageCame(upstream="a", incoming=incoming, now=now)


def inbox_of(books: Books, after: int = 0, most: int = 100) -> list[inbox.Received]:
    with books.store.read() as connection:
        return inbox.page(connection, books.account.id, after=after, most=most)


@pytest.fixture
def numbered(books: Books) -> Books:
    with books.store.write() as connection:
        inbox.assign(connection, "3228850000", books.account.id, NOW)
    return books


def test_a_received_message_belongs_to_who_has_the_number(numbered: Books) -> None:
    numbered.write(mo("Grüße €"))
    (message,) = inbox_of(numbered)
    assert (message.sender, message.recipient) == ("32494000009", "+3228850000")
    assert (message.text, message.received_at) == ("Grüße €", NOW)


def test_a_message_to_a_number_that_nobody_has_is_kept_for_nobody(books: Books) -> None:
    books.write(mo("hi"))
    assert inbox_of(books) == []
    with books.store.read() as connection:
        assert connection.execute(select(tables.received.c.account_id)).scalar_one() is None


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
def test_parts_are_joined_in_whatever_order_they_come(
    numbered: Books, order: tuple[int, ...]
) -> None:
    texts = {1: "one ", 2: "two ", 3: "three"}
    for number in order:
        assert inbox_of(numbered) == []
        numbered.write(mo(texts[number], number, 3), mo(texts[number], number, 3))
    assert [m.text for m in inbox_of(numbered)] == ["one two three"]


def test_parts_of_two_messages_are_not_mixed(numbered: Books) -> None:
    numbered.write(
        mo("a1 ", 1, 2, reference=1),
        mo("b1 ", 1, 2, reference=2),
        mo("c1 ", 1, 2, sender="32494000008"),
        mo("b2", 2, 2, reference=2),
        mo("c2", 2, 2, sender="32494000008"),
        mo("a2", 2, 2, reference=1),
    )
    assert {m.text for m in inbox_of(numbered)} == {"a1 a2", "b1 b2", "c1 c2"}


def test_a_part_that_never_comes_does_not_hold_back_the_rest(numbered: Books) -> None:
    numbered.write(mo("one", 1, 3), mo("three", 3, 3))
    numbered.write(Beat(now=NOW + HOUR // 2))
    assert inbox_of(numbered) == []
    numbered.write(Beat(now=NOW + HOUR // 2 + 1))
    assert [m.text for m in inbox_of(numbered)] == ["one [...] three"]


def test_an_inbox_is_read_page_by_page_without_gap_or_repeat(numbered: Books) -> None:
    for start in range(0, 50, 7):
        numbered.write(*(mo(str(n)) for n in range(start, min(start + 7, 50))))
    texts: list[str] = []
    after = 0
    while page := inbox_of(numbered, after, most=8):
        texts += [message.text for message in page]
        after = page[-1].id
    assert texts == [str(n) for n in range(50)]


# -- commits of which nobody knows whether they were made, and clocks that stood still --


def test_a_claim_whose_commit_was_not_confirmed_is_found_again(books: Books) -> None:
    for number in ("+32494000001", "+32494000002", "+32494000003"):
        books.accept(number)
    (known,) = books.claim(1)
    (forgotten,) = books.claim(1)
    found = books.write(Claim(upstream="a", parts=2, now=NOW, held=frozenset({known.id})))
    assert found[0] == forgotten
    assert [delivery.recipient for delivery in found] == ["+32494000002", "+32494000003"]
    everything = frozenset({known.id} | {delivery.id for delivery in found})
    assert books.write(Claim(upstream="a", parts=2, now=NOW, held=everything)) == []
    # What another worker holds, or another upstream, is theirs.
    assert books.another().write(Claim(upstream="a", parts=2, now=NOW, held=frozenset())) == []
    assert books.write(Claim(upstream="b", parts=2, now=NOW, held=frozenset())) == []


def test_an_outcome_that_is_written_twice_does_not_end_the_next_attempt(books: Books) -> None:
    id = books.accept()
    (first,) = books.claim()
    ended = books.settled(first, Outcome.RETRY)
    books.write(ended)
    (second,) = books.claim(now=NOW + 2 * SECOND)
    books.write(ended)
    assert books.state(id) is State.SUBMITTING
    assert books.claim(now=NOW + 10 * SECOND) == []
    books.settle(second, Outcome.ACCEPTED)
    assert books.state(id) is State.SUBMITTED


def test_a_late_refusal_of_one_attempt_does_not_end_the_next(books: Books) -> None:
    id = books.accept("+49301234567")
    (first,) = books.claim()
    books.settle(first, Outcome.UNANSWERED)
    (second,) = books.claim(now=NOW + 2 * SECOND)
    assert second.possible_duplicate
    books.write(late(first, Outcome.RETRY))
    assert books.state(id) is State.SUBMITTING


def test_what_a_late_answer_tells_is_not_sent_once_more(books: Books) -> None:
    id = books.accept("+49301234567")
    (first,) = books.claim()
    books.settle(first, Outcome.UNANSWERED)
    books.write(late(first, Outcome.ACCEPTED, "A"))
    assert books.state(id) is State.SUBMITTED
    assert books.claim(now=NOW + 2 * SECOND) == []
    books.receipt("A", recipient="49301234567")
    assert books.state(id) is State.DELIVERED


def test_a_worker_that_was_forgotten_is_known_again_when_it_beats(books: Books) -> None:
    other = books.another()
    other.write(Beat(now=NOW + HOUR))
    books.write(Beat(now=NOW + HOUR))
    id = books.accept(at=NOW + HOUR)
    (delivery,) = books.claim(now=NOW + HOUR)
    other.write(Beat(now=NOW + HOUR + SECOND))
    assert books.state(id) is State.SUBMITTING
    books.settle(delivery, Outcome.ACCEPTED, now=NOW + HOUR)
    assert books.state(id) is State.SUBMITTED


def test_the_number_of_a_worker_is_never_given_again(books: Books) -> None:
    id = books.accept()
    books.claim()
    with books.store.write() as connection:
        workers.dismiss(connection, books.worker)
    successor = books.another()
    assert successor.worker > books.worker
    successor.write(Beat(now=NOW))
    assert books.state(id) is State.UNCERTAIN


def test_more_early_receipts_than_are_looked_at_in_one_beat_are_all_joined(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "AT_ONCE", 3)
    for number in range(7):
        books.receipt(f"nobody's {number}", recipient="32494999999")
    books.receipt("A")
    id = submitted(books, "A")
    for beat in range(1, 4):
        books.write(Beat(now=NOW + beat * SECOND))
    assert books.state(id) is State.DELIVERED
    # What nobody wants is given up in the end.
    for beat in range(4):
        books.write(Beat(now=NOW + 16 * 60 * SECOND + beat))
    wanted = books.accept(at=NOW)
    (delivery,) = books.claim()
    books.settle(delivery, Outcome.ACCEPTED, ids=["nobody's 0"])
    for beat in range(4):
        books.write(Beat(now=NOW + 17 * 60 * SECOND + beat))
    assert books.state(wanted) is State.SUBMITTED


def test_a_receipt_that_is_overdue_before_its_answer_is_given_up_is_joined_all_the_same(
    books: Books,
) -> None:
    uncertain = books.accept()
    (delivery,) = books.claim()
    books.settle(delivery, UNANSWERED)
    under_way = books.accept(at=NOW + SECOND)
    (delivery,) = books.claim(now=NOW + SECOND)
    books.receipt("A")
    # It may be for either of the two.
    for seconds in range(0, 90, 10):
        books.write(Beat(now=NOW + seconds * SECOND))
    assert books.state(uncertain) is State.UNCERTAIN
    books.settle(delivery, REFUSED, now=NOW + 91 * SECOND)
    books.write(Beat(now=NOW + 92 * SECOND))
    assert books.state(uncertain) is State.DELIVERED
    assert books.state(under_way) is State.FAILED


def test_a_look_at_early_receipts_that_is_rolled_back_is_taken_again(books: Books) -> None:
    id = books.accept()
    (delivery,) = books.claim()
    books.settle(delivery, UNANSWERED)
    books.receipt("A")
    with books.store.engine.connect() as connection:
        books.ledger.apply(connection, [Beat(now=NOW + 61 * SECOND)])
        connection.rollback()
    assert books.state(id) is State.UNCERTAIN
    books.write(Beat(now=NOW + 200 * SECOND))
    assert books.state(id) is State.DELIVERED


def test_receipts_that_two_workers_take_at_once_make_a_message_whole(books: Books) -> None:
    id = books.accept(parts=2)
    (delivery,) = books.claim()
    books.settle(delivery, ACCEPTED, ACCEPTED, ids=["A", "B"])
    other = books.another()
    with ThreadPoolExecutor(1) as beside:
        with books.store.write() as connection:
            books.ledger.apply(connection, [came("A")])
            second = beside.submit(other.receipt, "B")
            # It has to wait; whether it has begun to is not to be seen from here.
            wait([second], timeout=0.2)
        second.result(60)
    assert books.state(id) is State.DELIVERED


def test_a_repeated_receipt_answers_for_one_uncertain_delivery_only(books: Books) -> None:
    first = books.accept()
    (delivery,) = books.claim()
    books.settle(delivery, Outcome.UNANSWERED)
    books.receipt("A")
    books.receipt("A")
    books.write(Beat(now=NOW + 61 * SECOND))
    assert books.state(first) is State.DELIVERED
    assert books.early() == 0
