"""The worker's ledger: writes outcomes, receipts, incoming messages and claims in one batch.

The worker's group commit hands `Ledger.apply` everything that happened since the last commit.
Within a batch outcomes come before receipts, so that a receipt finds the part it is for, and
claims come last.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from ...callbacks.outbox import Outbox
from ...routing.routes import Routes
from ...sms.encoding import choose
from ...sms.message import State
from ...sms.receipt import id_key
from ...sms.stop_words import StopWords
from ...store import attempts, claims, queue, workers
from ...upstream import Answer, Delivery, Outcome, ReceiptsOf, pending_parts
from .events import Beat, Claim, Event, LateAnswer, MessageCame, ReceiptCame, Settled, Step
from .housekeeping import Housekeeping
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
        self.housekeeping = Housekeeping(routes, self._outbox, self._matching, self._receiving)
        self._worker = worker
        self._lease = lease
        #: Whose turn it is in the claims of each upstream.
        self._turns: dict[str, claims.Turns] = defaultdict(claims.Turns)
        # The order in which the kinds of events of a batch are written. Received messages may
        # change accounts, which accepting locks before deliveries.
        self._writers: tuple[tuple[type, Callable[[Connection, Sequence[Any]], object]], ...] = (
            (MessageCame, self._receiving.take),
            (Settled, self._settle),
            (LateAnswer, self._settle_late),
            (ReceiptCame, self._matching.take),
            (Beat, self._beat),
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
            forgotten = claims.claimed(
                connection, upstream=claim.upstream, worker=self._worker, but=claim.held
            )
        shares = claim.shares
        fresh = claims.claim_due(
            connection,
            shares=self._routes.shares(claim.upstream) if shares is None else shares,
            routes=self._routes,
            upstream=claim.upstream,
            worker=self._worker,
            parts=claim.parts - sum(len(pending_parts(delivery)) for delivery in forgotten),
            now=claim.now,
            turns=self._turns[claim.upstream],
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
            self._write_ends(connection, rows, now)
        why = "every part had been accepted before"
        queue.record_steps(connection, [(d.id, now, 0, "submitted", why) for d in deliveries])

    def _by_its_route(self, delivery: Delivery) -> Delivery:
        """A delivery with the sender, the text and the alphabet that its route wants."""
        route = self._routes.of_prefix(delivery.route)
        sender, text = route.sender_for(delivery.sender), route.text_for(delivery.text)
        if text != delivery.text:
            delivery = replace(delivery, text=text, encoding=choose(text))
        if sender == delivery.sender and route.alphabet is None:
            return delivery
        return replace(delivery, sender=sender, alphabet=route.alphabet)

    def _write_ends(self, connection: Connection, rows: Sequence[attempts.Ended], now: int) -> None:
        attempts.settle(connection, rows, worker=self._worker, routes=self._routes, now=now)

    def _settle(self, connection: Connection, events: Sequence[Settled]) -> None:
        parts = [
            _part_row(answer, event.upstream)
            for event in events
            for answer in event.answers
            if answer.outcome is Outcome.ACCEPTED
        ]
        if parts:
            attempts.add_parts(connection, parts)
        rows = [
            (event.delivery_id, event.attempt, event.state, event.due, event.possible_duplicate)
            for event in events
        ]
        settled = [event.delivery_id for event in events]
        with self._outbox.changes(connection, settled, events[-1].now):
            self._write_ends(connection, rows, events[-1].now)
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
            attempts.add_parts(connection, [_part_row(answer, event.upstream)])
            attempts.settle_late(connection, [answer.delivery_id])
        else:
            state = State.FAILED if answer.outcome is Outcome.REFUSED else State.QUEUED
            row = (answer.delivery_id, answer.attempt, state, event.now, False)
            self._write_ends(connection, [row], event.now)
        step = _answer_step(answer, event.now)
        queue.record_steps(connection, [(*step[:4], f"{step[4]} (late)")])

    def _beat(self, connection: Connection, events: Sequence[Beat]) -> None:
        now = events[-1].now
        self.look_for_callbacks(connection)
        failed_over = ",".join(events[-1].failed_over)
        if not workers.prolong(
            connection, self._worker, now=now, lease=self._lease, failed_over=failed_over
        ):
            # Taken for dead after a long silence, such as a computer's sleep.
            workers.enroll(connection, now=now, lease=self._lease, number=self._worker)
        self._matching.complete(connection, now)


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
