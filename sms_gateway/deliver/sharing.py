"""Shares the rates and windows of upstreams and routes with the other workers.

Every worker holds a lease on its share of each limit, and renews all of them in one transaction.
What it holds too much it stops using before it gives it back; what it lacks it takes as soon as
others have given it back. A share that is not renewed ends, by this worker's own clock before it
does by the clock of the database.
"""

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import replace

from ..log import log_error
from ..store import Store, allotments
from ..store.allotments import Exchanged, Held
from ..upstream.allotment import Allotment, Ask, KeepsLimits, Limits

log = logging.getLogger(__name__)

#: Seconds between two exchanges and the lease of a share, while parts are written and while none
#: are.
_BUSY, _IDLE = (1.0, 3.0), (2.0, 4.0)
#: Seconds until the next exchange while this worker holds too much or too little.
_SOON = 0.1
_NOTHING = Exchanged(held=Held(), fair=Held(), whole=0.0, others=0.0)


class Sharing:
    """The shares of one worker; `run` it beside the worker."""

    def __init__(self, store: Store, worker: int, limited: Mapping[str, KeepsLimits]) -> None:
        """`limited`: what has limits, by a name that is the same at all workers. Nothing of them
        may be used before the first exchange."""
        self._store = store
        self._worker = worker
        self._limited = limited
        self._shares = dict.fromkeys(limited, _NOTHING)
        self._until = -math.inf
        self._loop = asyncio.get_running_loop()
        self._hurry = asyncio.Event()
        nothing = Allotment(rate=0, window=0, whole=0, others=0, until=self._until)
        for each in limited.values():
            each.allot(nothing, self._loop.time())

    async def run(self) -> None:
        """Renew the shares until cancelled."""
        while True:
            pause: float | None = 1.0
            try:
                self._hurry.clear()
                pause = await self.exchange() if self._limited else None
            except Exception as error:
                log_error(log, "shares of limits not renewed", error)
            try:
                async with asyncio.timeout(pause):
                    await self._hurry.wait()
            except TimeoutError:
                pass

    def hurry(self) -> None:
        """Something has changed: do not wait with the next exchange."""
        self._hurry.set()

    async def exchange(self) -> float:
        """Renew the shares; returns after how many seconds to do so again."""
        began = self._loop.time()
        asks = {scope: limited.ask(began) for scope, limited in self._limited.items()}
        if began >= self._until:
            # A while ago, such as before this machine slept.
            self._shares = dict.fromkeys(self._limited, _NOTHING)
        for scope, ask in asks.items():
            self._give_back(scope, ask)
        is_busy = any(ask.speed or ask.under_way for ask in asks.values())
        every, lease = _BUSY if is_busy else _IDLE
        offers = {scope: (self._shares[scope].held, ask) for scope, ask in asks.items()}
        self._shares = await asyncio.to_thread(self._write, offers, int(lease * 1_000))
        self._until = began + lease
        for scope, ask in asks.items():
            self._use(scope, ask.limits)
        is_fair = all(share.held == share.fair for share in self._shares.values())
        return every if is_fair else _SOON

    def _give_back(self, scope: str, ask: Ask) -> None:
        """Stop using what is more than a fair share; what is under way is in use."""
        share = self._shares[scope]
        held = Held(
            min(share.held.rate, share.fair.rate),
            min(share.held.window, max(share.fair.window, ask.under_way)),
        )
        self._shares[scope] = replace(share, held=held)
        self._use(scope, ask.limits)

    def _use(self, scope: str, limits: Limits) -> None:
        share = self._shares[scope]
        is_open = share.whole == math.inf
        self._limited[scope].allot(
            Allotment(
                rate=math.inf if is_open else share.whole * share.held.rate / limits.rate_units,
                window=share.held.window if limits.window_units else math.inf,
                whole=share.whole,
                others=share.others,
                until=self._until,
            ),
            self._loop.time(),
        )

    def _write(self, offers: Mapping[str, tuple[Held, Ask]], lease: int) -> dict[str, Exchanged]:
        with self._store.write() as connection:
            return allotments.exchange(connection, self._worker, offers, lease=lease)
