"""Received messages: whose they are, and how their parts are joined."""

import itertools

import pytest
from sqlalchemy import select
from support import accounts
from support.books import HOUR, NOW, Books

from sms_gateway.deliver.ledger import Beat, MessageCame
from sms_gateway.store import deletion, inbox, tables
from sms_gateway.upstream import Incoming

pytestmark = pytest.mark.encrypted_too


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


def test_a_reference_used_again_does_not_mix_two_texts(numbered: Books) -> None:
    numbered.write(mo("A1", 1, 2))
    numbered.write(mo("B1 ", 1, 2, now=NOW + 60_000), mo("B2", 2, 2, now=NOW + 60_000))
    assert [m.text for m in inbox_of(numbered)] == ["A1 [...] ", "B1 B2"]


def test_a_reference_used_again_with_another_total_is_another_text(numbered: Books) -> None:
    numbered.write(mo("A1", 1, 3), mo("B1 ", 1, 2), mo("B2", 2, 2))
    assert [m.text for m in inbox_of(numbered)] == ["B1 B2"]


def test_an_old_part_is_not_joined_after_a_time_without_a_worker(numbered: Books) -> None:
    numbered.write(mo("A1", 1, 2))
    later = NOW + HOUR
    numbered.write(mo("B2", 2, 2, now=later), mo("B1 ", 1, 2, now=later))
    assert [m.text for m in inbox_of(numbered)] == ["A1 [...] ", "B1 B2"]


def test_a_part_offered_again_after_joining_is_no_message(numbered: Books) -> None:
    numbered.write(mo("one ", 1, 2), mo("two", 2, 2), mo("two", 2, 2))
    numbered.write(mo("one ", 1, 2, now=NOW + HOUR), mo("two", 2, 2, now=NOW + HOUR))
    numbered.write(Beat(now=NOW + 2 * HOUR))
    assert [m.text for m in inbox_of(numbered)] == ["one two"]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_the_next_text_may_share_a_part_with_the_last(
    numbered: Books, order: tuple[int, int]
) -> None:
    numbered.write(mo("one ", 1, 2), mo("Regards", 2, 2))
    texts = {1: "new ", 2: "Regards"}
    numbered.write(*(mo(texts[n], n, 2, now=NOW + 60_000) for n in order))
    assert [m.text for m in inbox_of(numbered)] == ["one Regards", "new Regards"]


def test_joined_parts_are_forgotten_after_hours(numbered: Books) -> None:
    numbered.write(mo("one ", 1, 2), mo("two", 2, 2))
    numbered.write(Beat(now=NOW + 7 * HOUR))
    with numbered.store.read() as connection:
        assert connection.execute(select(tables.incoming_part)).all() == []


def came(to: str) -> MessageCame:
    incoming = Incoming(sender="+32494000009", recipient=to, text="hi")
    return MessageCame(upstream="a", incoming=incoming, now=NOW)


@pytest.mark.parametrize(
    ("written", "belongs"),
    [
        ("3228850000", True),
        ("+3228850000", True),
        ("003228850000", True),
        ("028850000", True),
        ("28850000", True),
        # too short to be sure, another country's, another number
        ("850000", False),
        ("+3128850000", False),
        ("0028850000", False),
        ("028850001", False),
        ("Shop", False),
        ("", False),
    ],
)
def test_a_number_is_known_in_the_forms_of_carriers(
    numbered: Books, written: str, belongs: bool
) -> None:
    numbered.write(came(written))
    assert [m.recipient.removeprefix("+").removeprefix("00") for m in inbox_of(numbered)] == (
        ["3228850000"] if belongs else []
    )


def test_a_national_number_that_two_have_is_nobodys(numbered: Books) -> None:
    with numbered.store.write() as connection:
        inbox.assign(connection, "3128850000", numbered.account.id, NOW)
    numbered.write(came("028850000"))
    assert inbox_of(numbered) == []


def test_a_number_that_nobody_has_is_warned_of_once_and_not_shown(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    books.write(came("+3228850000"), came("+3228850000"))
    books.write(came("+3228850000"))
    (record,) = [r for r in caplog.records if "nobody has" in r.message]
    assert record.levelname == "WARNING"
    assert "28850000" not in str(record.__dict__)


def test_a_message_from_a_number_of_ours_is_noticed_once(
    numbered: Books, caplog: pytest.LogCaptureFixture
) -> None:
    with numbered.store.write() as connection:
        inbox.assign(connection, "32494000009", numbered.account.id, NOW)
    numbered.write(mo("ping"), mo("pong"))
    numbered.write(mo("ping"))
    assert len(inbox_of(numbered)) == 3
    (record,) = [r for r in caplog.records if "may go round" in r.message]
    assert "94000009" not in str(record.__dict__)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("SHOP 2 tickets", "shop"),
        ("shop", "shop"),
        ("  Shöp! now", "shop"),
        ("shopping", ""),
        ("my shop", ""),
        ("...", ""),
        ("x" * 500, ""),
    ],
)
def test_a_shared_number_gives_a_message_by_its_first_word(
    numbered: Books, text: str, word: str
) -> None:
    _, shop = accounts.create(numbered.store, "shop")
    with numbered.store.write() as connection:
        inbox.assign_keyword(connection, "3228850000", "shop", shop.id, NOW)
    numbered.write(mo(text))
    with numbered.store.read() as connection:
        theirs = inbox.page(connection, shop.id, after=0, most=9)
    assert (len(theirs), len(inbox_of(numbered))) == ((1, 0) if word else (0, 1))


def test_stop_on_a_shared_number_is_heeded_for_all_who_share_it(numbered: Books) -> None:
    _, shop = accounts.create(numbered.store, "shop")
    with numbered.store.write() as connection:
        inbox.assign_keyword(connection, "3228850000", "shop", shop.id, NOW)
    numbered.write(mo("STOP"))
    with numbered.store.read() as connection:
        stopped = connection.execute(select(tables.stop.c.account_id)).scalars()
        assert set(stopped) == {numbered.account.id, shop.id}


def test_keywords_end_with_their_account_and_with_that_of_their_number(numbered: Books) -> None:
    _, shop = accounts.create(numbered.store, "shop")
    _, other = accounts.create(numbered.store, "other")
    with numbered.store.write() as connection:
        inbox.assign_keyword(connection, "3228850000", "shop", shop.id, NOW)
        inbox.assign_keyword(connection, "3228850000", "other", other.id, NOW)
        deletion.close(connection, "shop", NOW)
        assert [row.word for row in inbox.keywords(connection)] == ["other"]
        deletion.close(connection, numbered.account.name, NOW)
        assert inbox.keywords(connection) == []
