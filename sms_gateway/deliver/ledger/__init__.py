"""The worker's ledger: writes outcomes, receipts, incoming messages and claims in one batch.

The worker's group commit hands `Ledger.apply` everything that happened since the last commit.
Within a batch outcomes come before receipts, so that a receipt finds the part it is for, and
claims come last.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from ...callbacks.outbox import Outbox
from ...routing.routes import Routes
from ...sms.message import State
from ...sms.receipt import id_key
from ...sms.stop_words import StopWords
from ...store import intake, queue, workers
from ...store.events import forget_parked
from ...upstream import Answer, Delivery, Outcome, ReceiptsOf, pending_parts
from .events import Beat, Claim, Event, LateAnswer, MessageCame, ReceiptCame, Settled, Step
from .inbound import Receiving
from .receipt_matching import ReceiptMatching

__all__ = [
    "Beat",
    "Claim",
    "Event",
    "LateAnswer",
    "Ledger",
    "MessageCame",
    "ReceiptCame",
    "Settled",
]

#: How long a receipt that matches no part is kept for people to look at, ms.
_RECEIPT_KEPT = 7 * 86_400_000

#: How long an event is kept that could not be told, for its account to ask for it, ms.
_PARKED_KEPT = 30 * 86_400_000


class Ledger:
    """Writes what happens at one worker."""

    def __init__(
        self,
        routes: Routes,
        *,
        worker: int,
        lease: int,
        stop_words: StopWords | None = None,
        receipts_of: Mapping[str, ReceiptsOf] | None = None,
    ) -> None:
        """`receipts_of`: for which parts of a long text an upstream's carrier sends receipts, for
        those where that is not each of them."""
        self._routes = routes
        self._outbox = Outbox()
        self._matching = ReceiptMatching(self._outbox, self._settle_late, receipts_of or {})
        self._receiving = Receiving(self._outbox, stop_words or StopWords())
        self._worker = worker
        self._lease = lease
        # The order in which the kinds of events of a batch are written. Received messages may
        # change accounts, which accepting locks before deliveries.
        self._writers: tuple[tuple[type, Callable[[Connection, Sequence[Any]], object]], ...] = (
            (MessageCame, self._receiving.take),
            (Settled, self._settle),
            (LateAnswer, self._settle_late),
            (ReceiptCame, self._matching.take),
            (Beat, self._tidy),
        )

    def look_for_callbacks(self, connection: Connection) -> None:
        """See which accounts have a callback by now; a `Beat` does so, too."""
        self._outbox.look(connection)

    def apply(
        self, connection: Connection, events: Sequence[Event]
    ) -> Sequence[list[Delivery] | None]:
        """Write a batch; claims result in deliveries, everything else in None."""
        events = self._matching.sort_out(connection, events)
        for kind, write in self._writers:
            chosen = [event for event in events if isinstance(event, kind)]
            if chosen:
                write(connection, chosen)
        return [
            self._claim(connection, event) if isinstance(event, Claim) else None for event in events
        ]

    def _claim(self, connection: Connection, claim: Claim) -> list[Delivery]:
        forgotten: list[Delivery] = []
        if claim.held is not None:
            forgotten = queue.claimed(
                connection, upstream=claim.upstream, worker=self._worker, but=claim.held
            )
        shares = claim.shares
        fresh = queue.claim(
            connection,
            shares=self._routes.shares(claim.upstream) if shares is None else shares,
            upstream=claim.upstream,
            worker=self._worker,
            parts=claim.parts - sum(len(pending_parts(delivery)) for delivery in forgotten),
            now=claim.now,
            hold=claim.hold,
        )
        taken = forgotten + fresh
        complete = [delivery for delivery in taken if not pending_parts(delivery)]
        if complete:
            self._submitted_before(connection, complete, claim.now)
        return [self._by_its_route(delivery) for delivery in taken if pending_parts(delivery)]

    def _submitted_before(
        self, connection: Connection, deliveries: Sequence[Delivery], now: int
    ) -> None:
        """There is nothing to hand out: the carrier's answers came after these were queued again,
        as their worker had been taken for dead."""
        with self._outbox.changes(connection, [delivery.id for delivery in deliveries], now):
            rows = [
                (d.id, d.attempt, State.SUBMITTED, now, d.possible_duplicate) for d in deliveries
            ]
            queue.settle(connection, rows, worker=self._worker)
        why = "every part had been accepted before"
        queue.record_steps(connection, [(d.id, now, 0, "submitted", why) for d in deliveries])

    def _by_its_route(self, delivery: Delivery) -> Delivery:
        """A delivery with the sender and the alphabet that its route wants."""
        route = self._routes.of_prefix(delivery.route)
        sender = route.sender_for(delivery.sender)
        if sender == delivery.sender and route.alphabet is None:
            return delivery
        return replace(delivery, sender=sender, alphabet=route.alphabet)

    def _settle(self, connection: Connection, events: Sequence[Settled]) -> None:
        parts = [
            _part_row(answer, event.upstream)
            for event in events
            for answer in event.answers
            if answer.outcome is Outcome.ACCEPTED
        ]
        if parts:
            queue.add_parts(connection, parts)
        rows = [
            (event.delivery_id, event.attempt, event.state, event.due, event.possible_duplicate)
            for event in events
        ]
        settled = [event.delivery_id for event in events]
        with self._outbox.changes(connection, settled, events[-1].now):
            queue.settle(connection, rows, worker=self._worker)
        steps: list[Step] = []
        for event in events:
            steps += (_answer_step(answer, event.now) for answer in event.answers)
            if event.state is not State.SUBMITTED:
                steps.append((event.delivery_id, event.now, 0, event.state, event.reason))
        queue.record_steps(connection, steps)

    def _settle_late(self, connection: Connection, events: Sequence[LateAnswer]) -> None:
        # One by one: these are rare, and the order in which they came matters.
        for event in events:
            with self._outbox.changes(connection, [event.answer.delivery_id], event.now):
                self._settle_one_late(connection, event)

    def _settle_one_late(self, connection: Connection, event: LateAnswer) -> None:
        answer = event.answer
        if answer.outcome is Outcome.ACCEPTED:
            queue.add_parts(connection, [_part_row(answer, event.upstream)])
            queue.settle_late(connection, [answer.delivery_id])
        else:
            state = State.FAILED if answer.outcome is Outcome.REFUSED else State.QUEUED
            row = (answer.delivery_id, answer.attempt, state, event.now, False)
            queue.settle(connection, [row], worker=self._worker)
        step = _answer_step(answer, event.now)
        queue.record_steps(connection, [(*step[:4], f"{step[4]} (late)")])

    def _tidy(self, connection: Connection, events: Sequence[Beat]) -> None:
        now = events[-1].now
        self.look_for_callbacks(connection)
        failed_over = ",".join(events[-1].failed_over)
        if not workers.prolong(
            connection, self._worker, now=now, lease=self._lease, failed_over=failed_over
        ):
            # Taken for dead after a long silence, such as a computer's sleep.
            workers.enroll(connection, now=now, lease=self._lease, number=self._worker)
        lost = queue.lost_claims(connection, resending=self._routes.resending(), now=now)
        queue.record_steps(
            connection,
            [
                (id, now, 0, state, "its worker stopped before the carrier's answer was recorded")
                for id, state in lost
            ],
        )
        self._outbox.changed(connection, dict(lost), now)
        ended = queue.expire(connection, now=now)
        self._outbox.changed(connection, dict(ended), now)
        queue.record_steps(connection, [(id, now, 0, state, _ENDS[state]) for id, state in ended])
        self._reroute(connection, now)
        self._matching.look_again(connection, now)
        self._receiving.join_overdue(connection, now)
        queue.forget_old(
            connection,
            repeats_before=now - intake.REMEMBERED,
            receipts_before=now - _RECEIPT_KEPT,
        )
        forget_parked(connection, happened_before=now - _PARKED_KEPT)
        workers.bury(connection, now=now)

    def _reroute(self, connection: Connection, now: int) -> None:
        """Queued deliveries whose route was taken out of the settings go by another."""
        without_route = queue.without_route(connection, prefixes=self._routes.prefixes())
        found = {row.id: self._routes.find(row.recipient) for row in without_route}
        moved = {id: route.prefix for id, route in found.items() if route is not None}
        if moved:
            queue.reroute(connection, moved)
            queue.record_steps(
                connection,
                [(id, now, 0, "rerouted", prefix or "default") for id, prefix in moved.items()],
            )


_ENDS = {
    State.EXPIRED: "its validity ended before a carrier took it",
    State.UNKNOWN: "no receipt came before its validity ended",
}


def _part_row(answer: Answer, upstream: str) -> tuple[int, int, str, str]:
    return (answer.delivery_id, answer.part, upstream, id_key(answer.smsc_id))


_EVENTS = {
    Outcome.ACCEPTED: "submitted",
    Outcome.RETRY: "put off",
    Outcome.BUSY: "put off",
    Outcome.REFUSED: "refused",
    Outcome.UNANSWERED: "not answered",
    Outcome.NOT_WRITTEN: "not written",
}


def _answer_step(answer: Answer, now: int) -> Step:
    detail = " ".join(filter(None, (answer.smsc_id, answer.reason)))
    return (answer.delivery_id, now, answer.part, _EVENTS[answer.outcome], detail)
