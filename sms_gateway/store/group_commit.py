"""Group commit: concurrent work of one process shares one durable transaction."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

from sqlalchemy import Connection

from ..log import error_facts
from .engine import Store, Writer

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

_Batch = list[tuple[Item, asyncio.Future[Result]]]


class QueueFull(Exception):
    """More work is waiting for a commit than the queue is allowed to hold."""


class GroupCommit(Generic[Item, Result]):
    """Writes what is waiting in one transaction after the other, and answers each item.

    A single item is written at once: nobody waits for company. What comes while a transaction is
    under way shares the next. `apply` gets the items in the order they were submitted and returns
    one result for each; it runs in a thread, as a disk may take its time.
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
        self._unavailable = store.unavailable
        self._writer = Writer(store)
        self._apply = apply
        self._limit = limit
        self._waiting: _Batch[Item, Result] = []
        #: How many items the thread has, all of one transaction.
        self._writing = 0
        self._batches: SimpleQueue[_Batch[Item, Result] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """The future result of `item`, set once it is on disk.

        Raises QueueFull at once when the queue is full; the future raises what the database
        raised when the item could not be stored.
        """
        if len(self._waiting) + self._writing >= self._limit:
            raise QueueFull
        future: asyncio.Future[Result] = self._loop.create_future()
        self._waiting.append((item, future))
        if len(self._waiting) == 1 and not self._writing:
            # After what else the loop has to do now: that may be more items.
            self._loop.call_soon(self._hand_over)
        return future

    async def aclose(self) -> None:
        """Write what is waiting, then stop."""
        while self._waiting:
            self._next_batch()
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        if self._waiting and not self._writing:
            self._next_batch()

    def _next_batch(self) -> None:
        batch, self._waiting = self._waiting[: self.BATCH], self._waiting[self.BATCH :]
        self._writing += len(batch)
        self._batches.put(batch)

    def _write(self) -> None:
        while (batch := self._batches.get()) is not None:
            results = self._commit([item for item, _ in batch])
            self._loop.call_soon_threadsafe(self._answer, batch, results)
        self._writer.close()

    def _commit(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        try:
            with self._writer.write() as connection:
                return self._apply(connection, items)
        except Exception as error:
            if len(items) == 1 or isinstance(error, self._unavailable):
                log.error("commit failed", extra={"items": len(items), **error_facts(error)})
                return [error] * len(items)
        # One bad item must not take its neighbours with it.
        return [result for item in items for result in self._commit([item])]

    def _answer(self, batch: _Batch[Item, Result], results: Sequence[Result | Exception]) -> None:
        self._writing -= len(batch)
        self._hand_over()
        for (_, future), result in zip(batch, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
