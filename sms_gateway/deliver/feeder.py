"""Feeds an upstream with deliveries of the store, and decides how each attempt ended."""

import asyncio
import logging
from collections.abc import Awaitable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .. import moments
from ..backoff import pause, spread
from ..log import log_error
from ..sms.message import State
from ..sms.receipt import Receipt
from ..store import GroupCommit
from ..store.wakes import Waiter
from ..upstream import (
    Answer,
    Delivery,
    Incoming,
    Outcome,
    TakesAhead,
    Upstream,
    pending_parts,
)
from .ahead import Ahead
from .busy_numbers import BusyNumbers
from .dispatch import Dispatch
from .ledger import Claim, Event, LateAnswer, MessageCame, ReceiptCame, Settled

log = logging.getLogger(__name__)

#: The first and the longest pause between two attempts, milliseconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 1_000, 300_000
#: Seconds until an upstream that may not claim now is looked at again.
_SOON = 0.05


@dataclass(slots=True)
class _Attempt:
    delivery: Delivery
    waiting_for: set[int]
    answers: list[Answer] = field(default_factory=list)
    #: When its busy number may be tried again, Unix milliseconds; 0 if it is not busy.
    busy_until: int = 0


def settle(
    delivery: Delivery,
    answers: list[Answer],
    *,
    upstream: str,
    resend: bool,
    now: int,
    busy_until: int = 0,
) -> Settled:
    """The outcome of an attempt whose parts all have an answer.

    A refusal of one part fails the delivery. If a part was not answered, the delivery is uncertain,
    unless the route prefers a possible second copy. Otherwise the missing parts are tried again
    after a back-off that doubles from one second to five minutes. `busy_until`: when the busy
    number may be tried again.
    """
    outcomes = {answer.outcome for answer in answers}
    due = now
    duplicate = delivery.possible_duplicate
    reason = ""
    if Outcome.REFUSED in outcomes:
        state = State.FAILED
        reason = next(a.reason for a in answers if a.outcome is Outcome.REFUSED)
    elif Outcome.UNANSWERED in outcomes:
        # Only once: if the second copy has no answer either, there is no third.
        again = resend and not delivery.possible_duplicate
        state = State.QUEUED if again else State.UNCERTAIN
        duplicate = duplicate or again
        reason = "the carrier did not answer"
    elif Outcome.RETRY in outcomes:
        state = State.QUEUED
        wait = spread(pause(delivery.attempt, _FIRST_PAUSE, _LONGEST_PAUSE))
        due = max(now + int(wait), busy_until)
        reason = "to be tried again"
    elif Outcome.BUSY in outcomes:
        state = State.QUEUED
        due = max(now, busy_until)
        reason = "to be tried again"
    elif Outcome.NOT_WRITTEN in outcomes:
        state = State.QUEUED
        reason = "to be tried again"
    else:
        state = State.SUBMITTED
    return Settled(
        delivery_id=delivery.id,
        attempt=delivery.attempt,
        upstream=upstream,
        state=state,
        due=due,
        possible_duplicate=duplicate,
        answers=answers,
        reason=reason,
        now=now,
    )


class Feeder:
    """Feeds one upstream with claimed deliveries and, as its sink, stores what it reports."""

    def __init__(
        self,
        upstream: Upstream,
        commits: GroupCommit[Event, list[Delivery] | None],
        dispatch: Dispatch,
        *,
        resending: Collection[str],
        waiter: Waiter,
    ) -> None:
        self.upstream = upstream
        self._commits = commits
        self._dispatch = dispatch
        self._resending = resending
        self._waiter = waiter
        self._loop = asyncio.get_running_loop()
        self._ahead = Ahead() if isinstance(upstream, TakesAhead) else None
        self._attempts: dict[int, _Attempt] = {}
        self._busy = BusyNumbers()
        #: Deliveries whose attempts have ended, and whose outcome may not be stored yet.
        self._unwritten: set[int] = set()
        self._writing: set[asyncio.Task[None]] = set()

    async def feed(self) -> None:
        """Claim as many parts as the upstream can write at once, until cancelled."""
        name = self.upstream.name
        # Whether the last claim failed, which may have been committed all the same.
        unsure = False
        while True:
            await self.upstream.ready()
            room = self.upstream.free()
            if room <= 0:
                await asyncio.sleep(_SOON)
                continue
            shares = self._dispatch.shares(name, room, self._loop.time())
            if not shares and not unsure:
                pause = self._dispatch.pause(name, self._loop.time())
                await asyncio.sleep(min(_SOON, max(pause, 0.001)))
                continue
            self._waiter.looking()
            began = self._loop.time()
            # Shielded: if the worker stops during a commit, it gives the claimed deliveries back.
            held = frozenset(self._attempts.keys() | self._unwritten) if unsure else None
            claim = asyncio.ensure_future(
                self._commits.submit(
                    Claim(
                        upstream=name,
                        parts=room,
                        now=moments.now(),
                        shares=shares,
                        held=held,
                        hold=self._busy.hold,
                    )
                )
            )
            try:
                deliveries = await asyncio.shield(claim)
            except asyncio.CancelledError:
                with suppress(Exception):
                    self._give_back(await claim or [])
                raise
            except Exception as error:
                log_error(log, "claim failed", error, upstream=name)
                unsure = True
                self._dispatch.claimed(name, shares, (), self._loop.time())
                await asyncio.sleep(1)
                continue
            unsure = False
            self._dispatch.claimed(name, shares, deliveries or (), self._loop.time())
            self._look_ahead(began)
            if not deliveries:
                await self._waiter.wait()
                continue
            self._waiter.found()
            for delivery in deliveries:
                self._attempts[delivery.id] = _Attempt(delivery, set(pending_parts(delivery)))
                self.upstream.submit(delivery)

    def _look_ahead(self, began: float) -> None:
        """Have as many parts wait for room as get room during a claim."""
        if self._ahead is not None and isinstance(self.upstream, TakesAhead):
            self.upstream.ahead = self._ahead.claimed(began, self._loop.time())

    def _give_back(self, deliveries: list[Delivery]) -> None:
        """Settle claimed deliveries as not written, which queues them again."""
        for delivery in deliveries:
            self._attempts[delivery.id] = _Attempt(delivery, set(pending_parts(delivery)))
            for number in pending_parts(delivery):
                self.answered(
                    Answer(delivery_id=delivery.id, part=number, outcome=Outcome.NOT_WRITTEN)
                )

    def answered(self, answer: Answer) -> None:
        """See `Sink.answered`."""
        now = moments.now()
        attempt = self._attempts.get(answer.delivery_id)
        if (
            attempt is None
            or answer.part not in attempt.waiting_for
            or answer.attempt not in (0, attempt.delivery.attempt)
        ):
            self._write(LateAnswer(upstream=self.upstream.name, answer=answer, now=now))
            return
        if self._ahead is not None:
            self._ahead.answered()
        self._dispatch.answered(self.upstream.name, answer.outcome, self._loop.time())
        number = attempt.delivery.recipient
        if answer.outcome is Outcome.BUSY:
            attempt.busy_until = self._busy.refused(number, now, attempt.delivery.attempt)
        elif answer.outcome in (Outcome.ACCEPTED, Outcome.REFUSED):
            self._busy.answered(number)
        attempt.waiting_for.discard(answer.part)
        attempt.answers.append(answer)
        if not attempt.waiting_for:
            del self._attempts[answer.delivery_id]
            self._dispatch.ended(attempt.delivery)
            settled = settle(
                attempt.delivery,
                attempt.answers,
                upstream=self.upstream.name,
                resend=attempt.delivery.route in self._resending,
                now=now,
                busy_until=attempt.busy_until,
            )
            self._write(settled)

    def _write(self, event: Event) -> None:
        """Store an event, and retry until it is stored: nothing else has a copy of it."""
        if isinstance(event, Settled):
            self._unwritten.add(event.delivery_id)
        written = self._commits.submit(event)
        written.add_done_callback(lambda done: self._written(event, done))

    def _written(self, event: Event, done: "asyncio.Future[list[Delivery] | None]") -> None:
        if not done.cancelled() and done.exception() is not None:
            task = asyncio.create_task(self._write_again(event))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        elif isinstance(event, Settled):
            self._unwritten.discard(event.delivery_id)

    async def _write_again(self, event: Event) -> None:
        await asyncio.sleep(1)
        self._write(event)

    async def flushed(self) -> None:
        """Wait until no event waits for a retry, at most a few seconds."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=5)

    def received_receipt(self, receipt: Receipt) -> Awaitable[Any]:
        """See `Sink.received_receipt`."""
        return self._commits.submit(
            ReceiptCame(upstream=self.upstream.name, receipt=receipt, now=moments.now())
        )

    def received_message(self, incoming: Incoming) -> Awaitable[Any]:
        """See `Sink.received_message`."""
        return self._commits.submit(
            MessageCame(upstream=self.upstream.name, incoming=incoming, now=moments.now())
        )
