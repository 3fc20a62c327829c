"""What a worker writes of what it sends: claims and outcomes, whoever was taken for dead."""

from dataclasses import replace

import pytest
from sqlalchemy import select, update
from support.books import (
    ACCEPTED,
    BUSY,
    HOUR,
    LEASE,
    NOT_WRITTEN,
    NOW,
    REFUSED,
    RETRY,
    ROUTES,
    SECOND,
    UNANSWERED,
    Books,
    late,
    submitted,
)

from sms_gateway.deliver.busy_numbers import BusyNumbers
from sms_gateway.deliver.ledger import Beat, Claim
from sms_gateway.routing.routes import Routes
from sms_gateway.sms.message import State
from sms_gateway.store import intake, tables, workers
from sms_gateway.upstream import Delivery, Outcome

pytestmark = pytest.mark.encrypted_too

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


def test_no_more_parts_of_a_route_are_claimed_than_its_share_has(books: Books) -> None:
    limited = [replace(route, rate=1) for route in ROUTES.all() if route.upstreams == ("a",)]
    books.route_by(Routes(limited))
    belgian = [books.accept(parts=2, at=NOW - 9 + n) for n in range(3)]
    german = [books.accept("+4915112345678", parts=2, at=NOW - 3 + n) for n in range(2)]
    most = {"": 5, "49": 3}
    shares = [
        replace(share, most=most[share.lane.limited.prefix])
        for share in books.routes.shares("a")
        if share.lane.limited is not None
    ]
    claimed = books.write(Claim(upstream="a", parts=100, now=NOW, shares=shares))
    # The third would be more than five parts, the second German one more than three.
    assert [d.message_id for d in claimed] == [*belgian[:2], german[0]]


def test_an_expired_delivery_is_not_claimed(books: Books) -> None:
    books.accept()
    assert books.claim(now=NOW + HOUR) == []


def test_what_goes_to_a_busy_number_is_put_off_and_says_until_when(books: Books) -> None:
    busy = BusyNumbers()
    until = busy.refused("+32494000000", NOW)
    held = [books.accept() for _ in range(30)]
    free = [books.accept("+32494000001") for _ in range(5)]
    # All of those that wait stand before these in the queue.
    assert [d.message_id for d in books.claim(parts=3, hold=busy.hold)] == free[:3]
    assert {books.state(id) for id in held} == {State.QUEUED}
    step = books.delivery(held[0]).steps[-1]
    assert step.event == "put off"
    assert step.detail.startswith("the number is busy until ")
    assert books.delivery(held[0]).due_at == until
    assert [d.message_id for d in books.claim(hold=busy.hold)] == free[3:]
    # One of them tries; the others wait for what becomes of it.
    (tried,) = books.claim(now=until, hold=busy.hold)
    assert tried.message_id == held[0]
    busy.answered(tried.recipient)
    assert len(books.claim(now=until + 2_000, hold=busy.hold)) == 29


def test_one_busy_number_does_not_stand_before_all_others(books: Books) -> None:
    busy = BusyNumbers()
    busy.refused("+32494000000", NOW)
    for _ in range(250):
        books.accept()
    free = books.accept("+32494000001")
    assert [d.message_id for d in books.claim(parts=1, hold=busy.hold)] == [free]


# -- how attempts end --


@pytest.mark.parametrize(
    ("outcomes", "held", "resent"),
    [
        ([ACCEPTED], State.SUBMITTED, State.SUBMITTED),
        ([ACCEPTED, ACCEPTED], State.SUBMITTED, State.SUBMITTED),
        ([RETRY], State.QUEUED, State.QUEUED),
        ([BUSY], State.QUEUED, State.QUEUED),
        ([NOT_WRITTEN], State.QUEUED, State.QUEUED),
        ([REFUSED], State.FAILED, State.FAILED),
        ([UNANSWERED], State.UNCERTAIN, State.QUEUED),
        ([ACCEPTED, RETRY], State.QUEUED, State.QUEUED),
        ([ACCEPTED, BUSY], State.QUEUED, State.QUEUED),
        ([BUSY, REFUSED], State.FAILED, State.FAILED),
        ([BUSY, UNANSWERED], State.UNCERTAIN, State.QUEUED),
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
    (again,) = survivor.claim(now=NOW + LEASE + 1)
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
    first, second = books.accept("+33612345678"), books.accept("+33612345678")
    gone = tables.queue.c.message_id == first
    with books.store.write() as connection:
        # One of another lane that an upstream still has, one of a lane that none has.
        connection.execute(update(tables.queue).values(route="336", lane="z"))
        connection.execute(update(tables.queue).where(gone).values(lane="a"))
    assert books.claim(upstream="b") == []
    assert books.claim() == []
    assert [d.message_id for d in books.claim(upstream="b")] == [first]
    books.write(Beat(now=NOW))
    assert [d.message_id for d in books.claim(upstream="b")] == [second]
    assert (books.delivery(first).route, books.steps(first)[0]) == ("33", "rerouted")


def test_what_has_served_its_time_is_forgotten(books: Books) -> None:
    with books.store.write() as connection:
        first = intake.Accepted(content_hash=b"c" * 32, message_id="m", sent=1)
        intake.remember(connection, {b"k" * 32: first}, NOW)
    books.receipt("nobody's")
    books.write(Beat(now=NOW + 8 * 24 * HOUR))
    with books.store.read() as connection:
        assert not connection.execute(select(tables.idempotency)).all()
    assert books.early() == 0


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
