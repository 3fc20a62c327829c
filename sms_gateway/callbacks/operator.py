"""Tells the operator that a cap was reached: once in a window a log line and a callback."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp

from ..caps import Cap, Counts
from ..log import error_facts
from ..moments import iso, now
from ..store import Store, counters
from . import posting
from .networks import USUAL_PORTS, Network, Ports
from .sender import PAUSES

log = logging.getLogger(__name__)

#: Lease of a trip (a cap that was reached) by one worker, milliseconds; longer than any attempt.
_LEASE = 60_000
#: Seconds between two sweeps of old counters.
_SWEEP = 3600.0
#: The most trips to claim at once.
_AT_ONCE = 100


class OperatorTeller:
    """Reports the trips that are due; `run` it beside a worker. Any number of workers may."""

    def __init__(
        self,
        store: Store,
        url: str | None,
        *,
        allowed: Sequence[Network] = (),
        ports: Ports = USUAL_PORTS,
        poll: float = 1.0,
        pauses: Sequence[int] = PAUSES,
        clock: Callable[[], int] = now,
    ) -> None:
        """`url`: the setting `operator_callback`; without it trips go to the log only. `allowed`,
        `ports`: see `Push`. `poll` is in seconds; `clock`, and the `pauses` between attempts, are
        in milliseconds."""
        parts = urlsplit(url or "")
        self._secret = unquote(parts.password or "")
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._store = store
        self._allowed = allowed
        self._ports = ports
        self._poll = poll
        self._pauses = pauses
        self._clock = clock

    async def run(self) -> None:
        """Report trips and sweep old counters until cancelled."""
        swept_at = -_SWEEP
        async with posting.session(self._allowed, self._ports, most=1) as session:
            while True:
                try:
                    for due in await asyncio.to_thread(self._claim):
                        await self._tell(session, due)
                    if time.monotonic() - swept_at > _SWEEP:
                        await asyncio.to_thread(self._sweep)
                        swept_at = time.monotonic()
                except Exception as error:
                    log.error("operator not told", extra=error_facts(error))
                await asyncio.sleep(self._poll)

    def _claim(self) -> list[counters.Due]:
        moment = self._clock()
        with self._store.read() as connection:
            if not counters.is_any_due(connection, moment):
                return []
        with self._store.write() as connection:
            return counters.claim(connection, now=moment, lease=_LEASE, most=_AT_ONCE)

    def _sweep(self) -> None:
        with self._store.write() as connection:
            counters.sweep(connection, self._clock())

    async def _tell(self, session: aiohttp.ClientSession, due: counters.Due) -> None:
        facts = {"counts": due.scope.partition(" ")[0], "of": _shortened(due), "key": due.key}
        if not due.attempts:
            cap = str(Cap(due.parts, due.period))
            until = iso(due.period.end(due.start))
            log.warning("cap reached", extra={**facts, "cap": cap, "until": until})
        failure, again_at = "", None
        if self._url:
            failure = await self._post(session, due)
        if failure and due.attempts < len(self._pauses):
            again_at = self._clock() + self._pauses[due.attempts]
        if failure:
            log.warning("operator callback failed", extra={**facts, "why": failure})
        await asyncio.to_thread(self._record, due, failure, again_at)

    def _record(self, due: counters.Due, failure: str, again_at: int | None) -> None:
        with self._store.write() as connection:
            counters.told(connection, due, failure=failure, again_at=again_at)

    async def _post(self, session: aiohttp.ClientSession, due: counters.Due) -> str:
        """Post the callback for a trip; returns why it failed, empty for a success."""
        name = hashlib.sha256(f"{due.scope} {due.period} {due.start}".encode()).hexdigest()
        id, moment = f"cap-{name[:32]}", self._clock()
        _, failure = await posting.post(
            session, self._url, payload(due), secret=self._secret, id=id, now=moment
        )
        return failure


def payload(due: counters.Due) -> dict[str, Any]:
    """The body of a callback, as Standard Webhooks recommends it."""
    return {
        "type": "cap.reached",
        "timestamp": iso(due.tripped_at),
        "data": {
            "counts": due.scope.partition(" ")[0],
            "name": _name(due),
            "cap": str(Cap(due.parts, due.period)),
            "since": iso(due.start),
            "until": iso(due.period.end(due.start)),
            "refusals": due.refusals,
            "refused_parts": due.refused_parts,
            "key": due.key,
        },
    }


def _name(due: counters.Due) -> str:
    """The name of the counter's scope, as people know it."""
    return due.name or due.scope.partition(" ")[2]


def _shortened(due: counters.Due) -> str:
    """As `_name`, for a log: no phone number stands there in full."""
    word, _, name = due.scope.partition(" ")
    if word in (Counts.NUMBER, Counts.FREE_NUMBER):
        return name[:-4] + "…"
    return _name(due)
