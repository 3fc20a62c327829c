"""History that is too old disappears, in small steps, and nothing else does."""

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import func, select
from support import accounts as support

from sms_gateway.deliver.retention import erase_before, keep_house
from sms_gateway.sms.ids import first_id, new_id
from sms_gateway.store import Store, erase, inbox, tables
from sms_gateway.store.bulk import insert_many
from sms_gateway.store.sealed import Seal

pytestmark = pytest.mark.encrypted_too

DAY = 86_400_000
NOW = time.time_ns() // 1_000_000


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erase, "AT_ONCE", 7)


def sent(store: Store, account: int, *days: float, state: str = "delivered") -> list[str]:
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


async def test_what_is_older_is_erased_and_the_rows_stay(store: Store) -> None:
    _, account = support.create(store)
    sent(store, account.id, *range(31, 61))
    waiting = sent(store, account.id, 40, 31.5, state="queued")
    young = sent(store, account.id, 29.9, 10, 0)
    received(store, account.id, *range(60, 30, -1))
    received(store, None, 31, 29, 0)
    assert await erase_before(store, NOW - 30 * DAY) == (30, 31)
    assert kept(store) == {*waiting, *young}
    assert inbox_texts(store) == ["29 days old", "0 days old"]
    with store.read() as connection:
        counted = connection.execute(select(func.count()).select_from(tables.message)).scalar()
    assert counted == 35
    assert await erase_before(store, NOW - 30 * DAY) == (0, 0)


async def test_what_waited_is_erased_when_it_no_longer_waits(store: Store) -> None:
    _, account = support.create(store)
    waiting = sent(store, account.id, 40, state="queued")
    assert await erase_before(store, NOW - 30 * DAY) == (0, 0)
    with store.write() as connection:
        connection.execute(tables.delivery.update().values(state="expired"))
    assert kept(store) == set(waiting)
    assert await erase_before(store, NOW - 30 * DAY) == (1, 0)
    assert kept(store) == set()


async def test_the_place_of_a_deleted_message_is_not_given_to_another(store: Store) -> None:
    _, account = support.create(store)
    received(store, account.id, 40, 39)
    with store.read() as connection:
        last = inbox.page(connection, account.id, after=0, most=10)[-1].id
    await erase_before(store, NOW - 30 * DAY)
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
    erasing = asyncio.create_task(erase_before(store, NOW - 30 * DAY))
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
    keeping = asyncio.create_task(keep_house(store, 30 * DAY))
    async with asyncio.timeout(20):
        while kept(store) or "history erased" not in caplog.text:
            await asyncio.sleep(0.01)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


async def test_a_store_that_is_away_does_not_end_the_housekeeping(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE message RENAME TO elsewhere")
    keeping = asyncio.create_task(keep_house(store, DAY))
    async with asyncio.timeout(20):
        while "history not erased" not in caplog.text:
            await asyncio.sleep(0.01)
    assert not keeping.done()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
