"""Sends events to the callbacks of accounts, again and again for a day until they are taken."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import aiohttp

from .. import moments
from ..breaker import Breaker
from ..moments import iso
from ..store import Store, events, queue
from ..store.wakes import Topic, Waiter, Wakes
from . import posting
from .networks import USUAL_PORTS, Network, Ports
from .posting import TIMEOUT

log = logging.getLogger(__name__)

_SECOND, _MINUTE, _HOUR = 1_000, 60_000, 3_600_000
#: Milliseconds between one attempt at an event and the next: a day in all, and then it is parked.
PAUSES = (
    *(5 * _SECOND, 30 * _SECOND, 2 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, 8 * _HOUR),
)
#: Milliseconds for which a callback may fail with everything until it is paused.
DAY = 24 * _HOUR
#: Milliseconds after which a claimed event is taken to be forgotten; longer than any attempt.
_LEASE = 60_000
#: How many events are under way at once, and how many of them to one host.
_AT_ONCE, _AT_ONE_HOST = 100, 10
#: This status says that a receiver wants no more events (Standard Webhooks; RFC 9110 §15.5.11).
_GONE = 410


class Push:
    """Sends the events that are due; `run` it beside the worker."""

    def __init__(
        self,
        store: Store,
        *,
        allowed: Sequence[Network] = (),
        ports: Ports = USUAL_PORTS,
        poll: float = 0.25,
        timeout: float = TIMEOUT,
        pauses: Sequence[int] = PAUSES,
        patience: int = DAY,
        waiter: Waiter | None = None,
    ) -> None:
        """`allowed`: networks that are not public and may be called all the same; `ports`: those
        that may. `poll` (seconds): how often it is looked for events without a `waiter`, which is
        woken. `timeout` (seconds),
        `pauses` and `patience` (milliseconds): as TIMEOUT, PAUSES and DAY."""
        self._store = store
        self._allowed = allowed
        self._ports = ports
        self._poll = poll
        self._timeout = timeout
        self._pauses = pauses
        self._patience = patience
        self._waiter = Wakes(store, poll=poll).waiter(Topic.EVENT) if waiter is None else waiter
        # A callback that is down is not asked for each of its events whether it still is.
        self._breakers: dict[int, Breaker] = {}

    async def run(self) -> None:
        """Send events until cancelled; the next sender repeats those under way then."""
        session = posting.session(
            self._allowed, self._ports, most=_AT_ONE_HOST, timeout=self._timeout
        )
        sending: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._waiter.looking()
                due = await asyncio.to_thread(self._claim, _AT_ONCE - len(sending))
                for each in due:
                    task = asyncio.create_task(self._send(session, each))
                    sending.add(task)
                    task.add_done_callback(sending.discard)
                if due:
                    self._waiter.found()
                if sending and (due or len(sending) >= _AT_ONCE):
                    await asyncio.wait(
                        sending, timeout=self._poll, return_when=asyncio.FIRST_COMPLETED
                    )
                else:
                    await self._waiter.wait()
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            await session.close()

    def _claim(self, most: int) -> list[events.Due]:
        if most <= 0:
            return []
        now, clock = moments.now(), time.monotonic()
        shut = [id for id, breaker in self._breakers.items() if not breaker.admits(clock)]
        with self._store.read() as connection:
            if not events.is_any_due(connection, now, but=shut):
                return []
        with self._store.write() as connection:
            due = events.claim(connection, now=now, lease=_LEASE, most=most, but=shut)
        return due

    async def _send(self, session: aiohttp.ClientSession, due: events.Due) -> None:
        breaker = self._breakers.setdefault(due.account_id, Breaker(failures=5, grace=0, pause=5))
        breaker.trying()
        status, failure = await posting.post(
            session, due.url, told(due), secret=due.secret, id=due.id, now=moments.now()
        )
        if failure:
            breaker.failed(time.monotonic())
            facts = {"account": due.account, "event": due.id, "why": failure}
            log.info("callback failed", extra=facts)
        else:
            breaker.succeeded(time.monotonic())
        await asyncio.to_thread(self._record, due, status, failure)

    def _record(self, due: events.Due, status: int, failure: str) -> None:
        now = moments.now()
        with self._store.write() as connection:
            if not failure:
                events.drop(connection, due.id)
                events.works(connection, due.account_id)
                if due.delivery_id is not None:
                    step = (due.delivery_id, now, 0, "pushed", f"{kind(due)} {due.id}")
                    queue.record_steps(connection, [step])
                return
            since = events.failing_since(connection, due.account_id, now)
            is_last = due.attempts >= len(self._pauses)
            due_at = None if is_last else now + self._pauses[due.attempts]
            events.put_off(connection, due.id, due_at=due_at, failure=failure)
            if is_last and due.delivery_id is not None:
                step = (due.delivery_id, now, 0, "not pushed", f"{kind(due)} {due.id}: {failure}")
                queue.record_steps(connection, [step])
            if status == _GONE or now - since >= self._patience:
                events.pause(connection, due.account_id, now=now, reason=failure)
                log.warning("callback paused", extra={"account": due.account, "why": failure})


def kind(due: events.Due) -> str:
    """The type of an event: `delivery.` and the state, or `message.received`."""
    return f"delivery.{due.state}" if due.received_id is None else "message.received"


def told(due: events.Due) -> dict[str, Any]:
    """The body of a callback: the payload that Standard Webhooks recommends."""
    data: dict[str, Any]
    if due.received_id is None:
        data = {
            "id": due.message_id,
            "recipient": due.recipient,
            "state": due.state,
            "parts": due.parts,
            "reference": due.reference,
        }
    else:
        data = {
            "id": due.received_id,
            "from": due.sender,
            "to": due.number,
            "message": due.text,
            "received": iso(due.received_at),
        }
    return {"type": kind(due), "timestamp": iso(due.happened_at), "data": data}
