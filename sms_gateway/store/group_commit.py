"""Group commit: concurrent work of one process shares one durable transaction.

The states of an item, which is told its result once:

 put ──► waiting ──nothing more comes──► written here ──committed──► told
            │                                 └──it failed──► written by the thread
            └──the thread is free──► written by the thread ──committed──► told
                                        ├──waited too long──► told OverdueError
                                        ├──it failed──► written alone ──committed, or failed──► told
                                        └──connection lost──► looked up ──known──► told
                                                                 └──not known──► told
                                                                    OutcomeUnknownError

"Here" is the event loop's own thread, used on SQLite while its disk is quick. It never writes while
the other thread does: items that come meanwhile wait for that thread's next transaction.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ..errors import GatewayError
from ..log import log_error
from .engine import Store, Writer
from .outcome import OutcomeUnknownError, OverdueError

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Called with an item's result, or with the exception in its place.
Done = Callable[[Result | Exception], None]
#: Items, each with the callback for its result and the time of its submission (time.monotonic).
_Batch = list[tuple[Item, Done[Result], float]]


class QueueFullError(GatewayError):
    """More work is waiting for a commit than the queue is allowed to hold."""


class GroupCommit(Generic[Item, Result]):
    """Writes the waiting items, one transaction after the other, and answers each item.

    A single item is written at once: it does not wait for others. All items that the event loop can
    read without waiting share a transaction, and so do those that come during a transaction.
    `apply` gets the items in the order of submission and returns one result for each.

    An item that has waited as long as its caller does is not written any more. A commit whose
    connection was lost is looked up on another connection; nothing is written twice meanwhile. If
    that tells nothing, its items are answered with OutcomeUnknownError.

    A thread writes, as a server or a disk may be slow. But handing work to it and back costs more
    than a quick disk does. So the event loop's own thread writes to SQLite as long as its disk is
    quick and no other process is writing.
    """

    #: The most items that share a transaction, so that none waits long for its neighbours.
    BATCH = 500
    #: How long a transaction may block the event loop, seconds. If one takes longer, the thread
    #: writes the next.
    QUICK = 0.01
    #: The most seconds that the thread's next transaction waits: half as long as the last took.
    #: This gives clients that were just answered a chance to join the batch. Without it they split
    #: into two halves that alternate.
    PAUSE = 0.005
    #: For how long, and at which interval, the commit of a lost connection is looked up, seconds. A
    #: restarted server is back by then, and callers wait for 20 seconds (`backend_timeout`).
    ASKING, ASKED_EVERY = 10.0, 0.1

    def __init__(
        self,
        store: Store,
        apply: Callable[[Connection, Sequence[Item]], Sequence[Result]],
        *,
        limit: int,
        patience: float = math.inf,
    ) -> None:
        """`patience` (seconds): an item that waits longer for its transaction gets OverdueError."""
        self._store = store
        self._patience = patience
        self._unavailable = store.unavailable
        self._outrun = store.outrun
        self._writer = Writer(store)
        #: The writer of the event loop's thread.
        self._own_writer = Writer(store, wait=False) if store.is_sqlite else None
        #: How long the last transaction took, seconds.
        self._took = 0.0
        self._apply = apply
        self._limit = limit
        self._waiting: _Batch[Item, Result] = []
        #: How many items are being written.
        self._writing = 0
        self._batches: SimpleQueue[_Batch[Item, Result] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """The future result of `item`, set once it is on disk.

        Raises QueueFullError at once when the queue is full. The future raises the error of the
        database when the item could not be stored.
        """
        future: asyncio.Future[Result] = self._loop.create_future()
        self.put(item, partial(_settle, future))
        return future

    def put(self, item: Item, done: Done[Result]) -> None:
        """As `submit`, without a future, which would cost as much as checking a request."""
        if len(self._waiting) + self._writing >= self._limit:
            raise QueueFullError
        self._waiting.append((item, done, time.monotonic()))
        if len(self._waiting) == 1 and not self._writing:
            self._look_around()

    async def aclose(self) -> None:
        """Write the waiting items, then stop."""
        while self._waiting:
            self._batches.put(self._next_batch())
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._own_writer is not None:
            self._own_writer.close()

    def _look_around(self) -> None:
        """Write after the callbacks that the event loop has ready: they may submit more items."""
        self._loop.call_soon(self._begin, len(self._waiting))

    def _begin(self, seen: int) -> None:
        if seen < len(self._waiting) < self.BATCH:
            self._look_around()
        elif self._waiting:
            batch = self._next_batch()
            if not self._write_here(batch):
                self._batches.put(batch)
            elif self._waiting:
                self._look_around()

    def _next_batch(self) -> _Batch[Item, Result]:
        batch, self._waiting = self._waiting[: self.BATCH], self._waiting[self.BATCH :]
        self._writing += len(batch)
        return batch

    def _write_here(self, batch: _Batch[Item, Result]) -> bool:
        """Write in the event loop's thread if that is quick; False: the thread has to write."""
        if self._own_writer is None or self._took > self.QUICK:
            return False
        results: Sequence[Result | Exception]
        try:
            results = self._once(self._own_writer, batch)
        except OutcomeUnknownError as error:
            results = _failed(batch, error)
        except Exception:
            # The thread can take the time to find the bad item, or to wait for other writers.
            return False
        self._answer(batch, results)
        return True

    def _write(self) -> None:
        while (batch := self._batches.get()) is not None:
            results = self._commit(batch)
            self._loop.call_soon_threadsafe(self._go_on, batch, results)
        self._writer.close()

    def _commit(
        self, batch: _Batch[Item, Result], *, again: bool = True
    ) -> Sequence[Result | Exception]:
        try:
            return self._once(self._writer, batch)
        except Exception as error:
            alone = len(batch) == 1 and not (again and isinstance(error, self._outrun))
            if alone or isinstance(error, (OutcomeUnknownError, OverdueError, *self._unavailable)):
                return _failed(batch, error)
        # Retry one by one: a bad item must not fail the others. A repeat now finds its first copy.
        again = len(batch) > 1
        return [result for one in batch for result in self._commit([one], again=again)]

    def _once(self, writer: Writer, batch: _Batch[Item, Result]) -> Sequence[Result | Exception]:
        began = time.monotonic()
        try:
            with writer.write() as connection:
                # Other writers may have kept this batch waiting.
                late = self._overdue(batch)
                results = self._apply(connection, [item for item, _, _ in batch[late:]])
                self._overdue(batch)
        except OutcomeUnknownError as unknown:
            if not self._is_committed(unknown):
                raise (unknown.__cause__ or unknown) from None
        finally:
            self._took = time.monotonic() - began
        return [*[OverdueError()] * late, *results] if late else results

    def _overdue(self, batch: _Batch[Item, Result]) -> int:
        """How many of the first items have waited too long; OverdueError when all have."""
        earliest = time.monotonic() - self._patience
        if batch[0][2] > earliest:
            return 0
        if batch[-1][2] <= earliest:
            raise OverdueError
        return sum(submitted <= earliest for _, _, submitted in batch)

    def _is_committed(self, unknown: OutcomeUnknownError) -> bool:
        """Whether a transaction was committed; OutcomeUnknownError if the server cannot tell."""
        ends = time.monotonic() + self.ASKING
        while unknown.transaction and time.monotonic() < ends:
            try:
                is_committed = self._store.is_committed(unknown.transaction)
            except self._unavailable:
                is_committed = None  # the server is not back yet
            except DBAPIError:
                break  # this server does not know the transaction
            if is_committed is not None:
                log.warning("commit looked up", extra={"committed": is_committed})
                return is_committed
            time.sleep(self.ASKED_EVERY)
        raise unknown

    def _go_on(self, batch: _Batch[Item, Result], results: Sequence[Result | Exception]) -> None:
        self._answer(batch, results)
        if self._waiting:
            self._loop.call_later(min(self._took / 2, self.PAUSE), self._look_around)

    def _answer(self, batch: _Batch[Item, Result], results: Sequence[Result | Exception]) -> None:
        self._writing -= len(batch)
        for (_, done, _), result in zip(batch, results, strict=True):
            try:
                done(result)
            except Exception as error:
                # A callback that fails must not keep the others from their results.
                log_error(log, "a result was not taken", error)


def _failed(batch: _Batch[Item, Result], error: Exception) -> list[Result | Exception]:
    log_error(log, "commit failed", error, items=len(batch))
    return [error] * len(batch)


def _settle(future: asyncio.Future[Result], result: Result | Exception) -> None:
    if future.cancelled():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
