"""Who tries keys is slowed: by network, over all processes of a host, and without a loss for those
whose keys are right.

Whether a key is right is known before anybody is slowed. What waits is the answer to a wrong one,
once its network has used up its tries. So a right key costs nothing here, wherever it comes from.
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

#: The seconds that the answer to a wrong key waits beyond that.
SLOWED = 5.0
#: Seconds until the trail tells of a wrong key, and from one entry of them to the next: so a flood
#: becomes a few rows a minute.
_SOON, _EVERY = 1.0, 60.0
#: Networks that get an entry of their own each time; what others did is one entry.
_MOST_NETWORKS = 20


class WrongKeys:
    """The wrong keys that come to one process: counted, slowed, and told of to the audit trail."""

    def __init__(self, guesses: Guesses, store: Store | None = None) -> None:
        """Without a store there is no trail."""
        self._guesses = guesses
        self._store = store
        #: What the trail does not tell of yet.
        self._untold: Counter[_What] = Counter()
        self._telling: asyncio.Task[None] | None = None
        self._told_at = -_EVERY

    async def came(self, network: str = "", action: Action = Action.KEY_REFUSE) -> int:
        """A wrong key came from the current caller: returns once it may be answered.

        It is counted for this network, or that of the caller; one that nobody knows is not counted.
        Returns the seconds until the network has a try again, 0 while it has more.
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
        # Others have calls in the same request: those with the right key do not wait for this one.
        if wait and caller.wrong >= caller.calls:
            caller.hold(True)
            try:
                await asyncio.sleep(SLOWED)
            finally:
                caller.hold(False)
        return ceil(wait)

    def note(self, action: Action, network: str, account: Account | None = None) -> None:
        """Something was refused; the trail is told of it soon, and how often it was."""
        if self._store is None:
            return
        self._untold[_What(action, callers.current().face, network, account)] += 1
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell_later())

    async def aclose(self) -> None:
        """Tell what was not told yet."""
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
