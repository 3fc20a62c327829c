"""Group commit: concurrent work of one process shares one durable transaction."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from ..log import error_facts
from .engine import Store

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


class QueueFull(Exception):
    """More work is waiting for a commit than the queue is allowed to hold."""


class GroupCommit(Generic[Item, Result]):
    """A writer thread that takes what is waiting, writes it in one transaction and answers all.

    A single item is written at once: nobody waits for company. `apply` gets the items in the
    order they were submitted and returns one result for each.
    """

    #: The most items that share a transaction, so that none waits long for its neighbours.
    BATCH = 500

    def __init__(
        self,
        store: Store,
        apply: Callable[[Connection, Sequence[Item]], Sequence[Result]],
        *,
        limit: int,
    ) -> None:
        self._store = store
        self._apply = apply
        self._limit = limit
        self._waiting = 0
        self._queue: SimpleQueue[tuple[Item, asyncio.Future[Result]] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """The future result of `item`, set once it is on disk.

        Raises QueueFull at once when the queue is full; the future raises what the database
        raised when the item could not be stored.
        """
        if self._waiting >= self._limit:
            raise QueueFull
        self._waiting += 1
        future: asyncio.Future[Result] = self._loop.create_future()
        self._queue.put((item, future))
        return future

    async def aclose(self) -> None:
        """Write what is waiting, then stop."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            stop = False
            try:
                while len(batch) < self.BATCH:
                    following = self._queue.get_nowait()
                    if following is None:
                        stop = True
                        break
                    batch.append(following)
            except Empty:
                pass
            results = self._commit([item for item, _ in batch])
            self._loop.call_soon_threadsafe(self._answer, batch, results)
            if stop:
                return

    def _commit(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        try:
            with self._store.write() as connection:
                return self._apply(connection, items)
        except Exception as error:
            if len(items) == 1 or isinstance(error, OperationalError):
                log.error("commit failed", extra={"items": len(items), **error_facts(error)})
                return [error] * len(items)
        # One bad item must not take its neighbours with it.
        return [result for item in items for result in self._commit([item])]

    def _answer(
        self,
        batch: Sequence[tuple[Item, asyncio.Future[Result]]],
        results: Sequence[Result | Exception],
    ) -> None:
        self._waiting -= len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
