"""Slows down networks that guess keys, over all processes of a host.

The key is checked first. Only the answer to a wrong key waits, once its network has used up its
tries. So a client with a right key never waits here, whatever network it comes from.
"""

import asyncio
import logging
import time
from collections import Counter
from functools import partial
from math import ceil
from typing import NamedTuple

from .. import callers
from ..accounts import Account
from ..callers import Caller, Face
from ..moments import now
from ..store import Store, audit
from ..store.audit import Action
from .guesses import Guesses

log = logging.getLogger(__name__)

#: Seconds that the answer to a wrong key waits once its network has used up its tries.
SLOWED = 5.0
#: Seconds until the audit trail records wrong keys, and from one such record to the next: so a
#: flood becomes a few rows a minute.
_SOON, _EVERY = 1.0, 60.0
#: Networks that get an entry of their own each time; all others share one entry.
_MOST_NETWORKS = 20


class WrongKeys:
    """Counts the wrong keys of one process, slows them, and records them in the audit trail."""

    def __init__(self, guesses: Guesses, store: Store | None = None) -> None:
        """Without a store there is no trail."""
        self._guesses = guesses
        self._store = store
        #: Counts of refusals that are not in the audit trail yet.
        self._untold: Counter[_What] = Counter()
        self._telling: asyncio.Task[None] | None = None
        self._told_at = -_EVERY

    async def came(self, network: str = "", action: Action = Action.KEY_REFUSE) -> int:
        """Count a wrong key of the current caller; returns once it may be answered.

        The key counts for this network, failing that for the caller's; without either it is not
        counted. Returns the seconds until the network has a try again, 0 while it has more.
        """
        caller = callers.current()
        network = network or caller.network()
        self.note(action, network)
        if not network:
            return 0
        wait, is_news = self._guesses.count(network, time.monotonic())
        if is_news:
            log.warning("too many wrong keys", extra={"network": network, "wait": SLOWED})
        caller.wrong += 1
        # A request may also carry calls with right keys: these do not wait for this one.
        if wait and caller.wrong >= caller.calls:
            caller.hold(True)
            try:
                await asyncio.sleep(SLOWED)
            finally:
                caller.hold(False)
        return ceil(wait)

    def note(self, action: Action, network: str, account: Account | None = None) -> None:
        """Count a refusal; the audit trail soon records how often it happened."""
        if self._store is None:
            return
        self._untold[_What(action, callers.current().face, network, account)] += 1
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell_later())

    async def aclose(self) -> None:
        """Record the refusals that are not in the audit trail yet."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        await self._tell()

    async def _tell_later(self) -> None:
        await asyncio.sleep(max(_SOON, self._told_at + _EVERY - time.monotonic()))
        self._telling = None
        await self._tell()

    async def _tell(self) -> None:
        untold, self._untold = self._untold, Counter()
        if not untold:
            return
        self._told_at = time.monotonic()
        try:
            await asyncio.to_thread(self._record, untold)
        except Exception as error:
            log.error("wrong keys not recorded", extra={"error": type(error).__name__})

    def _record(self, untold: "Counter[_What]") -> None:
        assert self._store is not None
        told, others = untold.most_common(_MOST_NETWORKS), untold.most_common()[_MOST_NETWORKS:]
        with self._store.write() as connection:
            for what, times in told:
                caller = Caller(face=what.face, network=partial(str, what.network))
                facts = {"times": times}
                audit.record(connection, what.action, what.account, facts, now=now(), caller=caller)
            if others:
                facts = {
                    "times": sum(times for _, times in others),
                    "networks": len({what.network for what, _ in others}),
                }
                audit.record(connection, Action.KEY_REFUSE, None, facts, now=now(), caller=Caller())


class _What(NamedTuple):
    action: Action
    face: Face
    network: str
    account: Account | None
