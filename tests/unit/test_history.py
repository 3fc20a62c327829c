"""An account's history, on both databases."""

import random
import uuid

import pytest
from sqlalchemy import insert
from support.accounts import create

from sms_gateway.sms.message import Fate, State, tally
from sms_gateway.store import Store, erase, history, lookup
from sms_gateway.store.tables import delivery, message
from sms_gateway.web.pages.chart import DAY, DRAWN, chart, first_day

pytestmark = pytest.mark.encrypted_too

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


def pages(store: Store, account_id: int, *, search: str = "", **options) -> list[str]:
    found, before = [], ""
    while True:
        with store.read() as connection:
            if search:
                page = history.found_page(connection, account_id, search, before=before, **options)
            else:
                page = history.sent_page(connection, account_id, before=before, **options)
        # As the links of the page have it.
        if page.looked:
            options["texts"] = True
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
        # As dialled in Belgium, and parts of numbers.
        ("0494 00 00 09", [9]),
        ("0494/00.00.09", [9]),
        ("494000009", [9]),
        ("(0) 494 000 009", [9]),
        ("tel 0494", []),
        ("0494 00 00 0", range(10)),
        ("94000009", [9]),
        ("32494000009", [9]),
        ("+32 494 000 009, +32 494 000 011", [9, 11]),
    ],
)
def test_a_search_finds_texts_and_numbers_as_they_are(store, search, found):
    _, account = create(store)
    ids = add(store, account.id, 30)
    assert (
        pages(store, account.id, search=search, regions=["BE"], most=4)
        == [ids[n] for n in found][::-1]
    )


@pytest.mark.parametrize("written", ["+32494000002", "0032 494 000 002", "0494000002"])
def test_a_number_is_found_by_index_however_old_its_messages_are(store, monkeypatch, written):
    monkeypatch.setattr(history, "SEARCHED_AT_ONCE", 10)
    monkeypatch.setattr(history, "SEARCHED_FOR", 0.0)
    monkeypatch.setattr(lookup, "_FIRST", 1)
    _, mine = create(store)
    _, other = create(store, "other")
    ids = add(store, mine.id, 1_500)
    add(store, other.id, 700)
    late = add(store, mine.id, 3, at=NOW + DAY)
    with store.read() as connection:
        page = history.found_page(connection, mine.id, written, regions=["BE"])
    assert page.numbers == ("+32494000002",)
    assert [m.id for m in page.messages] == [late[2], ids[2]]
    assert (page.before, page.missed, page.looked) == ("", (), 0)
    assert pages(store, mine.id, search=written, regions=["BE"], most=1) == [late[2], ids[2]]


def test_a_number_without_a_message_is_told_as_that_and_its_digits_are_searched_in_texts(store):
    _, account = create(store)
    ids = add(store, account.id, 30)
    with store.write() as connection:
        text = "call 0494999999 please"
        connection.execute(message.update().where(message.c.id == ids[4]).values(text=text))
        page = history.found_page(connection, account.id, "0494999999", regions=["BE"])
    assert page.missed == ("+32494999999",)
    assert [m.id for m in page.messages] == [ids[4]]
    assert (page.looked, page.back_to) == (30, NOW)


def test_a_number_that_was_found_is_searched_in_texts_when_that_is_asked_for(store):
    _, account = create(store)
    ids = add(store, account.id, 30)
    with store.write() as connection:
        text = "call +32494000007"
        connection.execute(message.update().where(message.c.id == ids[4]).values(text=text))
    assert pages(store, account.id, search="+32494000007") == [ids[7]]
    assert pages(store, account.id, search="+32494000007", texts=True) == [ids[7], ids[4]]


def test_the_numbers_of_erased_messages_are_not_found(store):
    _, account = create(store)
    add(store, account.id, 30)
    with store.write() as connection:
        assert len(lookup.deliveries_to(connection, "+32494000007")) == 1
        while erase.erase_messages(connection, now=NOW, account_id=account.id):
            pass
        assert lookup.deliveries_to(connection, "+32494000007") == []


def test_a_search_of_texts_says_how_far_it_looked(store, monkeypatch):
    monkeypatch.setattr(history, "SEARCHED_AT_ONCE", 10)
    monkeypatch.setattr(history, "SEARCHED_FOR", 0.0)
    _, account = create(store)
    ids = add(store, account.id, 45)
    with store.read() as connection:
        page = history.found_page(connection, account.id, "text 3 ")
        assert (page.messages, page.looked, page.back_to) == ([], 10, NOW + 35)
        assert page.before == ids[35]
        page = history.found_page(connection, account.id, "text", most=4)
        assert (len(page.messages), page.looked, page.back_to) == (4, 4, NOW + 41)
        monkeypatch.setattr(history, "SEARCHED_AT_ONCE", 45)
        page = history.found_page(connection, account.id, "no such")
        assert (page.looked, page.before) == (45, "")
        monkeypatch.setattr(history, "SEARCHED_AT_ONCE", 10)
        monkeypatch.setattr(history, "SEARCHED_FOR", 60.0)
        page = history.found_page(connection, account.id, "text 3 ")
        assert [m.id for m in page.messages] == [ids[3]]
        assert (page.looked, page.before) == (45, "")


def test_a_search_for_an_id_finds_it(store):
    _, account = create(store)
    ids = add(store, account.id, 3)
    assert pages(store, account.id, search=ids[1].upper()) == [ids[1]]
    assert pages(store, account.id, search=str(uuid.UUID(ids[1]))) == [ids[1]]


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
    assert drawn.sent == 6
    assert drawn.fates == {
        Fate.DELIVERED: 4,
        Fate.FAILED: 2,
        Fate.NOT_KNOWN: 0,
        Fate.ON_ITS_WAY: 0,
    }
    assert len(drawn.bars) == 30
    assert drawn.bars[-1].sent == 4


FATE_OF = {
    "queued": "on its way",
    "submitting": "on its way",
    "submitted": "on its way",
    "delivered": "delivered",
    "undeliverable": "failed",
    "expired": "failed",
    "failed": "failed",
    "uncertain": "not known",
    "unknown": "not known",
}


@pytest.mark.parametrize("state", State)
def test_every_state_is_counted_and_drawn_as_its_fate(state):
    fate = Fate(FATE_OF[state])
    drawn = chart({(20_000, state): 3}, NOW)
    assert drawn.sent == drawn.fates[fate] == 3
    assert sum(drawn.fates.values()) == 3
    (part,) = drawn.bars[-1].parts
    assert part[0] == DRAWN[fate]


def test_the_parts_of_a_bar_stand_on_each_other_and_reach_its_sum():
    counts = {(20_000, state): number for number, state in enumerate(State, 1)}
    bar = chart(counts, NOW).bars[-1]
    assert [kind for kind, _, _ in bar.parts] == list(DRAWN.values())
    for (_, top, _), (_, above, height) in zip(bar.parts, bar.parts[1:], strict=False):
        assert above + height == pytest.approx(top, abs=0.02)


@pytest.mark.parametrize(
    ("states", "counted"),
    [
        ("delivered", "1 delivered"),
        ("delivered delivered", "2 delivered"),
        ("delivered failed", "1 failed, 1 delivered"),
        ("unknown delivered uncertain delivered", "1 uncertain, 1 unknown, 2 delivered"),
    ],
)
def test_deliveries_with_different_ends_are_counted_the_least_finished_first(states, counted):
    found = tally(State(state) for state in states.split())
    assert ", ".join(f"{number} {state}" for state, number in found) == counted
