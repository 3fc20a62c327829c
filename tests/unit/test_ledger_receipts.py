"""Receipts find their messages, in whatever order they come."""

import dataclasses
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
from support.forgetting import forget

from sms_gateway.deliver.ledger import Beat, Event
from sms_gateway.log import facts
from sms_gateway.sms.message import State
from sms_gateway.store import receipts
from sms_gateway.upstream import Outcome

pytestmark = pytest.mark.encrypted_too


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


def test_of_messages_with_one_id_the_newest_has_the_first_receipt(books: Books) -> None:
    old, new = submitted(books, "7"), submitted(books, "7")
    books.receipt("7")
    assert (books.state(old), books.state(new)) == (State.SUBMITTED, State.DELIVERED)
    books.receipt("7", State.UNDELIVERABLE)
    assert (books.state(old), books.state(new)) == (State.UNDELIVERABLE, State.DELIVERED)


def test_of_parts_with_one_id_the_first_has_the_first_receipt(books: Books) -> None:
    id = books.accept(parts=2)
    (delivery,) = books.claim()
    books.settle(delivery, Outcome.ACCEPTED, Outcome.ACCEPTED, ids=["AA", "AA"])
    for parts in ([1], [1, 2]):
        books.receipt("AA")
        steps = books.delivery(id).steps
        assert [step.part for step in steps if step.event == "receipt"] == parts
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


@pytest.mark.once
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


# A carrier's counter begins anew.


def test_an_id_used_again_before_its_answer_is_the_new_owners(books: Books) -> None:
    old = submitted(books, "7", "+32494000001")
    new = books.accept("+32494000002")
    (delivery,) = books.claim()
    books.receipt("7", recipient="32494000002")  # before the answer
    assert books.state(old) is State.SUBMITTED
    books.settle(delivery, ACCEPTED, ids=["7"])
    books.write(Beat(now=NOW + SECOND))
    assert (books.state(old), books.state(new)) == (State.SUBMITTED, State.DELIVERED)
    books.receipt("7", recipient="32494000001")
    assert books.state(old) is State.DELIVERED
    assert books.early() == 0


@pytest.mark.once
def test_a_counter_that_begins_anew_never_delivers_the_old_owners(books: Books) -> None:
    chance = random.Random(3)
    numbers = [f"+3249400{n:04}" for n in range(40)]
    right: list[str] = []
    unreported: list[str] = []
    for now in range(NOW, NOW + 8 * 60 * SECOND, 60 * SECOND):
        # The ids 0 to 24 again in each round, each to any number; half are reported at once.
        ids = {books.accept(number, at=now): number for number in chance.sample(numbers, 25)}
        deliveries = books.claim(now=now)
        owner = {delivery.message_id: str(id) for id, delivery in enumerate(deliveries)}
        reported = chance.sample(sorted(ids), 13)
        books.write(*(came(owner[id], recipient=ids[id][1:], now=now) for id in reported))
        for delivery in deliveries:
            books.settle(delivery, ACCEPTED, ids=[owner[delivery.message_id]], now=now)
        books.write(Beat(now=now + SECOND))
        right += reported
        unreported += set(ids) - set(reported)
        assert {books.state(id) for id in right} == {State.DELIVERED}
        assert {books.state(id) for id in unreported} == {State.SUBMITTED}
    assert books.early() == 0


def test_a_receipt_for_one_of_two_to_a_number_waits_for_the_others_answer_only(
    books: Books,
) -> None:
    old = submitted(books, "7")
    later = NOW + 60 * SECOND
    books.accept(at=later)
    books.claim(now=later)
    books.receipt("7", now=later)
    books.write(Beat(now=later + 59 * SECOND))
    assert books.state(old) is State.SUBMITTED
    # Nothing has answered in all that time.
    books.write(Beat(now=later + 61 * SECOND))
    assert books.state(old) is State.DELIVERED
    assert books.early() == 0


def test_a_receipt_for_what_has_ended_waits_for_the_next_with_its_id(books: Books) -> None:
    old = submitted(books, "7")
    books.receipt("7", State.UNDELIVERABLE)
    new = books.accept()
    (delivery,) = books.claim()
    books.receipt("7")
    assert books.early() == 1
    books.settle(delivery, ACCEPTED, ids=["7"])
    books.write(Beat(now=NOW + SECOND))
    assert (books.state(old), books.state(new)) == (State.UNDELIVERABLE, State.DELIVERED)
    assert books.early() == 0


def test_a_repeat_is_no_answer_of_another_message(books: Books) -> None:
    submitted(books, "7")
    books.receipt("7")
    silent = books.accept()
    (delivery,) = books.claim()
    books.settle(delivery, UNANSWERED)
    books.receipt("7")
    for seconds in (61, 16 * 60):
        books.write(Beat(now=NOW + seconds * SECOND))
    assert books.state(silent) is State.UNCERTAIN


@pytest.mark.parametrize(
    ("after", "recipient", "state"),
    [
        (59, "32494000000", State.EXPIRED),
        (119, "32494000000", State.EXPIRED),  # a carrier's own clock
        (121, "32494000000", State.UNKNOWN),
        (61, "", State.UNKNOWN),
        (61, "32494000001", State.UNKNOWN),
    ],
)
def test_a_receipt_counts_until_the_validity_has_ended(
    books: Books, after: int, recipient: str, state: State
) -> None:
    id = submitted(books, "7")  # valid for an hour
    at = NOW + after * 60 * SECOND
    books.write(Beat(now=at))
    books.receipt("7", State.EXPIRED, recipient=recipient, now=at)
    assert books.state(id) is state
    assert books.early() == (state is State.UNKNOWN)


def test_a_late_receipt_is_not_taken_from_what_is_on_its_way(books: Books) -> None:
    old = submitted(books, "7")
    later = NOW + 61 * 60 * SECOND
    books.write(Beat(now=later))
    new = books.accept(at=later)
    other = books.another(later)
    (delivery,) = other.claim(now=later)
    other.receipt("7", now=later)
    other.settle(delivery, ACCEPTED, ids=["7"], now=later)
    other.write(Beat(now=later + SECOND))
    assert (books.state(old), books.state(new)) == (State.UNKNOWN, State.DELIVERED)


def test_without_a_number_an_id_that_two_wait_under_decides_nothing(books: Books) -> None:
    ids = [submitted(books, "7", number) for number in ("+32494000001", "+32494000002")]
    books.receipt("7", recipient="")
    assert {books.state(id) for id in ids} == {State.SUBMITTED}
    books.receipt("7", recipient="32494000001")
    books.receipt("7", recipient="")
    assert [books.state(id) for id in ids] == [State.DELIVERED, State.DELIVERED]


@pytest.mark.parametrize("others", ["two wait", "none waits", "no answer yet", "another upstream"])
def test_a_receipt_without_an_id_is_kept_where_it_may_be_anothers(
    books: Books, others: str, caplog: pytest.LogCaptureFixture
) -> None:
    if others == "two wait":
        ids = [submitted(books, "1"), submitted(books, "2")]
    elif others == "none waits":
        ids = [submitted(books, "1", "+32494000001")]
    elif others == "no answer yet":
        ids = [books.accept()]
        (delivery,) = books.claim()
    else:
        ids = [submitted(books, "1")]
    books.receipt("", upstream="b" if others == "another upstream" else "a")
    if others == "no answer yet":
        books.settle(delivery, ACCEPTED)
    books.write(Beat(now=NOW + SECOND))
    assert {books.state(id) for id in ids} == {State.SUBMITTED}
    assert books.early() == 1
    (told,) = [record for record in caplog.records if record.message == "receipts kept"]
    assert str(facts(told)["why"]).startswith("it has no id, and ")


def test_what_no_message_wants_is_told_when_it_is_given_up(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    books.receipt("nobody's")
    books.receipt("nobody's too")
    for minutes in (14, 16, 17):
        books.write(Beat(now=NOW + minutes * 60 * SECOND))
    (told,) = [record for record in caplog.records if record.message == "receipts kept"]
    assert (facts(told)["count"], facts(told)["upstream"]) == (2, "a")


def test_parts_that_share_an_id_are_told_apart_by_their_receipts(books: Books) -> None:
    id = books.accept(parts=3)
    (delivery,) = books.claim()
    books.settle(delivery, ACCEPTED, ACCEPTED, ACCEPTED, ids=["7", "7", "7"])
    books.write(came("7"), came("7"))
    assert books.state(id) is State.SUBMITTED
    books.receipt("7")
    assert books.state(id) is State.DELIVERED


def test_a_person_is_forgotten_in_either_number_of_a_receipt(books: Books) -> None:
    for recipient, other in (("32494000000", "32470999999"), ("32470999999", "32494000000")):
        event = came("nobody's", recipient=recipient)
        receipt = dataclasses.replace(event.receipt, other_number=other)
        books.write(dataclasses.replace(event, receipt=receipt))
    assert books.early() == 2
    with books.store.write() as connection:
        forget(connection, "+32494000000", NOW)
    assert books.early() == 0
