"""The feeder: between one upstream and the store, and how an attempt ended."""

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
from ..upstream import Answer, Delivery, Incoming, Outcome, Upstream, pending_parts
from .busy_numbers import BusyNumbers
from .dispatch import Dispatch
from .ledger import Claim, Event, LateAnswer, MessageCame, ReceiptCame, Settled

log = logging.getLogger(__name__)

#: The first and the longest pause between two attempts, milliseconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 1_000, 300_000


@dataclass(slots=True)
class _Attempt:
    delivery: Delivery
    waiting_for: set[int]
    answers: list[Answer] = field(default_factory=list)
    #: When its number may be tried again, Unix ms; 0 while nothing says that it is busy.
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
    """How an attempt ended whose parts have all been answered.

    A refusal of one part is a refusal of the whole. What may have been written is uncertain,
    unless the route prefers a possible second copy. Otherwise the missing parts are tried
    again, after a pause that doubles from one second to five minutes; `busy_until` is the end of
    that of its number.
    """
    outcomes = {answer.outcome for answer in answers}
    due = now
    duplicate = delivery.possible_duplicate
    reason = ""
    if Outcome.REFUSED in outcomes:
        state = State.FAILED
        reason = next(a.reason for a in answers if a.outcome is Outcome.REFUSED)
    elif Outcome.UNANSWERED in outcomes:
        # Once is enough: a second copy that is not answered either is not followed by a third.
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
    """Between one upstream and the store: feeds the one and, as its sink, writes to the other."""

    def __init__(
        self,
        upstream: Upstream,
        commits: GroupCommit[Event, list[Delivery] | None],
        dispatch: Dispatch,
        *,
        resending: Collection[str],
        poll: float,
    ) -> None:
        self.upstream = upstream
        self._commits = commits
        self._dispatch = dispatch
        self._resending = resending
        self._poll = poll
        self._loop = asyncio.get_running_loop()
        self._attempts: dict[int, _Attempt] = {}
        self._busy = BusyNumbers()
        #: Deliveries whose attempts have ended, which the store may not know yet.
        self._unwritten: set[int] = set()
        self._writing: set[asyncio.Task[None]] = set()

    async def feed(self) -> None:
        """Claim as much as the upstream writes at once, again and again."""
        name = self.upstream.name
        # A claim that failed may have been committed all the same.
        unsure = False
        while True:
            await self.upstream.ready()
            room = self.upstream.free()
            if room <= 0:
                await asyncio.sleep(self._poll)
                continue
            shares = self._dispatch.shares(name, room, self._loop.time())
            if not shares and not unsure:
                pause = self._dispatch.pause(name, self._loop.time())
                await asyncio.sleep(min(self._poll, max(pause, 0.001)))
                continue
            # Shielded, so that a claim that is being committed when the worker stops is seen.
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
            if not deliveries:
                await asyncio.sleep(self._poll)
                continue
            for delivery in deliveries:
                self._attempts[delivery.id] = _Attempt(delivery, set(pending_parts(delivery)))
                self.upstream.submit(delivery)

    def _give_back(self, deliveries: list[Delivery]) -> None:
        """Nothing of these has been written."""
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
        """Write an outcome, and keep at it when the store is away: it is known only here."""
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
        """Returns when no outcome waits to be written again, or after a few seconds."""
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
