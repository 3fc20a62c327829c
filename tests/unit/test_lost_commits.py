"""What is told of a message whose commit was lost is what became of it."""

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select, text
from support import accounts
from support.accepting import BELGIAN, ROUTES
from support.postgresql_proxy import NEVER_ANSWERED, NEVER_ARRIVES, proxy

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Reply, Submission
from sms_gateway.codes import Code
from sms_gateway.store import GroupCommit, Store, tables
from sms_gateway.store.outcome import OutcomeUnknownError

MESSAGES = int(os.environ.get("SENDSMSNOW_TEST_MESSAGES", "10000"))

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@asynccontextmanager
async def gateway_at(url: str) -> AsyncIterator[Gateway]:
    store = Store(url)
    gateway = Gateway(store, ROUTES, queue_limit=100_000)
    await gateway.start()
    yield gateway
    await gateway.aclose()
    store.close()


def stored(store: Store) -> dict[str, str]:
    """The texts of the messages that there are, by id."""
    with store.read() as connection:
        rows = connection.execute(select(tables.message.c.id, tables.message.c.text))
        return {row.id: row.text for row in rows}


async def send(gateway: Gateway, key: str, *messages: str) -> list[Reply]:
    return await asyncio.gather(*(gateway.sendsms(Submission(BELGIAN, m, key)) for m in messages))


async def test_a_commit_whose_answer_was_lost_is_looked_up(store: Store, database: str) -> None:
    key, _ = accounts.create(store, rate=None)
    with proxy(database) as between:
        async with gateway_at(between.url) as gateway:
            (before,) = await send(gateway, key, "before")
            replies = await send(gateway, key, "first", NEVER_ANSWERED, "third")
            (after,) = await send(gateway, key, "after")
        assert between.cuts == 1
    replies = [before, *replies, after]
    assert [reply.error for reply in replies] == [Code.SENT] * 5
    told = dict(zip([r.id for r in replies], stored(store).values(), strict=True))
    assert stored(store).keys() == told.keys()


async def test_a_commit_that_never_came_to_the_server_is_told_as_nothing_accepted(
    store: Store, database: str
) -> None:
    key, _ = accounts.create(store, rate=None)
    with proxy(database) as between:
        async with gateway_at(between.url) as gateway:
            (before,) = await send(gateway, key, "before")
            replies = await send(gateway, key, "first", NEVER_ARRIVES, "third")
            (after,) = await send(gateway, key, "after")
        assert between.cuts == 1
    assert [reply.error for reply in replies] == [Code.INTERNAL] * 3
    assert {reply.retry_after for reply in replies} == {5}
    assert stored(store) == {before.id: "before", after.id: "after"}


def test_a_server_that_has_crashed_since_is_not_believed_that_a_commit_was_this_one(
    store: Store,
) -> None:
    named = (
        "SELECT pg_current_xact_id() || ' ' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || "
        "' ' || extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())"
    )
    with store.write() as connection:
        committed = connection.execute(text(named)).scalar_one()
    with store.engine.connect() as connection:
        aborted = connection.execute(text(named)).scalar_one()
        connection.rollback()
    assert store.is_committed(committed) is True
    # As a recovery does, after which the server gives once more what numbers were not on the disk.
    with store.write() as connection:
        connection.execute(text("SELECT pg_stat_reset_shared('bgwriter')"))
    with pytest.raises(OutcomeUnknownError):
        store.is_committed(committed)
    assert store.is_committed(aborted) is False


@pytest.mark.parametrize("cut", [NEVER_ANSWERED, NEVER_ARRIVES])
async def test_where_nobody_can_tell_the_answer_is_code_6(
    store: Store, database: str, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GroupCommit, "ASKING", 0.5)
    key, _ = accounts.create(store, rate=None)
    with proxy(database) as between:
        async with gateway_at(between.url) as gateway:
            await send(gateway, key, "before")
            between.lets_in = False
            (reply,) = await send(gateway, key, cut)
            assert reply.error is Code.TIMED_OUT
            assert "not known" in reply.note
            between.lets_in = True
            (after,) = await send(gateway, key, "after")
            assert after.error is Code.SENT
    assert sorted(stored(store).values()) == sorted(
        ["before", "after"] + [cut] * (cut == NEVER_ANSWERED)
    )


@pytest.mark.parametrize("cut", [NEVER_ANSWERED, NEVER_ARRIVES])
async def test_a_repeat_after_code_6_is_sent_once(
    store: Store, database: str, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GroupCommit, "ASKING", 0.2)
    key, _ = accounts.create(store, rate=None)
    with proxy(database) as between:
        async with gateway_at(between.url) as gateway:
            await send(gateway, key, "before")
            between.lets_in = False
            lost = await gateway.sendsms(Submission(BELGIAN, cut, key, idempotency_key="k"))
            between.lets_in = True
        assert lost.error is Code.TIMED_OUT
    async with gateway_at(database) as gateway:
        again = await gateway.sendsms(Submission(BELGIAN, cut, key, idempotency_key="k"))
    assert again.error is Code.SENT
    assert list(stored(store).values()).count(cut) == 1


@pytest.mark.once
@pytest.mark.long
async def test_what_is_told_is_true_while_sessions_are_ended_under_load(
    store: Store, database: str
) -> None:
    key, _ = accounts.create(store, rate=None)
    ends = threading.Event()
    ended = Counter[str]()

    def end_sessions() -> None:
        other = Store(database)
        asked = text(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        while not ends.is_set():
            with other.read() as connection:
                ended["sessions"] += connection.execute(asked).scalar_one()
            time.sleep(0.01)
        other.close()

    replies: dict[str, Reply] = {}
    async with gateway_at(database) as gateway:
        assert (await send(gateway, key, "first"))[0].error is Code.SENT
        killer = threading.Thread(target=end_sessions)
        killer.start()

        async def client(first: int) -> None:
            for number in range(first, MESSAGES, 32):
                replies[f"text {number}"] = await gateway.sendsms(
                    Submission(BELGIAN, f"text {number}", key, idempotency_key="")
                )

        await asyncio.gather(*map(client, range(32)))
        ends.set()
        await asyncio.to_thread(killer.join)
    there = set(stored(store).values())
    told = Counter((int(reply.error), message in there) for message, reply in replies.items())
    print(f"{ended['sessions']} sessions ended; code and whether it is stored: {dict(told)}")
    assert ended["sessions"] > 2
    assert told[Code.SENT, True] > 0
    assert told[Code.SENT, False] == 0
    assert told[Code.INTERNAL, True] == 0
    # No message was written twice by those who look up and try again.
    assert len(stored(store)) == len(there)
