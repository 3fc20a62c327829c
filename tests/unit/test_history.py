"""An account's history, on both databases."""

import random

import pytest
from sqlalchemy import insert
from support.accounts import create

from sms_gateway.sms.message import State
from sms_gateway.store import Store, erase, history
from sms_gateway.store.tables import delivery, message
from sms_gateway.web.pages.chart import DAY, chart, first_day

NOW = 20_000 * DAY + 1_000
DIGITS = random.Random(7)


def add(store: Store, account_id: int, count: int, *, at: int = NOW, state: str = "delivered"):
    ids = [f"{at + n:012x}7{DIGITS.getrandbits(76):019x}" for n in range(count)]
    with store.write() as connection:
        connection.execute(
            insert(message),
            [
                {
                    "id": id,
                    "account_id": account_id,
                    "sender": "",
                    "text": f"text {n} 100%",
                    "encoding": "gsm7",
                    "parts": 1,
                    "accepted_at": at + n,
                }
                for n, id in enumerate(ids)
            ],
        )
        connection.execute(
            insert(delivery),
            [
                {
                    "message_id": id,
                    "recipient": f"+32494{n:06}",
                    "route": "",
                    "parts": 1,
                    "state": state,
                    "due_at": at,
                    "expires_at": at,
                    "attempts": 1,
                    "possible_duplicate": False,
                }
                for n, id in enumerate(ids)
            ],
        )
    return ids


def pages(store: Store, account_id: int, **options) -> list[str]:
    found, before = [], ""
    while True:
        with store.read() as connection:
            page = history.sent_page(connection, account_id, before=before, **options)
        found += [m.id for m in page.messages]
        before = page.before
        if not before:
            return found


def test_pages_have_every_message_once_newest_first(store):
    _, mine = create(store)
    _, other = create(store, "other")
    ids = add(store, mine.id, 60)
    add(store, other.id, 5)
    assert pages(store, mine.id, most=25) == ids[::-1]
    assert pages(store, mine.id, most=60) == ids[::-1]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("TEXT 7 ", [7]),
        ("+32 494 00.00.09", [9]),
        ("0032494000009", [9]),
        ("100%", range(30)),
        ("%", range(30)),
        ("1000", []),
        ("_", []),
    ],
)
def test_a_search_finds_texts_and_numbers_as_they_are(store, search, found):
    _, account = create(store)
    ids = add(store, account.id, 30)
    assert pages(store, account.id, search=search, most=4) == [ids[n] for n in found][::-1]


def test_a_search_for_an_id_finds_it(store):
    _, account = create(store)
    ids = add(store, account.id, 3)
    assert pages(store, account.id, search=ids[1].upper()) == [ids[1]]


def test_a_search_goes_on_where_it_stopped_looking(store, monkeypatch):
    monkeypatch.setattr(history, "SEARCHED_AT_ONCE", 10)
    _, account = create(store)
    ids = add(store, account.id, 45)
    assert pages(store, account.id, search="text 3 ") == [ids[3]]


def test_erased_messages_are_not_listed_and_still_counted(store):
    _, account = create(store)
    add(store, account.id, 4)
    add(store, account.id, 2, at=NOW - 3 * DAY, state="failed")
    add(store, account.id, 9, at=NOW - 40 * DAY)
    with store.write() as connection:
        while erase.erase_messages(connection, now=NOW, account_id=account.id):
            pass
    assert pages(store, account.id) == []
    with store.read() as connection:
        counts = history.by_day(connection, account.id, first_day(NOW))
    assert counts == {(20_000, State.DELIVERED): 4, (19_997, State.FAILED): 2}
    drawn = chart(counts, NOW)
    assert (drawn.sent, drawn.delivered, drawn.failed) == (6, 4, 2)
    assert len(drawn.bars) == 30
    assert drawn.bars[-1].sent == 4
