"""What providers push, written down by the web process that it came to.

It goes to the same ledger as what comes by SMPP. A web process has a ledger of its own, as each
worker has, since all that they share is in the database: a receipt finds its part there, or waits
there for a part that a worker is still writing, and the workers look for those that wait. To hand a
request on to a worker would take a row more, and the provider could not be told that it was not
understood.
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

#: How many pushes may wait for the database; the next is refused, and repeated by its provider.
_MOST_WAITING = 1_000
#: Seconds between two looks at which accounts have a callback, as often as a worker looks.
_LOOK_AGAIN = 1.0


class Arrivals:
    """Receipts and messages that come to a web process; `start` it."""

    def __init__(
        self,
        store: Store,
        *,
        stop_words: StopWords,
        receipts_of: Mapping[str, ReceiptsOf],
        patience: float,
    ) -> None:
        """`receipts_of`: see `Ledger`. `patience`: the seconds after which a push is not written
        any more, as nobody waits for it."""
        self._store = store
        self._patience = patience
        # It claims nothing, so that it needs neither routes nor a lease.
        self._ledger = Ledger(
            Routes([]), worker=0, lease=0, stop_words=stop_words, receipts_of=receipts_of
        )
        self._looked_at = -_LOOK_AGAIN
        self._commits: GroupCommit[Sequence[Event], None] | None = None

    async def start(self) -> None:
        """Be ready to store. In the process, and the loop, that it works in."""
        self._commits = GroupCommit(
            self._store, self._write, limit=_MOST_WAITING, patience=self._patience
        )

    async def keep(self, upstream: str, heard: Heard) -> None:
        """Returns when all that a push tells is on disk, in one transaction.

        Raises what `GroupCommit.submit` does: nothing of it, or all, is stored then, and it may be
        offered again.
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
        """Store what is waiting, then stop."""
        if self._commits is not None:
            await self._commits.aclose()

    def _write(self, connection: Connection, pushes: Sequence[Sequence[Event]]) -> list[None]:
        clock = time.monotonic()
        if clock - self._looked_at >= _LOOK_AGAIN:
            self._ledger.look_for_callbacks(connection)
            self._looked_at = clock
        self._ledger.apply(connection, [event for push in pushes for event in push])
        return [None] * len(pushes)
