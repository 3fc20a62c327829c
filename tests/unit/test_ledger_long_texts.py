"""One receipt for a long text: by the setting, by its counts, or learnt from the carrier."""

import dataclasses

import pytest
from support.books import ACCEPTED, HOUR, LEASE, NOW, RETRY, ROUTES, SECOND, Books, came

from sms_gateway.deliver.ledger import Beat, Ledger, ReceiptCame
from sms_gateway.log import facts
from sms_gateway.sms.message import State
from sms_gateway.upstream import ReceiptsOf

pytestmark = pytest.mark.encrypted_too

MINUTE = 60 * SECOND
DELIVERED, SUBMITTED = State.DELIVERED, State.SUBMITTED


def speaking(books: Books, mode: ReceiptsOf) -> Books:
    books.ledger = Ledger(ROUTES, worker=books.worker, lease=LEASE, receipts_of={"a": mode})
    return books


def sent(books: Books, name: str, now: int = NOW, parts: int = 3) -> str:
    """A long text, accepted by the carrier under the ids name-1, name-2, …"""
    id = books.accept(parts=parts, at=now)
    (delivery,) = books.claim(now=now)
    ids = [f"{name}-{n}" for n in range(1, parts + 1)]
    books.settle(delivery, *[ACCEPTED] * parts, ids=ids, now=now)
    return id


def counted(name: str, parts: int, delivered: int, state: State = DELIVERED) -> ReceiptCame:
    event = came(name, state)
    receipt = dataclasses.replace(event.receipt, parts=parts, delivered=delivered)
    return dataclasses.replace(event, receipt=receipt)


#: The setting, the parts whose receipts come, what becomes of a text of three.
SETTINGS: list[tuple[ReceiptsOf, list[int], State]] = [
    ("each", [1, 2], SUBMITTED),
    ("each", [1, 2, 3], DELIVERED),
    ("first", [1], DELIVERED),
    ("first", [2, 3], SUBMITTED),
    ("last", [3], DELIVERED),
    ("last", [1, 2], SUBMITTED),
    ("any", [2], DELIVERED),
    ("auto", [1], SUBMITTED),
    ("auto", [1, 2, 3], DELIVERED),
]


@pytest.mark.parametrize(("mode", "parts", "state"), SETTINGS)
def test_the_setting_says_which_part_speaks_for_all(
    books: Books, mode: ReceiptsOf, parts: list[int], state: State
) -> None:
    speaking(books, mode)
    id = sent(books, "x")
    for part in parts:
        books.receipt(f"x-{part}")
    assert books.state(id) is state
    # The receipts of the other parts, or repeats, change nothing any more.
    if state is DELIVERED:
        for part in (1, 2, 3):
            books.receipt(f"x-{part}", State.UNDELIVERABLE)
        assert books.state(id) is DELIVERED
        assert books.early() == 0


@pytest.mark.parametrize("mode", ["each", "first", "last", "any", "auto"])
def test_a_part_that_failed_ends_a_text_in_every_setting(books: Books, mode: ReceiptsOf) -> None:
    speaking(books, mode)
    id = sent(books, "x")
    books.receipt("x-2", State.UNDELIVERABLE)
    assert books.state(id) is State.UNDELIVERABLE


@pytest.mark.parametrize(
    ("mode", "counts", "state"),
    [
        ("auto", (3, 3), DELIVERED),
        ("auto", (3, 1), SUBMITTED),
        ("auto", (1, 1), SUBMITTED),
        ("auto", (2, 2), SUBMITTED),
        ("auto", (0, 0), SUBMITTED),
        ("each", (3, 3), SUBMITTED),
    ],
)
def test_a_receipt_that_counts_all_parts_speaks_for_them(
    books: Books, mode: ReceiptsOf, counts: tuple[int, int], state: State
) -> None:
    speaking(books, mode)
    id = sent(books, "x")
    books.write(counted("x-1", *counts))
    assert books.state(id) is state


def test_a_text_of_which_a_part_is_not_accepted_is_not_delivered_by_another(books: Books) -> None:
    speaking(books, "first")
    id = books.accept(parts=2)
    (delivery,) = books.claim()
    books.settle(delivery, ACCEPTED, RETRY, ids=["x-1", ""])
    books.receipt("x-1")
    assert books.state(id) is State.QUEUED
    # Once it is accepted the word on all parts counts.
    (delivery,) = books.claim(now=NOW + MINUTE)
    books.settle(delivery, ACCEPTED, ACCEPTED, ids=["x-1", "x-2"], now=NOW + MINUTE)
    books.write(Beat(now=NOW + 11 * MINUTE))
    assert books.state(id) is DELIVERED


@pytest.mark.parametrize("part", [1, 3])
def test_it_is_learnt_that_one_part_only_is_reported(
    books: Books, part: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    speaking(books, "auto")
    ids = [sent(books, f"m{n}") for n in range(5)]
    for n in range(4):
        books.receipt(f"m{n}-{part}")
    books.write(Beat(now=NOW + 11 * MINUTE))
    assert {books.state(id) for id in ids} == {SUBMITTED}  # four are no habit
    books.receipt(f"m4-{part}", now=NOW + 11 * MINUTE)
    books.write(Beat(now=NOW + 20 * MINUTE))
    assert {books.state(id) for id in ids} == {SUBMITTED}
    books.write(Beat(now=NOW + 22 * MINUTE))
    assert {books.state(id) for id in ids} == {DELIVERED}
    (told,) = [r for r in caplog.records if r.message == "one receipt for a long text"]
    assert facts(told)["setting"] == ("receipts=first" if part == 1 else "receipts=last")
    # And the next waits for its ten minutes only.
    later = sent(books, "later", NOW + 23 * MINUTE)
    books.receipt(f"later-{part}", now=NOW + 23 * MINUTE)
    books.write(Beat(now=NOW + 32 * MINUTE))
    assert books.state(later) is SUBMITTED
    books.write(Beat(now=NOW + 34 * MINUTE))
    assert books.state(later) is DELIVERED
    assert books.steps(later)[-1] == "receipt"


def test_what_one_carrier_reports_at_different_places_is_no_habit(books: Books) -> None:
    speaking(books, "auto")
    ids = [sent(books, f"m{n}") for n in range(8)]
    for n in range(8):
        books.receipt(f"m{n}-{1 if n % 2 else 3}")
    for minutes in (11, 13, 30):
        books.write(Beat(now=NOW + minutes * MINUTE))
    assert {books.state(id) for id in ids} == {SUBMITTED}
    books.write(Beat(now=NOW + HOUR + SECOND))
    assert {books.state(id) for id in ids} == {State.UNKNOWN}


def test_a_second_part_reported_ends_the_habit(books: Books) -> None:
    speaking(books, "auto")
    whole = sent(books, "whole")
    ids = [sent(books, f"m{n}") for n in range(6)]
    for n in range(6):
        books.receipt(f"m{n}-1")
    books.receipt("whole-1")
    books.receipt("whole-2")
    books.write(Beat(now=NOW + 11 * MINUTE))
    assert {books.state(id) for id in ids} == {SUBMITTED}
    books.receipt("whole-3")
    assert books.state(whole) is DELIVERED


def test_a_second_part_that_another_worker_took_ends_the_habit(books: Books) -> None:
    speaking(books, "auto")
    ids = [sent(books, f"m{n}") for n in range(6)]
    for n in range(6):
        books.receipt(f"m{n}-1")
    books.another().receipt("m3-2")
    books.write(Beat(now=NOW + 11 * MINUTE))
    assert {books.state(id) for id in ids} == {SUBMITTED}


def test_a_second_part_after_the_end_ends_the_habit(books: Books) -> None:
    speaking(books, "auto")
    ids = [sent(books, f"m{n}") for n in range(6)]
    for n in range(6):
        books.receipt(f"m{n}-1")
    books.write(Beat(now=NOW + 11 * MINUTE))
    assert {books.state(id) for id in ids} == {DELIVERED}
    books.receipt("m0-2", now=NOW + 12 * MINUTE)
    later = sent(books, "later", NOW + 12 * MINUTE)
    books.receipt("later-1", now=NOW + 12 * MINUTE)
    books.write(Beat(now=NOW + 30 * MINUTE))
    assert books.state(later) is SUBMITTED


@pytest.mark.parametrize("has_reported_several", [False, True])
def test_a_worker_that_starts_again_knows_what_waits(
    books: Books, has_reported_several: bool
) -> None:
    speaking(books, "auto")
    if has_reported_several:
        sent(books, "whole", parts=2)
        books.write(came("whole-1"), came("whole-2"))
    ids = [sent(books, f"m{n}") for n in range(5)]
    for n in range(5):
        books.receipt(f"m{n}-1")
    speaking(books, "auto")
    books.write(Beat(now=NOW + MINUTE))
    books.write(Beat(now=NOW + 12 * MINUTE))
    expected = SUBMITTED if has_reported_several else DELIVERED
    assert {books.state(id) for id in ids} == {expected}


def test_a_text_of_short_validity_is_judged_before_its_end(books: Books) -> None:
    speaking(books, "auto")
    ids = [sent(books, f"m{n}") for n in range(5)]
    near = NOW + HOUR - 2 * MINUTE
    for n in range(5):
        books.receipt(f"m{n}-1", now=near)
    books.write(Beat(now=near + MINUTE))
    assert {books.state(id) for id in ids} == {SUBMITTED}
    books.write(Beat(now=near + 95 * SECOND))
    assert {books.state(id) for id in ids} == {DELIVERED}


def test_a_look_that_is_rolled_back_is_taken_again(books: Books) -> None:
    speaking(books, "auto")
    ids = [sent(books, f"m{n}") for n in range(5)]
    for n in range(5):
        books.receipt(f"m{n}-1")
    with books.store.engine.connect() as connection:
        books.ledger.apply(connection, [Beat(now=NOW + 11 * MINUTE)])
        connection.rollback()
    assert {books.state(id) for id in ids} == {SUBMITTED}
    books.write(Beat(now=NOW + 13 * MINUTE))
    assert {books.state(id) for id in ids} == {DELIVERED}
