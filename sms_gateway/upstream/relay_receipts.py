"""The receipts of a relay: the other end is asked until it knows what became of a message."""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..codes import Code
from ..moments import now
from ..remote.http_backend import HttpBackend
from ..sms.message import TERMINAL, State
from ..sms.receipt import Receipt
from . import Delivery, Sink

log = logging.getLogger(__name__)

#: The longest pause between two questions about a message, seconds.
_LONGEST = 300.0
#: How many questions are under way at once.
_AT_ONCE = 8
#: How long after its validity a message is given up, milliseconds.
_AFTERWARDS = 60_000
#: Our ids have 32 digits; the store keeps them without leading zeros.
_DIGITS = 32


@dataclass(slots=True)
class _Awaited:
    """A message at the other end."""

    id: str
    #: E.164 with the plus sign.
    recipient: str
    #: The names of its parts in the store.
    names: list[str]
    #: Unix milliseconds.
    until: int
    pause: float


class ReceiptPoll:
    """Asks /status/ about each message, first often and then rarely."""

    def __init__(self, name: str, backend: HttpBackend, apikey: str, *, interval: float) -> None:
        self._name = name
        self._backend = backend
        self._apikey = apikey
        self._interval = interval
        self._agenda: list[tuple[float, int, _Awaited]] = []
        self._order = itertools.count()
        self._added = asyncio.Event()

    def add(self, smsc_id: str, delivery: Delivery) -> None:
        """Ask about a delivery that was accepted under this id."""
        numbers = range(1, delivery.parts + 1)
        names = [smsc_id if n == 1 else f"{smsc_id}.{n}" for n in numbers]
        until = delivery.expires_at + _AFTERWARDS
        self._later(_Awaited(smsc_id, delivery.recipient, names, until, self._interval))

    def resume(self, smsc_ids: Sequence[tuple[str, str, int]]) -> None:
        """Ask again about parts: their names in the store, recipients and ends of validity."""
        found: dict[str, _Awaited] = {}
        for name, recipient, expires_at in smsc_ids:
            id = name.partition(".")[0].zfill(_DIGITS)
            until = expires_at + _AFTERWARDS
            awaited = found.setdefault(id, _Awaited(id, recipient, [], until, self._interval))
            awaited.names.append(name)
        for awaited in found.values():
            self._later(awaited)

    async def run(self, sink: Sink) -> None:
        """Ask until cancelled."""
        asking: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._added.clear()
                while self._agenda and self._agenda[0][0] <= loop.time():
                    if len(asking) >= _AT_ONCE:
                        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
                    awaited = heapq.heappop(self._agenda)[2]
                    task = loop.create_task(self._ask(sink, awaited))
                    asking.add(task)
                    task.add_done_callback(asking.discard)
                try:
                    async with asyncio.timeout_at(self._agenda[0][0] if self._agenda else None):
                        await self._added.wait()
                except TimeoutError:
                    pass
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, sink: Sink, awaited: _Awaited) -> None:
        status = await self._backend.status(self._apikey, awaited.id)
        if status.reply.error is Code.ID_UNKNOWN:
            # Erased there, or never known: no answer will come.
            log.info("no receipt to be had", extra={"upstream": self._name})
            return
        states = {d.recipient: State(d.state) for d in status.deliveries}
        state = states.get(awaited.recipient)
        if state in TERMINAL:
            with suppress(Exception):  # what could not be stored is asked for again
                for name in awaited.names:
                    await sink.received_receipt(_receipt(name, awaited.recipient, state))
                return
        awaited.pause = min(awaited.pause * 2, _LONGEST)
        if now() < awaited.until:
            self._later(awaited)

    def _later(self, awaited: _Awaited) -> None:
        due = asyncio.get_running_loop().time() + awaited.pause
        heapq.heappush(self._agenda, (due, next(self._order), awaited))
        self._added.set()


def _receipt(name: str, recipient: str, state: State) -> Receipt:
    return Receipt(
        smsc_id=name,
        state=state,
        recipient=recipient.removeprefix("+"),
        error="",
        done_at=now(),
        raw=f"status: {state}",
    )
