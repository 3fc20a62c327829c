"""What a worker writes down: outcomes, receipts, incoming messages and claims, in one batch.

The worker's group commit hands `Ledger.apply` everything that happened since the last commit.
Within a batch outcomes come before receipts, so that a receipt finds the part it is for, and
claims come last.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from .routes import Routes, Share
from .sms import numbering
from .sms.encoding import join_parts
from .sms.message import State
from .sms.receipt import Receipt, id_candidates, id_key
from .sms.stop_words import StopWords, Wish
from .store import inbox, intake, queue, receipts, stops, workers
from .store.events import forget_parked
from .store.receipts import KnownPart
from .telling import Telling
from .upstream import Answer, Delivery, Incoming, Outcome, pending_parts

#: How long a receipt waits for its part before it may be taken as the answer that never came, ms.
_ANSWER_OVERDUE = 60_000
#: How long a receipt waits for its part at all, ms: longer than any answer is waited for.
_RECEIPT_HOPELESS = 15 * 60_000
#: How long a receipt that fits nothing is kept for people to look at, ms.
_RECEIPT_KEPT = 7 * 86_400_000

#: How long an event is kept that could not be told, for its account to ask for it, ms.
_PARKED_KEPT = 30 * 86_400_000

#: How long a received message waits for a missing part, counted from the last that came, ms.
_PART_OVERDUE = 30 * 60_000
# What stands for a part of a received message that never came.
_GAP = " [...] "

#: Delivery, time, part (0: all), event, detail: a row of the journal.
Step = tuple[int, int, int, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Take what is due; the result is a list of deliveries."""

    upstream: str
    #: Room in parts.
    parts: int
    now: int
    #: What of which routes; None is what the upstream takes while all of them work.
    shares: Sequence[Share] | None = None
    #: After a claim of which nobody knows whether it was committed: all that this upstream knows
    #: to be claimed. What else the worker holds comes with the result.
    held: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """An attempt has ended."""

    delivery_id: int
    #: `Delivery.attempt`: an event that is written a second time must not end the next attempt.
    attempt: int
    upstream: str
    state: State
    #: When to try again (QUEUED); otherwise of no matter.
    due: int
    possible_duplicate: bool
    #: One answer for each part of the attempt.
    answers: Sequence[Answer]
    #: Why it ended so, when the answers do not say it.
    reason: str = ""
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LateAnswer:
    """An answer that came after its part had been given up."""

    upstream: str
    answer: Answer
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptCame:
    upstream: str
    receipt: Receipt
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCame:
    upstream: str
    incoming: Incoming
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Time has passed: stay alive, and tidy up what time ends."""

    now: int
    #: The upstreams that the worker has left for others.
    leaving: tuple[str, ...] = ()


Event = Claim | Settled | LateAnswer | ReceiptCame | MessageCame | Beat


class Ledger:
    """Writes what happens at one worker."""

    def __init__(
        self, routes: Routes, *, worker: int, lease: int, stop_words: StopWords | None = None
    ) -> None:
        self._routes = routes
        self._stop_words = stop_words or StopWords()
        self._telling = Telling()
        self._worker = worker
        self._lease = lease
        # The early receipts are looked at again and again, in as many beats as it takes: after
        # which row the next beat goes on.
        self._swept = 0
        # The order in which the kinds of events of a batch are written. Received messages may
        # change accounts, which accepting locks before deliveries.
        self._writers: tuple[tuple[type, Callable[[Connection, Sequence[Any]], object]], ...] = (
            (MessageCame, self._take_messages),
            (Settled, self._settle),
            (LateAnswer, self._settle_late),
            (ReceiptCame, self._take_receipts),
            (Beat, self._tidy),
        )

    def apply(
        self, connection: Connection, events: Sequence[Event]
    ) -> Sequence[list[Delivery] | None]:
        """Write a batch; claims result in deliveries, everything else in None."""
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
        with self._telling.changes(connection, [delivery.id for delivery in deliveries], now):
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
        with self._telling.changes(connection, settled, events[-1].now):
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
            with self._telling.changes(connection, [event.answer.delivery_id], event.now):
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

    def _take_receipts(self, connection: Connection, events: Sequence[ReceiptCame]) -> None:
        early = [
            event
            for upstream in {event.upstream for event in events}
            for event in self._join(connection, upstream, events)
        ]
        if early:
            receipts.keep_early(
                connection,
                [
                    {
                        "upstream": event.upstream,
                        "smsc_id": event.receipt.smsc_id,
                        "state": event.receipt.state,
                        "recipient": event.receipt.recipient,
                        "error": event.receipt.error,
                        "done_at": event.receipt.done_at,
                        "raw": event.receipt.raw,
                        "received_at": event.now,
                        "given_up": False,
                    }
                    for event in early
                ],
            )

    def _join(
        self, connection: Connection, upstream: str, events: Iterable[ReceiptCame]
    ) -> list[ReceiptCame]:
        """Record the receipts of an upstream whose parts are known; returns the others."""
        own = [event for event in events if event.upstream == upstream]
        if not own:
            return []
        known = _parts(connection, upstream, {id_key(event.receipt.smsc_id) for event in own})
        parts = [_exact(event.receipt, known) for event in own]
        if None in parts:
            doubtful = [e.receipt for e, part in zip(own, parts, strict=True) if part is None]
            keys = {form for receipt in doubtful for form in id_candidates(receipt.smsc_id)}
            known = _parts(connection, upstream, keys)
            parts = [
                _choose(event.receipt, known) if part is None else part
                for event, part in zip(own, parts, strict=True)
            ]
        joined: list[tuple[ReceiptCame, KnownPart]] = []
        unknown: list[ReceiptCame] = []
        for event, part in zip(own, parts, strict=True):
            if part is None:
                unknown.append(event)
            else:
                joined.append((event, part))
        self._record_receipts(connection, joined)
        return unknown

    def _record_receipts(
        self, connection: Connection, joined: Sequence[tuple[ReceiptCame, KnownPart]]
    ) -> None:
        steps: list[Step] = []
        changed: dict[tuple[int, int], State] = {}
        totals: dict[int, int] = {}
        for event, (_, delivery_id, number, recorded, _, total) in joined:
            receipt = event.receipt
            state = changed.get((delivery_id, number), recorded)
            if state == State.SUBMITTED:  # a part's first outcome stands; a repeat adds nothing
                detail = (
                    f"{receipt.state.value} err {receipt.error}" if receipt.error else receipt.state
                )
                steps.append((delivery_id, event.now, number, "receipt", detail))
                if receipt.state is not State.SUBMITTED:
                    changed[delivery_id, number] = receipt.state
                    totals[delivery_id] = total
        if changed:
            # Receipts for its other parts may come to another worker at this very moment.
            queue.lock(connection, [id for id, total in totals.items() if total > 1])
            receipts.set_part_states(
                connection,
                [(id, number, state) for (id, number), state in changed.items()],
            )
            outcomes = _fold_parts(connection, changed, totals)
            if outcomes:
                with self._telling.changes(connection, outcomes, joined[-1][0].now):
                    receipts.set_outcomes(connection, list(outcomes.items()))
        queue.record_steps(connection, steps)

    def _take_messages(self, connection: Connection, events: Sequence[MessageCame]) -> None:
        inbox.take_turns(connection)
        whole = [event for event in events if event.incoming.total == 1]
        self._receive(connection, [(e.upstream, e.incoming, e.now) for e in whole])
        parts = [event for event in events if event.incoming.total > 1]
        if parts:
            inbox.add_parts(
                connection,
                [
                    {
                        "upstream": event.upstream,
                        "sender": event.incoming.sender,
                        "recipient": event.incoming.recipient,
                        "reference": event.incoming.reference,
                        "total": event.incoming.total,
                        "number": event.incoming.number,
                        "text": event.incoming.text.encode("utf-8", "surrogatepass"),
                        "received_at": event.now,
                    }
                    for event in parts
                ],
            )
        for key in {_whole(event): None for event in parts}:
            self._join_parts(connection, key, complete=True)

    def _join_parts(self, connection: Connection, key: inbox.Whole, *, complete: bool) -> None:
        """Make one message of its parts; with `complete` only when all of them are there."""
        upstream, sender, recipient, _, total = key
        texts = {row.number: row for row in inbox.parts_of(connection, key)}
        if not texts or (complete and len(texts) < total):
            return
        text = join_parts(
            texts[n].text.decode("utf-8", "surrogatepass") if n in texts else _GAP
            for n in range(1, total + 1)
        )
        came_at = max(row.received_at for row in texts.values())
        joined = Incoming(sender=sender, recipient=recipient, text=text)
        self._receive(connection, [(upstream, joined, came_at)])
        inbox.drop_parts(connection, key)

    def _receive(
        self, connection: Connection, messages: Sequence[tuple[str, Incoming, int]]
    ) -> None:
        """Store whole messages for whoever has the number they were sent to."""
        if not messages:
            return
        owners = inbox.owners(connection, {_digits(m.recipient) for _, m, _ in messages})
        for _, incoming, at in messages:
            self._heed(connection, owners.get(_digits(incoming.recipient)), incoming, at)
        rows = [
            {
                "account_id": owners.get(_digits(incoming.recipient)),
                "upstream": upstream,
                "sender": incoming.sender,
                "recipient": incoming.recipient,
                "text": incoming.text,
                "received_at": at,
            }
            for upstream, incoming, at in messages
        ]
        with self._telling.receiving(connection, messages[-1][2]):
            inbox.add_received(connection, rows)

    def _heed(
        self, connection: Connection, account_id: int | None, incoming: Incoming, now: int
    ) -> None:
        """Do what a received message asks for, if it is STOP or START in any language."""
        wish = self._stop_words.wish(incoming.text)
        if wish is None or account_id is None:
            return
        recipient = _e164(incoming.sender)
        if wish is Wish.START:
            stops.lift(connection, account_id, recipient)
        elif stops.add(connection, account_id, recipient, now):
            ended = stops.end_queued(connection, account_id, recipient, now)
            self._telling.changed(connection, dict.fromkeys(ended, State.FAILED), now)

    def _tidy(self, connection: Connection, events: Sequence[Beat]) -> None:
        now = events[-1].now
        self._telling.look(connection)
        leaving = ",".join(events[-1].leaving)
        if not workers.prolong(
            connection, self._worker, now=now, lease=self._lease, leaving=leaving
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
        self._telling.changed(connection, dict(lost), now)
        ended = queue.expire(connection, now=now)
        self._telling.changed(connection, dict(ended), now)
        queue.record_steps(connection, [(id, now, 0, state, _ENDS[state]) for id, state in ended])
        self._reroute(connection, now)
        self._join_early(connection, now)
        overdue = inbox.incomplete(connection, received_before=now - _PART_OVERDUE)
        if overdue:
            inbox.take_turns(connection)
            for key in overdue:
                self._join_parts(connection, key, complete=False)
        queue.forget_old(
            connection,
            repeats_before=now - intake.REMEMBERED,
            receipts_before=now - _RECEIPT_KEPT,
        )
        forget_parked(connection, happened_before=now - _PARKED_KEPT)
        workers.bury(connection, now=now)

    def _reroute(self, connection: Connection, now: int) -> None:
        """Queued deliveries whose route was taken out of the settings go by another."""
        strays = queue.strays(connection, prefixes=self._routes.prefixes())
        found = {row.id: self._routes.find(row.recipient) for row in strays}
        moved = {id: route.prefix for id, route in found.items() if route is not None}
        if moved:
            queue.reroute(connection, moved)
            queue.record_steps(
                connection,
                [(id, now, 0, "rerouted", prefix or "default") for id, prefix in moved.items()],
            )

    def _join_early(self, connection: Connection, now: int) -> None:
        """Give early receipts another look: their parts may be known by now."""
        overdue_before = now - _ANSWER_OVERDUE
        rows = receipts.early(connection, after=self._swept)
        self._swept = rows[-1].id if len(rows) == receipts.AT_ONCE else 0
        by_upstream: dict[str, dict[int, ReceiptCame]] = {}
        for row in rows:
            by_upstream.setdefault(row.upstream, {})[row.id] = ReceiptCame(
                upstream=row.upstream,
                receipt=Receipt(
                    smsc_id=row.smsc_id,
                    state=State(row.state),
                    recipient=row.recipient,
                    error=row.error,
                    done_at=row.done_at,
                    raw=row.raw,
                ),
                now=row.received_at,
            )
        settled: set[int] = set()
        given_up: set[int] = set()
        for upstream, events in by_upstream.items():
            unknown = self._join(connection, upstream, events.values())
            overdue = {_recipient(event) for event in unknown if event.now <= overdue_before}
            answered = receipts.only_uncertain(connection, upstream, overdue) if overdue else {}
            waiting = {
                id(event)
                for event in unknown
                if event.now > overdue_before
                or _recipient(event) not in answered
                or not self._answers(connection, event)
            }
            settled |= {number for number, event in events.items() if id(event) not in waiting}
            given_up |= {
                number
                for number, event in events.items()
                if id(event) in waiting and event.now <= now - _RECEIPT_HOPELESS
            }
        if settled:
            receipts.drop_early(connection, settled)
        if given_up:
            receipts.give_up_early(connection, given_up)

    def _answers(self, connection: Connection, event: ReceiptCame) -> bool:
        """Take a receipt for the answer of the one delivery to its recipient that never got any.

        The name in the receipt is all the carrier ever told of that submit.
        """
        receipt = event.receipt
        if not self._join(connection, event.upstream, [event]):
            return True  # a repeat of one that was just taken for an answer
        number = _recipient(event)
        row = receipts.only_uncertain(connection, event.upstream, [number]).get(number)
        if row is None or receipts.is_under_way(connection, number):
            return False
        queue.lock(connection, [row.id])
        answer = Answer(
            delivery_id=row.id,
            part=receipts.first_unanswered(connection, row.id, row.parts),
            outcome=Outcome.ACCEPTED,
            smsc_id=receipt.smsc_id,
            reason="known from its receipt",
        )
        self._settle_late(
            connection, [LateAnswer(upstream=event.upstream, answer=answer, now=event.now)]
        )
        return not self._join(connection, event.upstream, [event])


def _recipient(event: ReceiptCame) -> str:
    """The number that a receipt is about, as deliveries have it."""
    return "+" + event.receipt.recipient


def _whole(event: MessageCame) -> inbox.Whole:
    incoming = event.incoming
    key = (incoming.sender, incoming.recipient, incoming.reference, incoming.total)
    return (event.upstream, *key)


def _e164(number: str) -> str:
    """A sender as deliveries name their recipients, where it is a number with its country code."""
    digits = _digits(number)
    found = numbering.international(digits) if digits.isascii() and digits.isdigit() else None
    return found[0] if found is not None else number


def _digits(number: str) -> str:
    """A number as dedicated numbers are stored."""
    return number.removeprefix("+").removeprefix("00")


_ENDS = {
    State.EXPIRED: "its validity ended before a carrier took it",
    State.UNKNOWN: "no receipt came before its validity ended",
}


def _part_row(answer: Answer, upstream: str) -> tuple[int, int, str, str]:
    return (answer.delivery_id, answer.part, upstream, id_key(answer.smsc_id))


_EVENTS = {
    Outcome.ACCEPTED: "submitted",
    Outcome.RETRY: "put off",
    Outcome.REFUSED: "refused",
    Outcome.UNANSWERED: "not answered",
    Outcome.NOT_WRITTEN: "not written",
}


def _answer_step(answer: Answer, now: int) -> Step:
    detail = " ".join(filter(None, (answer.smsc_id, answer.reason)))
    return (answer.delivery_id, now, answer.part, _EVENTS[answer.outcome], detail)


def _parts(
    connection: Connection, upstream: str, keys: Collection[str]
) -> dict[str, list[KnownPart]]:
    """The parts that an upstream knows by these keys, the newest of each key first."""
    known: dict[str, list[KnownPart]] = {}
    for part in receipts.parts_by_key(connection, upstream, keys):
        known.setdefault(part.smsc_key, []).append(part)
    for parts in known.values():
        parts.sort(key=lambda part: -part.delivery_id)
    return known


def _exact(receipt: Receipt, known: dict[str, list[KnownPart]]) -> KnownPart | None:
    """The newest part with the very id of a receipt and its recipient, if that is told.

    A carrier may use an id again."""
    for part in known.get(id_key(receipt.smsc_id), ()):
        if not receipt.recipient or part.recipient.lstrip("+") == receipt.recipient:
            return part
    return None


def _choose(receipt: Receipt, known: dict[str, list[KnownPart]]) -> KnownPart | None:
    """The part that a receipt without an exact one is for, or None.

    Another form of the id (hex for decimal, say) may be some other message's own id: there the
    recipient has to agree as well.
    """
    exact, *forms = id_candidates(receipt.smsc_id)
    for form in forms:
        for part in known.get(form, ()):
            if part.recipient.lstrip("+") == receipt.recipient:
                return part
    # The very id, whatever the carrier makes of the number (some write it nationally).
    return next(iter(known.get(exact, ())), None)


def _fold_parts(
    connection: Connection, changed: dict[tuple[int, int], State], totals: dict[int, int]
) -> dict[int, State]:
    """The outcomes of deliveries that receipts for these parts decide."""
    outcomes: dict[int, State] = {}
    long = [id for id, total in totals.items() if total > 1]
    states = receipts.part_states(connection, long) if long else {}
    for (id, _), state in changed.items():
        if totals[id] == 1:
            outcomes[id] = state
            continue
        worst = [s for s in states[id] if s not in (State.SUBMITTED, State.DELIVERED)]
        if worst:
            outcomes[id] = worst[0]
        elif states[id].count(State.DELIVERED) == totals[id]:
            outcomes[id] = State.DELIVERED
    return outcomes
