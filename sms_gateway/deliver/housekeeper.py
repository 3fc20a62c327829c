"""Keeps house beside the claims: one worker at a time does this for all.

Each worker asks for the lease every other second; the one that has it goes through the rounds. Each
transaction prolongs the lease, so that the work of two housekeepers never overlaps. When a
housekeeper stops, another takes over as soon as its lease has ended (`leases.LASTS`).
"""

import asyncio
import logging
import time

from .. import moments
from ..errors import GatewayError
from ..log import log_error
from ..store import Store, adoption, leases
from ..store.migrate import contract
from .ledger import Ledger
from .ledger.housekeeping import Round

log = logging.getLogger(__name__)

#: The name of the lease.
HOUSEKEEPER = "housekeeper"
#: How often the rounds begin, and those that are rare, seconds.
_EVERY, _RARELY = 2.0, 60.0


class LeaseLostError(GatewayError):
    """Another worker keeps house."""


class Housekeeper:
    """Keeps house while its worker holds the lease."""

    def __init__(self, store: Store, ledger: Ledger, worker: int) -> None:
        """`ledger`: one of its own, as it is used in another thread."""
        self._store = store
        self._rounds = ledger.housekeeping
        self._worker = worker
        self._rarely_at = 0.0
        #: Whether programs of the version before may still write.
        self._adopts = True
        self._is_ended = False

    async def run(self) -> None:
        """Keep house until cancelled."""
        while True:
            keeping = asyncio.ensure_future(asyncio.to_thread(self.keep))
            try:
                await asyncio.shield(keeping)
            except asyncio.CancelledError:
                # After the transaction under way.
                self._is_ended = True
                await asyncio.wait([keeping])
                raise
            except LeaseLostError:
                pass
            except Exception as error:
                log_error(log, "housekeeping failed", error)
            await asyncio.sleep(_EVERY)

    def keep(self) -> None:
        """Go through the rounds; LeaseLostError when another worker holds the lease."""
        for each in self._rounds.often:
            self._repeat(each)
        is_time = time.monotonic() >= self._rarely_at
        if is_time:
            for each in self._rounds.rarely:
                self._repeat(each)
        if self._adopts or is_time:
            self._adopt()
        if is_time:
            self._rarely_at = time.monotonic() + _RARELY

    def _adopt(self) -> None:
        """Take over what the version before has written, and end that once it is gone."""
        with self._store.read() as connection:
            self._adopts = not adoption.is_over(connection)
        if not self._adopts:
            return
        self._repeat(self._rounds.adopt)
        try:
            contract(self._store)
        except Exception as error:
            # Tried again each minute. The role of workers may own no tables.
            self._adopts = False
            log_error(log, "run sendsmsnow migrate to drop indexes of the version before", error)

    def _repeat(self, once: Round) -> None:
        is_more = True
        while is_more and not self._is_ended:
            now = moments.now()
            with self._store.write() as connection:
                if not leases.hold(connection, HOUSEKEEPER, self._worker, now=now):
                    self._rarely_at = 0.0
                    raise LeaseLostError
                is_more = once(connection, now)
