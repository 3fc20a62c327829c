"""History that is too old is deleted in small steps, its counts stay, and nothing else goes."""

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import func, select
from support import accounts as support

from sms_gateway.deliver.retention import delete_before, delete_erased, keep_house
from sms_gateway.sms.ids import first_id, new_id
from sms_gateway.sms.message import State
from sms_gateway.store import (
    Store,
    attempts,
    counts,
    erase,
    events,
    history,
    inbox,
    queue,
    removal,
    tables,
)
from sms_gateway.store.bulk import insert_many
from sms_gateway.store.sealed import Seal

pytestmark = pytest.mark.encrypted_too

DAY = 86_400_000
NOW = time.time_ns() // 1_000_000


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erase, "AT_ONCE", 7)
    monkeypatch.setattr(removal, "AT_ONCE", 7)


def sent(
    store: Store,
    account: int,
    *days: float,
    state: str = "delivered",
    country: str | None = "BE",
) -> list[str]:
    """Messages that were accepted so many days ago."""
    times = [NOW - int(each * DAY) for each in days]
    # As `new_id` makes them, which never goes back.
    ids = [first_id(at)[:20] + new_id(at)[20:] for at in times]
    with store.write() as connection:
        insert_many(
            connection,
            tables.message,
            [
                {
                    "id": id,
                    "account_id": account,
                    "sender": "ACME",
                    "text": "secret",
                    "encoding": "gsm7",
                    "parts": 1,
                    "accepted_at": at,
                }
                for id, at in zip(ids, times, strict=True)
            ],
        )
        insert_many(
            connection,
            tables.delivery,
            [
                {
                    "message_id": id,
                    "recipient": "+32494000000",
                    "route": "",
                    "parts": 1,
                    "state": state,
                    "due_at": at,
                    "expires_at": at + DAY,
                    "attempts": 1,
                    "possible_duplicate": False,
                    "country": country,
                }
                for id, at in zip(ids, times, strict=True)
            ],
        )
    return ids


def received(store: Store, account: int | None, *days: float) -> None:
    with store.write() as connection:
        inbox.add_received(
            connection,
            [
                {
                    "account_id": account,
                    "upstream": "a",
                    "sender": "+32494000000",
                    "recipient": "8850",
                    "text": f"{each} days old",
                    "received_at": NOW - int(each * DAY),
                }
                for each in days
            ],
        )


def kept(store: Store) -> set[str]:
    """The messages that have their text, and each has its number if and only if it has that."""
    with store.read() as connection:
        rows: list[Any] = list(
            connection.execute(
                select(
                    tables.message.c.id, tables.message.c.text, tables.delivery.c.recipient
                ).join_from(tables.message, tables.delivery)
            )
        )
    assert all(bool(row.text) == bool(row.recipient) for row in rows)
    return {row.id for row in rows if row.text}


def inbox_texts(store: Store) -> list[str]:
    with store.read() as connection:
        rows = connection.execute(select(tables.received).order_by(tables.received.c.id)).all()
        return [
            inbox.text_of(connection, row.text, *(getattr(row, name) for name in tables.RECEIVED))
            for row in rows
        ]


async def test_what_is_older_is_deleted_with_all_that_belongs_to_it(store: Store) -> None:
    _, account = support.create(store)
    old = sent(store, account.id, *range(31, 61))
    waiting = sent(store, account.id, 40, 31.5, state="queued")
    young = sent(store, account.id, 29.9, 10, 0)
    with store.write() as connection:
        ids = connection.execute(select(tables.delivery.c.id)).scalars().all()
        attempts.add_parts(connection, [(id, 1, "a", f"k{id}") for id in ids])
        queue.record_steps(connection, [(id, NOW, 0, "submitted", "") for id in ids])
        events.add_changes(connection, dict.fromkeys(ids, (State.DELIVERED, account.id)), NOW)
    received(store, account.id, *range(60, 30, -1))
    received(store, None, 31, 29, 0)
    assert await delete_before(store, NOW - 30 * DAY) == (len(old), 31)
    assert kept(store) == {*waiting, *young}
    assert inbox_texts(store) == ["29 days old", "0 days old"]
    for table in (tables.message, tables.delivery, tables.part, tables.step, tables.event):
        with store.read() as connection:
            counted = connection.execute(select(func.count()).select_from(table)).scalar()
        assert counted == 5, table.name
    assert await delete_before(store, NOW - 30 * DAY) == (0, 0)


async def test_counts_by_day_key_country_and_outcome_are_the_same_afterwards(store: Store) -> None:
    _, account = support.create(store)
    support.create(store, "other")
    sent(store, account.id, 31.3, 31.4, 35, 29, 40)
    sent(store, account.id, 31.5, state="failed")
    sent(store, account.id + 1, 50, 50.1, country="FR")
    since = NOW - 60 * DAY
    with store.read() as connection:
        drawn = history.by_day(connection, account.id, since)
        before = list(counts.totals(connection, since=0, until=NOW // DAY + 1))
    assert {each.country for each in before} == {"BE", "FR"}
    await delete_before(store, NOW - 30 * DAY)
    await delete_before(store, NOW - 28 * DAY)
    assert kept(store) == set()
    with store.read() as connection:
        assert history.by_day(connection, account.id, since) == drawn
        assert list(counts.totals(connection, since=0, until=NOW // DAY + 1)) == before
        mine = counts.totals(connection, since=0, until=NOW // DAY + 1, name="acme")
        assert {each.account for each in mine} == {"acme"}
        assert sum(each.deliveries for each in before) == 8


async def test_the_country_of_what_an_older_version_accepted_is_that_of_its_number(
    store: Store,
) -> None:
    _, account = support.create(store)
    sent(store, account.id, 31, country=None)
    await delete_before(store, NOW - 30 * DAY)
    with store.read() as connection:
        (counted,) = counts.totals(connection, since=0, until=NOW // DAY + 1)
    assert (counted.country, counted.deliveries) == ("BE", 1)


async def test_what_waited_is_deleted_when_it_no_longer_waits(store: Store) -> None:
    _, account = support.create(store)
    waiting = sent(store, account.id, 40, state="queued")
    assert await delete_before(store, NOW - 30 * DAY) == (0, 0)
    with store.write() as connection:
        connection.execute(tables.delivery.update().values(state="expired"))
    assert kept(store) == set(waiting)
    assert await delete_before(store, NOW - 30 * DAY) == (1, 0)
    assert kept(store) == set()


@pytest.mark.parametrize("state", ["uncertain", "unknown"])
async def test_what_nobody_knows_stays_while_a_receipt_may_tell(store: Store, state: str) -> None:
    _, account = support.create(store)
    (id,) = sent(store, account.id, 3, state=state)
    valid = tables.delivery.update().values
    with store.write() as connection:
        connection.execute(valid(expires_at=NOW - removal.QUIET_AFTER + 3_600_000))
    assert await delete_before(store, NOW - DAY) == (0, 0)
    assert kept(store) == {id}
    with store.write() as connection:
        connection.execute(valid(expires_at=NOW - removal.QUIET_AFTER - 3_600_000))
    assert await delete_before(store, NOW - DAY) == (1, 0)


async def test_erased_messages_are_deleted_a_week_later_whatever_their_age(store: Store) -> None:
    _, account = support.create(store)
    ids = sent(store, account.id, *range(20))
    with store.write() as connection:
        erase.erase_listed(connection, ids[:9], NOW - 8 * DAY)
        erase.erase_listed(connection, ids[9:12], NOW - 6 * DAY)
    assert await delete_erased(store, NOW - removal.ERASED_KEPT) == 9
    with store.read() as connection:
        left = set(connection.execute(select(tables.message.c.id)).scalars())
        assert left == {*ids[9:]}
        assert sum(history.by_day(connection, account.id, NOW - 30 * DAY).values()) == 20


async def test_the_place_of_a_deleted_message_is_not_given_to_another(store: Store) -> None:
    _, account = support.create(store)
    received(store, account.id, 40, 39)
    with store.read() as connection:
        last = inbox.page(connection, account.id, after=0, most=10)[-1].id
    await delete_before(store, NOW - 30 * DAY)
    received(store, account.id, 0)
    with store.read() as connection:
        later = inbox.page(connection, account.id, after=last, most=10)
    assert [message.text for message in later] == ["0 days old"]


async def test_others_write_while_history_is_erased(
    store: Store, database: str, seal: Seal | None
) -> None:
    _, account = support.create(store)
    sent(store, account.id, *(31 + number / 100 for number in range(70)))
    other = Store(database, seal)
    erasing = asyncio.create_task(delete_before(store, NOW - 30 * DAY))
    between = 0
    while not erasing.done():
        await asyncio.to_thread(sent, other, account.id, 0)
        between += not erasing.done()
    other.close()
    assert (await erasing)[0] == 70
    assert between > 3
    assert len(kept(store)) >= between


async def test_a_house_is_kept_until_it_is_cancelled(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    _, account = support.create(store)
    sent(store, account.id, 31)
    keeping = asyncio.create_task(keep_house(store, 30))
    async with asyncio.timeout(20):
        while kept(store) or "history deleted" not in caplog.text:
            await asyncio.sleep(0.01)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


async def test_a_store_that_is_away_does_not_end_the_housekeeping(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE message RENAME TO elsewhere")
    keeping = asyncio.create_task(keep_house(store, 1))
    async with asyncio.timeout(20):
        while "history not deleted" not in caplog.text:
            await asyncio.sleep(0.01)
    assert not keeping.done()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
