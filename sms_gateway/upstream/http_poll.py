"""Asks a provider for the receipts of messages, until it knows their final states."""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..backoff import pause
from ..errors import GatewayError
from ..moments import now
from ..sms.message import TERMINAL, State
from . import Delivery, Sink
from .push import receipt

log = logging.getLogger(__name__)

#: The longest pause between two questions about a message, seconds.
_LONGEST = 300.0
#: How many questions are under way at once.
_AT_ONCE = 8
#: How long after the end of its validity a message is still asked about, milliseconds.
_AFTERWARDS = 60_000


class NoReceiptError(GatewayError):
    """The provider does not know the message: no receipt will come."""


@dataclass(slots=True)
class _Awaited:
    """A message whose receipt is awaited."""

    id: str
    #: E.164 with the plus sign.
    recipient: str
    #: The names of its parts in the store.
    names: list[str]
    #: Unix time, milliseconds.
    until: int
    #: The number of the next question, from 1.
    question: int = 1


class ReceiptPoll:
    """Asks about each message, first often and then rarely."""

    def __init__(
        self,
        name: str,
        ask: Callable[[str, str], Awaitable[State | None]],
        id_of: Callable[[str], str],
        *,
        interval: float,
    ) -> None:
        """`ask` takes a message's id and recipient; it returns None while the state is unknown, and
        raises NoReceiptError. `id_of` turns the name of a part in the store into the message's id.
        `interval`: seconds until the first question about a message."""
        self._name = name
        self._ask_about = ask
        self._id_of = id_of
        self._interval = interval
        self._agenda: list[tuple[float, int, _Awaited]] = []
        self._order = itertools.count()
        self._added = asyncio.Event()

    def add(self, id: str, names: Sequence[str], delivery: Delivery) -> None:
        """Ask about a delivery that was accepted under this id, and its parts under these names."""
        until = delivery.expires_at + _AFTERWARDS
        self._later(_Awaited(id, delivery.recipient, list(names), until))

    def resume(self, smsc_ids: Sequence[tuple[str, str, int]]) -> None:
        """Ask again about parts: their names in the store, recipients and ends of validity."""
        found: dict[str, _Awaited] = {}
        for name, recipient, expires_at in smsc_ids:
            id = self._id_of(name)
            until = expires_at + _AFTERWARDS
            awaited = found.setdefault(id, _Awaited(id, recipient, [], until))
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
        try:
            state = await self._ask_about(awaited.id, awaited.recipient)
        except NoReceiptError:
            # The provider has erased the message, or never knew it: no receipt will come.
            log.info("no receipt to be had", extra={"upstream": self._name})
            return
        if state in TERMINAL:
            with suppress(Exception):  # a receipt that was not stored is asked for again
                for name in awaited.names:
                    await sink.received_receipt(receipt(name, state, awaited.recipient))
                return
        awaited.question += 1
        if now() < awaited.until:
            self._later(awaited)

    def _later(self, awaited: _Awaited) -> None:
        wait = pause(awaited.question, self._interval, _LONGEST)
        due = asyncio.get_running_loop().time() + wait
        heapq.heappush(self._agenda, (due, next(self._order), awaited))
        self._added.set()
