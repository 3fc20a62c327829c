"""Stores the receipts and messages that providers push to a web process.

They go through a ledger, as those that come by SMPP do. A web process has its own ledger, as each
worker has: all that ledgers share is in the database. There a receipt finds its part, or waits for
a part that a worker is still writing, and the workers match waiting receipts. Handing a push to a
worker instead would cost another row, and the provider would not learn that it was not understood.
"""

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from ..moments import now
from ..routing.routes import Routes
from ..sms.stop_words import StopWords
from ..store import GroupCommit, Store
from ..upstream import ReceiptsOf
from ..upstream.push import Heard
from .ledger import Event, Ledger, MessageCame, ReceiptCame

#: How many pushes may wait for the database. More are refused, and their provider repeats them.
_MOST_WAITING = 1_000
#: How often to read which accounts have a callback, seconds; a worker reads as often.
_LOOK_AGAIN = 1.0


class Arrivals:
    """Stores receipts and messages that come to a web process. Call `start` first."""

    def __init__(
        self,
        store: Store,
        *,
        stop_words: StopWords,
        receipts_of: Mapping[str, ReceiptsOf],
        patience: float,
    ) -> None:
        """`receipts_of`: see `Ledger`. `patience` (seconds): a push that has waited longer is not
        written, as its provider no longer waits for the answer."""
        self._store = store
        self._patience = patience
        # This ledger claims no deliveries, so it needs neither routes nor a lease.
        self._ledger = Ledger(
            Routes([]), worker=0, lease=0, stop_words=stop_words, receipts_of=receipts_of
        )
        self._looked_at = -_LOOK_AGAIN
        self._commits: GroupCommit[Sequence[Event], None] | None = None

    async def start(self) -> None:
        """Get ready to store. Call this in the process and event loop that will use it."""
        self._commits = GroupCommit(
            self._store, self._write, limit=_MOST_WAITING, patience=self._patience
        )

    async def keep(self, upstream: str, heard: Heard) -> None:
        """Store the receipts and messages of a push in one transaction; returns when on disk.

        Raises the errors of `GroupCommit.submit`: then all or nothing of the push is stored, and
        the provider may repeat it.
        """
        assert self._commits is not None
        at = now()
        events: list[Event] = [
            MessageCame(upstream=upstream, incoming=each, now=at) for each in heard.messages
        ]
        events += [ReceiptCame(upstream=upstream, receipt=each, now=at) for each in heard.receipts]
        if events:
            await self._commits.submit(events)

    async def aclose(self) -> None:
        """Store the waiting pushes, then stop."""
        if self._commits is not None:
            await self._commits.aclose()

    def _write(self, connection: Connection, pushes: Sequence[Sequence[Event]]) -> list[None]:
        clock = time.monotonic()
        if clock - self._looked_at >= _LOOK_AGAIN:
            self._ledger.look_for_callbacks(connection)
            self._looked_at = clock
        self._ledger.apply(connection, [event for push in pushes for event in push])
        return [None] * len(pushes)
