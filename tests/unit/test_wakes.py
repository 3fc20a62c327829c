"""Workers that wait are woken by what others commit."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from support.upstreams import eventually

from sms_gateway.store import Store, wakes
from sms_gateway.store.wakes import Topic, Wakes


@contextlib.asynccontextmanager
async def listening(store: Store) -> AsyncIterator[Wakes]:
    woken = Wakes(store, poll=30)
    run = asyncio.create_task(woken.run())
    try:
        await eventually(lambda: woken.is_heard or run.done())
        yield woken
    finally:
        run.cancel()
        await asyncio.wait([run])


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks for work by itself."""
    monkeypatch.setattr(wakes, "_FIRST", 60.0)
    monkeypatch.setattr(wakes, "_LONGEST", 60.0)


@pytest.fixture
def web(database: str) -> Iterator[Store]:
    """The store of another process."""
    store = Store(database)
    yield store
    store.close()


def ring(store: Store, topic: Topic = Topic.QUEUE) -> None:
    with store.write() as connection:
        wakes.ring(connection, topic)


async def test_who_waits_is_woken_by_a_commit_of_another_process(store: Store, web: Store) -> None:
    async with listening(store) as woken:
        for _ in range(3):
            waiter = woken.waiter(Topic.QUEUE)
            if not store.is_sqlite:
                await waiter.wait()  # it is told once when others can know that it waits
                waiter.looking()
            waiting = asyncio.create_task(waiter.wait())
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await asyncio.to_thread(ring, web)
            async with asyncio.timeout(20):
                await waiting


async def test_what_is_rolled_back_wakes_nobody(store: Store, web: Store) -> None:
    async with listening(store) as woken:
        queue, event = woken.waiter(Topic.QUEUE), woken.waiter(Topic.EVENT)
        for waiter in (queue, event):
            waiting = asyncio.create_task(waiter.wait())
            if not store.is_sqlite:
                await waiting  # it is told once when others can know that it waits
        queue.looking()
        event.looking()
        with contextlib.suppress(ZeroDivisionError), web.write() as connection:
            wakes.ring(connection, Topic.QUEUE)
            raise ZeroDivisionError
        ring(web, Topic.EVENT)
        async with asyncio.timeout(20):
            await event.wait()
        assert not queue._is_woken.is_set()


async def test_a_ring_before_the_wait_is_not_lost(store: Store, web: Store) -> None:
    async with listening(store) as woken:
        waiter = woken.waiter(Topic.QUEUE)
        waiter.looking()
        ring(web)
        async with asyncio.timeout(20):
            await waiter.wait()


async def test_postgresql_notifies_only_while_somebody_waits(
    database: str, store: Store, web: Store
) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has no notifications")
    driver = psycopg.connect(database, autocommit=True)
    driver.execute("LISTEN sendsmsnow")
    async with listening(store) as woken:
        ring(web)
        assert list(driver.notifies(timeout=0.2)) == []
        await woken.waiter(Topic.QUEUE).wait()
        ring(web)
        (notified,) = driver.notifies(timeout=20, stop_after=1)
        assert notified.payload == "queue"
    driver.close()


async def test_a_lost_connection_is_opened_again(
    store: Store, web: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has no connections that can be lost")
    monkeypatch.setattr(wakes, "_AGAIN", 0.01)
    async with listening(store) as woken:
        end = text(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
        with web.engine.begin() as connection:
            connection.execute(end)
        await eventually(lambda: not woken.is_heard)
        await eventually(lambda: woken.is_heard)
        waiting = asyncio.create_task(woken.waiter(Topic.QUEUE).wait())
        await asyncio.sleep(0.05)
        ring(web)
        async with asyncio.timeout(20):
            await waiting


async def test_of_two_workers_at_a_file_one_is_woken_and_the_other_looks(tmp_path: Path) -> None:
    stores = [Store(f"sqlite:///{tmp_path}/sms.sqlite3") for _ in range(2)]
    other = Wakes(stores[1], poll=0.02)
    async with listening(stores[0]) as first:
        run = asyncio.create_task(other.run())
        await asyncio.sleep(0)
        assert (first.longest, other.longest) == (60.0, 0.02)
        await other.waiter(Topic.QUEUE).wait()  # for as long as `poll`
        run.cancel()
    assert list(tmp_path.glob("*.wake")) == []
    for store in stores:
        store.close()


async def test_the_socket_of_a_worker_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/sms.sqlite3")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:
        killed.bind(f"{tmp_path}/sms.sqlite3.wake")
    async with listening(store) as woken:
        assert woken.is_heard
        assert (tmp_path / "sms.sqlite3.wake").stat().st_mode & 0o777 == 0o600
    store.close()
