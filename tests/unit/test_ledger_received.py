"""Received messages: whose they are, and how their parts are joined."""

import itertools

import pytest
from sqlalchemy import select
from support.books import HOUR, NOW, Books

from sms_gateway.ledger import (
    Beat,
    MessageCame,
)
from sms_gateway.store import inbox, tables
from sms_gateway.upstream import Incoming


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
