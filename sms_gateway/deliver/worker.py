"""The worker: claims what is due, hands it to the upstreams, writes down what they report."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .. import moments
from ..backoff import pause, spread
from ..log import log_error
from ..routing.routes import Routes
from ..sms.message import State
from ..sms.receipt import Receipt
from ..sms.stop_words import StopWords
from ..store import GroupCommit, Store, receipts, workers
from ..upstream import (
    Answer,
    AsksForReceipts,
    Delivery,
    Incoming,
    Outcome,
    SaysReceipts,
    TellsTrouble,
    Upstream,
    pending_parts,
)
from .busy_numbers import BusyNumbers
from .dispatch import Dispatch
from .ledger import Beat, Claim, Event, LateAnswer, Ledger, MessageCame, ReceiptCame, Settled

log = logging.getLogger(__name__)

#: Seconds between two looks at which upstreams are bound.
_WATCH = 0.2
#: The longest pause between two attempts, milliseconds.
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


class Worker:
    """Serves all upstreams of one process."""

    def __init__(
        self,
        store: Store,
        upstreams: Mapping[str, Upstream],
        routes: Routes,
        *,
        lease: int = 15_000,
        poll: float = 0.05,
        failover_after: float = 10.0,
        stop_words: StopWords | None = None,
        aside: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        """`lease` (milliseconds): how long its claims outlive a worker that dies. `poll`
        (seconds): how often an idle worker looks for work. `failover_after` (seconds): how long
        an upstream may be away or failing until others stand in for it. `stop_words`: what
        handsets write to have no more messages. `aside`: what runs beside it until it stops, such
        as the sending of events."""
        self._store = store
        self._upstreams = upstreams
        self._routes = routes
        self._lease = lease
        self._poll = poll
        self._dispatch = Dispatch(routes, upstreams, grace=failover_after)
        self._stop_words = stop_words
        self._aside = aside

    async def run(self) -> None:
        """Work until cancelled, then stop cleanly: what was written is answered or recorded as
        uncertain, and nothing stays claimed."""
        number = await asyncio.to_thread(self._enroll)
        ledger = Ledger(
            self._routes,
            worker=number,
            lease=self._lease,
            stop_words=self._stop_words,
            receipts_of={
                upstream.name: upstream.receipts_of()
                for upstream in self._upstreams.values()
                if isinstance(upstream, SaysReceipts)
            },
        )
        commits: GroupCommit[Event, list[Delivery] | None] = GroupCommit(
            self._store, ledger.apply, limit=1_000_000
        )
        counters = [
            Feeder(
                upstream,
                commits,
                self._dispatch,
                resending=self._routes.resending(),
                poll=self._poll,
            )
            for upstream in self._upstreams.values()
        ]
        log.info("worker started", extra={"worker": number, "upstreams": list(self._upstreams)})
        await self._ask_for_receipts()
        feeding = [asyncio.create_task(counter.feed()) for counter in counters]
        feeding.append(asyncio.create_task(self._watch()))
        feeding += [asyncio.create_task(_forever(work)) for work in self._aside]
        links = [asyncio.create_task(c.upstream.run(c), name=c.upstream.name) for c in counters]
        beating = asyncio.create_task(self._beat(commits))
        try:
            await _first_failure([*feeding, *links, beating])
        finally:
            await asyncio.shield(
                asyncio.create_task(self._stop(number, commits, counters, feeding, links, beating))
            )

    async def _stop(
        self,
        number: int,
        commits: GroupCommit[Event, list[Delivery] | None],
        counters: list["Feeder"],
        feeding: list[asyncio.Task[None]],
        links: list[asyncio.Task[None]],
        beating: asyncio.Task[None],
    ) -> None:
        await _cancelled(feeding)
        await _cancelled(links)
        await asyncio.gather(*(counter.flushed() for counter in counters))
        await _cancelled([beating])
        await commits.aclose()
        await asyncio.to_thread(self._dismiss, number)
        log.info("worker stopped", extra={"worker": number})

    async def _ask_for_receipts(self) -> None:
        """What was submitted before the last stop is still owed its receipts."""
        for upstream in self._upstreams.values():
            if isinstance(upstream, AsksForReceipts):
                owed = await asyncio.to_thread(self._owed, upstream.name)
                upstream.ask_for(owed)

    def _owed(self, upstream: str) -> list[tuple[str, str, int]]:
        with self._store.read() as connection:
            return receipts.awaited(connection, upstream, moments.now())

    async def _watch(self) -> None:
        """See which upstreams are bound."""
        loop = asyncio.get_running_loop()
        while True:
            for upstream in self._upstreams.values():
                bound = upstream.is_bound()
                why = upstream.trouble() if isinstance(upstream, TellsTrouble) else ""
                self._dispatch.noticed(upstream.name, bound=bound, now=loop.time(), why=why)
            await asyncio.sleep(_WATCH)

    async def _beat(self, commits: GroupCommit[Event, list[Delivery] | None]) -> None:
        while True:
            try:
                leaving = self._dispatch.left(asyncio.get_running_loop().time())
                await commits.submit(Beat(now=moments.now(), leaving=tuple(leaving)))
            except Exception as error:
                log_error(log, "store unavailable", error)
            await asyncio.sleep(min(1.0, self._lease / 3_000))

    def _enroll(self) -> int:
        with self._store.write() as connection:
            return workers.enroll(connection, now=moments.now(), lease=self._lease)

    def _dismiss(self, number: int) -> None:
        with self._store.write() as connection:
            workers.dismiss(connection, number)


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


async def _forever(work: Callable[[], Awaitable[None]]) -> None:
    """What runs beside the carriers must not end the worker when it fails."""
    while True:
        try:
            await work()
        except Exception as error:
            log_error(log, "task failed", error)
        await asyncio.sleep(1)


async def _first_failure(tasks: list[asyncio.Task[None]]) -> None:
    """Wait until one of the tasks ends, which none does of itself, and raise what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            log_error(log, "task ended with an error", result)
