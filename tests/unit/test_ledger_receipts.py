"""Receipts find their messages, in whatever order they come."""

import random
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from support.books import (
    ACCEPTED,
    NOW,
    REFUSED,
    SECOND,
    UNANSWERED,
    Books,
    came,
    submitted,
)

from sms_gateway.ledger import (
    Beat,
    Event,
)
from sms_gateway.sms.message import State
from sms_gateway.store import receipts
from sms_gateway.upstream import Outcome


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
