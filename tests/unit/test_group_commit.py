"""Concurrent work shares a transaction, and each item gets its own answer."""

import asyncio
import contextlib
import math
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from sms_gateway.store import GroupCommit, OverdueError, QueueFullError, Store, group_commit

Numbers = GroupCommit[int, int]


class PatienceClock:
    """The clock by which items wait, put forward when a test says so."""

    def __init__(self) -> None:
        self._passed = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._passed

    def pass_(self, seconds: float) -> None:
        self._passed += seconds


@pytest.fixture
def patience_clock(monkeypatch: pytest.MonkeyPatch) -> PatienceClock:
    clock = PatienceClock()
    monkeypatch.setattr(group_commit, "time", clock)
    return clock


@asynccontextmanager
async def doubling(
    store: Store, limit: int = 100, patience: float = math.inf
) -> AsyncIterator[tuple[Numbers, list[int]]]:
    """A group commit that stores numbers and answers their doubles; and its batches' sizes."""
    with store.write() as connection:
        connection.execute(text("CREATE TABLE n (n integer PRIMARY KEY)"))
    sizes: list[int] = []

    def apply(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        sizes.append(len(items))
        for item in items:
            connection.execute(text("INSERT INTO n VALUES (:n)"), {"n": item})
        return [2 * item for item in items]

    commits = Numbers(store, apply, limit=limit, patience=patience)
    yield commits, sizes
    await commits.aclose()


def stored(store: Store) -> list[int]:
    with store.read() as connection:
        return list(connection.execute(text("SELECT n FROM n ORDER BY n")).scalars())


async def test_each_item_gets_its_own_result_once_it_is_stored(store: Store) -> None:
    async with doubling(store) as (commits, sizes):
        assert await asyncio.gather(*map(commits.submit, range(50))) == [2 * n for n in range(50)]
        assert stored(store) == list(range(50))
    assert len(sizes) < 50  # they shared transactions


async def test_one_bad_item_does_not_take_its_neighbours_with_it(store: Store) -> None:
    async with doubling(store) as (commits, _):
        await commits.submit(3)
        results = await asyncio.gather(*map(commits.submit, [1, 2, 3, 4]), return_exceptions=True)
    assert results[:2] == [2, 4]
    assert isinstance(results[2], Exception)
    assert results[3] == 8
    assert stored(store) == [1, 2, 3, 4]


async def test_who_cannot_be_told_keeps_nobody_else_from_being_told(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(result: int | Exception) -> None:
        raise ValueError(f"secret {result}")

    async with doubling(store) as (commits, _):
        commits.put(1, fail)
        assert await commits.submit(2) == 4
    assert stored(store) == [1, 2]
    assert "a result was not taken" in caplog.text
    assert "secret" not in caplog.text


async def test_a_full_queue_refuses_at_once(store: Store) -> None:
    async with doubling(store, limit=2) as (commits, _):
        with store.write():  # nothing can be committed meanwhile (on SQLite)
            waiting = [commits.submit(1), commits.submit(2)]
            with pytest.raises(QueueFullError):
                commits.submit(3)
        assert await asyncio.gather(*waiting) == [2, 4]
        assert await commits.submit(3) == 6


async def test_closing_writes_what_is_waiting(store: Store) -> None:
    async with doubling(store) as (commits, _):
        waiting = [commits.submit(n) for n in range(20)]
    assert await asyncio.gather(*waiting) == [2 * n for n in range(20)]
    assert stored(store) == list(range(20))


async def test_what_comes_during_a_transaction_shares_the_next(store: Store) -> None:
    begun, may_end = threading.Event(), threading.Event()
    batches: list[list[int]] = []

    def apply(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        begun.set()
        assert may_end.wait(60)
        return items

    commits = Numbers(store, apply, limit=100)
    with store.turn():  # on SQLite the first has to wait, so that a thread writes
        waiting = [commits.submit(0)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert await asyncio.to_thread(begun.wait, 60)
    waiting += map(commits.submit, range(1, 20))
    await asyncio.sleep(0)
    waiting += map(commits.submit, range(20, 40))
    may_end.set()
    assert await asyncio.gather(*waiting) == list(range(40))
    await commits.aclose()
    assert batches == [[0], list(range(1, 40))]


async def test_who_comes_while_others_come_shares_their_transaction(store: Store) -> None:
    loop, all_here = asyncio.get_running_loop(), asyncio.Event()
    waiting: list[asyncio.Future[int]] = []

    def come(n: int) -> None:
        """One in each round of the loop, as from connections that are read one after the other."""
        if n < 5:
            loop.call_soon(come, n + 1)
            waiting.append(commits.submit(n))
        else:
            all_here.set()

    async with doubling(store) as (commits, sizes):
        come(0)
        await all_here.wait()
        await asyncio.gather(*waiting)
    assert sizes == [5]


@contextmanager
def somebody_writes(store: Store, database: str, is_ours: bool) -> Iterator[None]:
    if is_ours:
        with store.write():
            yield
    else:
        path = database.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield


@pytest.mark.parametrize("is_ours", [True, False], ids=["of ours", "of somebody else"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_the_loop_does_not_stand_still_while_somebody_writes(
    store: Store, database: str, is_ours: bool
) -> None:
    async with doubling(store) as (commits, _):
        assert await commits.submit(1) == 2
        with somebody_writes(store, database, is_ours):
            written = commits.submit(2)
            await asyncio.sleep(0.2)
            assert not written.done()
        assert await written == 4
        assert await commits.submit(3) == 6
    assert stored(store) == [1, 2, 3]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_slow_disk_gets_a_thread_until_it_is_quick_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[bool] = []

    def apply(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        threads.append(threading.current_thread() is not threading.main_thread())
        return items

    commits = Numbers(store, apply, limit=100)
    assert await commits.submit(0) == 0
    monkeypatch.setattr(GroupCommit, "QUICK", 0.0)
    assert await commits.submit(1) == 1
    assert await commits.submit(2) == 2
    monkeypatch.setattr(GroupCommit, "QUICK", 60.0)
    assert await commits.submit(3) == 3
    await commits.aclose()
    assert threads == [False, True, True, False]


async def test_what_is_submitted_at_once_shares_a_transaction(store: Store) -> None:
    async with doubling(store) as (commits, sizes):
        await asyncio.gather(*map(commits.submit, range(10)))
    assert sizes == [10]


async def test_a_transaction_has_an_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupCommit, "BATCH", 4)
    async with doubling(store) as (commits, sizes):
        waiting = [commits.submit(n) for n in range(10)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*waiting) == [2 * n for n in range(10)]
    assert sizes == [4, 4, 2]


async def test_who_has_left_does_not_keep_the_others_from_their_answers(store: Store) -> None:
    async with doubling(store) as (commits, _):
        waiting = [commits.submit(n) for n in range(3)]
        waiting[1].cancel()
        assert await waiting[0] == 0
        assert await waiting[2] == 4
    assert stored(store) == [0, 1, 2]


async def test_an_item_that_fails_at_the_commit_is_not_answered_as_stored(store: Store) -> None:
    with store.write() as connection:
        connection.execute(text("CREATE TABLE parent (id integer PRIMARY KEY)"))
        connection.execute(text("INSERT INTO parent VALUES (1), (2)"))
        connection.execute(
            text("CREATE TABLE n (n integer REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
        )

    def apply(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        connection.execute(text("INSERT INTO n VALUES (:n)"), [{"n": item} for item in items])
        return items

    commits = Numbers(store, apply, limit=100)
    results = await asyncio.gather(*map(commits.submit, [1, 7, 2]), return_exceptions=True)
    await commits.aclose()
    assert (results[0], results[2]) == (1, 2)
    assert isinstance(results[1], Exception)
    assert stored(store) == [1, 2]


async def test_a_database_that_fails_is_asked_once_and_all_are_told(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    sizes: list[int] = []

    def apply(connection: Connection, items: Sequence[str]) -> Sequence[str]:
        sizes.append(len(items))
        if store.is_sqlite:
            # As a disk does that is full.
            pages = 1 if "secret" in items else 2**30
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        if "secret" in items:
            if store.is_sqlite:
                connection.exec_driver_sql("CREATE TABLE more AS SELECT zeroblob(1000000) AS n")
            else:
                connection.exec_driver_sql("SET LOCAL statement_timeout = 1")
                connection.exec_driver_sql("SELECT 'secret', pg_sleep(30)")
        return items

    commits = GroupCommit[str, str](store, apply, limit=100)
    results = await asyncio.gather(
        *map(commits.submit, ["a", "secret", "b"]), return_exceptions=True
    )
    assert all(isinstance(result, store.unavailable) for result in results)
    # On SQLite by the loop's own thread first.
    assert sizes == [3] * (2 if store.is_sqlite else 1)
    assert "commit failed" in caplog.text
    assert "secret" not in caplog.text
    assert await commits.submit("c") == "c"
    await commits.aclose()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_connection_that_fails_makes_no_difference(store: Store) -> None:
    async with doubling(store) as (commits, _):
        assert await commits.submit(1) == 2
        assert commits._own_writer is not None
        assert commits._own_writer._connection is not None
        driver = commits._own_writer._connection.connection.driver_connection
        assert driver is not None
        driver.close()
        assert await commits.submit(2) == 4
        assert await commits.submit(3) == 6
    assert stored(store) == [1, 2, 3]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_a_connection_that_was_lost_is_replaced(store: Store, database: str) -> None:
    async with doubling(store) as (commits, _):
        assert await commits.submit(1) == 2
        other = Store(database)
        with other.write() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity "
                    "WHERE datname = :name AND pid <> pg_backend_pid()"
                ),
                {"name": make_url(database).database},
            )
        other.close()
        with pytest.raises(Exception, match="terminat"):
            await commits.submit(2)
        assert await commits.submit(3) == 6
    assert stored(store) == [1, 3]


@pytest.mark.parametrize("is_ours", [True, False], ids=["of ours", "of somebody else"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_what_nobody_waits_for_any_more_is_not_written(
    store: Store, database: str, is_ours: bool, patience_clock: PatienceClock
) -> None:
    async with doubling(store, patience=60) as (commits, _):
        assert await commits.submit(1) == 2
        with somebody_writes(store, database, is_ours):
            late = [commits.submit(2), commits.submit(3)]
            await asyncio.sleep(0.2)
            patience_clock.pass_(59)
            in_time = commits.submit(4)
            await asyncio.sleep(0.2)
            patience_clock.pass_(2)
        results = await asyncio.gather(*late, return_exceptions=True)
        assert [type(result) for result in results] == [OverdueError, OverdueError]
        assert await in_time == 8
    assert stored(store) == [1, 4]


async def test_what_takes_too_long_is_undone_where_nobody_waits_any_more(
    store: Store, patience_clock: PatienceClock
) -> None:
    """The transaction of `first` stands still, as one that waits for a lock."""
    begun, go_on = threading.Event(), threading.Event()

    def apply(connection: Connection, items: Sequence[str]) -> Sequence[str]:
        connection.execute(text("INSERT INTO n VALUES (:n)"), [{"n": len(i)} for i in items])
        if "first" in items:
            begun.set()
            go_on.wait(60)
        return items

    with store.write() as connection:
        connection.execute(text("CREATE TABLE n (n integer PRIMARY KEY)"))
    commits = GroupCommit[str, str](store, apply, limit=100, patience=60)
    with store.turn():  # on SQLite the first has to wait, so that a thread writes
        late = commits.submit("first")
        await asyncio.sleep(0.05)
    assert await asyncio.to_thread(begun.wait, 60)
    patience_clock.pass_(61)
    go_on.set()
    with pytest.raises(OverdueError):
        await late
    assert await commits.submit("next") == "next"
    await commits.aclose()
    assert stored(store) == [4]
