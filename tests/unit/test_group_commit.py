"""Concurrent work shares a transaction, and each item gets its own answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Connection, text

from sms_gateway.store import GroupCommit, QueueFull, Store

Numbers = GroupCommit[int, int]


@asynccontextmanager
async def doubling(store: Store, limit: int = 100) -> AsyncIterator[tuple[Numbers, list[int]]]:
    """A group commit that stores numbers and answers their doubles; and its batches' sizes."""
    with store.write() as connection:
        connection.execute(text("CREATE TABLE n (n integer PRIMARY KEY)"))
    sizes: list[int] = []

    def apply(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        sizes.append(len(items))
        for item in items:
            connection.execute(text("INSERT INTO n VALUES (:n)"), {"n": item})
        return [2 * item for item in items]

    commits = Numbers(store, apply, limit=limit)
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


async def test_a_full_queue_refuses_at_once(store: Store) -> None:
    async with doubling(store, limit=2) as (commits, _):
        with store.write():  # nothing can be committed meanwhile (on SQLite)
            waiting = [commits.submit(1), commits.submit(2)]
            with pytest.raises(QueueFull):
                commits.submit(3)
        assert await asyncio.gather(*waiting) == [2, 4]
        assert await commits.submit(3) == 6


async def test_closing_writes_what_is_waiting(store: Store) -> None:
    async with doubling(store) as (commits, _):
        waiting = [commits.submit(n) for n in range(20)]
    assert await asyncio.gather(*waiting) == [2 * n for n in range(20)]
    assert stored(store) == list(range(20))
