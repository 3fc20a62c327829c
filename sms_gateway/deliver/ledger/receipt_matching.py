"""Receipts: finds the part of each and changes the state of its delivery."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from ...callbacks.outbox import Outbox
from ...sms.message import State
from ...sms.receipt import Receipt, with_raw
from ...sms.receipt_numbers import agrees, numbers_told
from ...store import queue, receipts
from ...store.receipts import KnownPart
from ...upstream import Answer, Outcome, ReceiptsOf
from .events import Event, LateAnswer, MessageCame, ReceiptCame, Step
from .long_texts import LongTexts
from .matching import Match, Place, Use, all_keys, exact_keys, match

log = logging.getLogger(__name__)

#: How long a receipt waits for its part before it may be taken as the answer that never came, ms.
_ANSWER_OVERDUE = 60_000
#: How long a receipt waits for its part at all, ms: longer than any answer is waited for.
_RECEIPT_HOPELESS = 15 * 60_000
#: A carrier does not use an id again so soon after its answer, ms.
_FRESH = 5_000

#: A receipt, with the part it matches.
_Matched = tuple[ReceiptCame, Match]


class ReceiptMatching:
    """Joins receipts to their parts, also receipts that come before their part's answer."""

    def __init__(
        self,
        outbox: Outbox,
        answered: Callable[[Connection, Sequence[LateAnswer]], None],
        receipts_of: Mapping[str, ReceiptsOf],
    ) -> None:
        """`answered` writes down what a receipt tells of an answer that never came; `receipts_of`
        is for which parts of a long text an upstream reports."""
        self._outbox = outbox
        self._answered = answered
        self._long_texts = LongTexts(receipts_of)
        # Heartbeats look at the early receipts in turn. Cursor: the id after which the next one
        # resumes.
        self._swept = 0

    def sort_out(self, connection: Connection, events: Sequence[Event]) -> Sequence[Event]:
        """Treat messages in the form of a receipt as receipts where they may be of our submits.

        Such a message is a receipt when its id is that of a part which went to its source number,
        or when a message is on its way to that number whose id is not known yet: then it waits like
        any early receipt. Any other message of that form stays a message.
        """
        return [
            ReceiptCame(upstream=event.upstream, receipt=event.incoming.receipt, now=event.now)
            if isinstance(event, MessageCame)
            and event.incoming.receipt is not None
            and self._may_be_ours(connection, event.upstream, event.incoming.receipt, event.now)
            else event
            for event in events
        ]

    def _may_be_ours(
        self, connection: Connection, upstream: str, receipt: Receipt, now: int
    ) -> bool:
        known = _parts(connection, upstream, all_keys(receipt))
        part = match(receipt, known, now=now, taken=()).part
        if part is not None and agrees(receipt, part.recipient):
            return True
        numbers = {f"+{number.lstrip('0')}" for number in numbers_told(receipt)}
        if not numbers:
            return False
        under_way = receipts.submitting(connection, upstream)
        return bool(receipts.unanswered(connection, upstream, numbers)) or any(
            agrees(receipt, recipient) for _, recipient in under_way
        )

    def take(self, connection: Connection, events: Sequence[ReceiptCame]) -> None:
        """Join receipts; those whose part is not known are kept."""
        named = [event for event in events if event.receipt.smsc_id]
        early = [
            event
            for upstream in {event.upstream: None for event in named}
            for event, _ in self._join(connection, upstream, named)
        ]
        given_up = [
            event
            for event in events
            if not event.receipt.smsc_id and not self._join_by_number(connection, event)
        ]
        rows = [_early_row(event, given_up=False) for event in early]
        rows += (_early_row(event, given_up=True) for event in given_up)
        if rows:
            receipts.keep_early(connection, rows)

    def look_again(self, connection: Connection, now: int) -> None:
        """Give early receipts another look: their parts may be known by now."""
        overdue_before = now - _ANSWER_OVERDUE
        rows = receipts.early(connection, after=self._swept)
        self._swept = rows[-1].id if len(rows) == receipts.AT_ONCE else 0
        by_upstream: dict[str, dict[int, ReceiptCame]] = {}
        for row in rows:
            by_upstream.setdefault(row.upstream, {})[row.id] = _event(row)
        settled: set[int] = set()
        given_up: set[int] = set()
        for upstream, events in by_upstream.items():
            unknown = self._join(connection, upstream, events.values(), now)
            # A receipt whose part is known says nothing about another.
            answers = [
                event
                for event, found in unknown
                if found.use is Use.NOBODYS and event.now <= overdue_before
            ]
            overdue = {_recipient(event) for event in answers}
            answered = receipts.only_uncertain(connection, upstream, overdue) if overdue else {}
            taken = {
                id(event)
                for event in answers
                if _recipient(event) in answered and self._answers(connection, event)
            }
            waiting = {id(event) for event, _ in unknown} - taken
            settled |= {number for number, event in events.items() if id(event) not in waiting}
            hopeless = {
                number
                for number, event in events.items()
                if id(event) in waiting and event.now <= now - _RECEIPT_HOPELESS
            }
            if hopeless:
                _tell_kept(upstream, "no message with this id went to this number", len(hopeless))
            given_up |= hopeless
        if settled:
            receipts.drop_early(connection, settled)
        if given_up:
            receipts.give_up_early(connection, given_up)

    def _join(
        self,
        connection: Connection,
        upstream: str,
        events: Iterable[ReceiptCame],
        now: int | None = None,
    ) -> list[_Matched]:
        """Record the receipts of an upstream whose parts are known; returns the others."""
        own = [event for event in events if event.upstream == upstream]
        if not own:
            return []
        known = _parts(connection, upstream, {k for e in own for k in exact_keys(e.receipt)})
        joined: list[tuple[ReceiptCame, KnownPart]] = []
        doubtful: list[_Matched] = []
        taken: set[Place] = set()
        forms_known = False
        under_way: list[tuple[int, str]] | None = None
        for event in own:
            found = match(event.receipt, known, now=event.now, taken=taken)
            if found.use is not Use.JOIN and not forms_known:
                forms_known = True
                keys = {key for e in own for key in all_keys(e.receipt)}
                known = _parts(connection, upstream, keys)
                found = match(event.receipt, known, now=event.now, taken=taken)
            if found.use is Use.JOIN and found.part is not None and _is_old(event, found.part, now):
                if under_way is None:
                    under_way = receipts.submitting(connection, upstream)
                if _is_any_other(found.part, under_way):
                    found = Match(Use.DOUBTFUL, found.part)
            if found.use is Use.JOIN and found.part is not None:
                joined.append((event, found.part))
                if event.receipt.state is not State.SUBMITTED:
                    taken.add((found.part.delivery_id, found.part.number))
            else:
                doubtful.append((event, found))
        unknown = self._sift(connection, upstream, doubtful, joined)
        self._record(connection, joined)
        return unknown

    def _sift(
        self,
        connection: Connection,
        upstream: str,
        doubtful: Sequence[_Matched],
        joined: list[tuple[ReceiptCame, KnownPart]],
    ) -> list[_Matched]:
        """Forget repeats, and join what comes late, where nothing else is on its way to the
        number; returns the others."""
        numbers = {
            found.part.recipient
            for _, found in doubtful
            if found.part is not None and found.use in (Use.JOIN_IF_QUIET, Use.REPEAT)
        }
        under_way = receipts.unanswered(connection, upstream, numbers) if numbers else []
        unknown: list[_Matched] = []
        for event, found in doubtful:
            part = found.part
            if (
                part is None
                or found.use in (Use.TOO_LATE, Use.DOUBTFUL)
                or _is_any_other(part, under_way)
            ):
                unknown.append((event, found))
            elif found.use is Use.JOIN_IF_QUIET:
                joined.append((event, part))
        return unknown

    def _join_by_number(self, connection: Connection, event: ReceiptCame) -> bool:
        """Take a receipt without an id for the only message to its number; False where it may be
        for another, now or later: it names nothing by which it could be known then."""
        numbers = {f"+{number.lstrip('0')}" for number in numbers_told(event.receipt)}
        found = receipts.outstanding(connection, event.upstream, numbers, event.now)
        if len(found) == 1 and found[0].state == State.SUBMITTED:
            parts = receipts.parts_of(connection, found[0].id)
            open = [part for part in parts if part.state == State.SUBMITTED]
            if open:
                self._record(connection, [(event, open[0])])
                return True
        if len(found) > 1:
            why = "several messages to its number wait for one"
        elif found:
            why = "the message to its number has no answer yet, or all its receipts"
        else:
            why = "no message to its number waits for one"
        _tell_kept(event.upstream, f"it has no id, and {why}", 1)
        return False

    def _record(
        self, connection: Connection, joined: Sequence[tuple[ReceiptCame, KnownPart]]
    ) -> None:
        steps: list[Step] = []
        changed: dict[Place, tuple[ReceiptCame, KnownPart]] = {}
        spoken: set[int] = set()
        for event, part in joined:
            receipt = event.receipt
            place = (part.delivery_id, part.number)
            if part.state != State.SUBMITTED or place in changed:
                continue  # a part's first outcome stands; a repeat adds nothing
            detail = (
                f"{receipt.state.value} err {receipt.error}" if receipt.error else receipt.state
            )
            if receipt.state is not State.SUBMITTED:
                changed[place] = (event, part)
                if part.parts > 1 and self._long_texts.speaks_for_all(
                    event.upstream, receipt, part
                ):
                    spoken.add(part.delivery_id)
                    detail += ", for all parts"
            steps.append((part.delivery_id, event.now, part.number, "receipt", detail))
        if changed:
            long = {id for (id, _), (_, part) in changed.items() if part.parts > 1}
            # Receipts for its other parts may come to another worker at this very moment.
            queue.lock(connection, long)
            receipts.set_part_states(
                connection,
                [(*place, event.receipt.state) for place, (event, _) in changed.items()],
            )
            outcomes = self._outcomes(connection, changed, long, spoken)
            if outcomes:
                with self._outbox.changes(connection, outcomes, joined[-1][0].now):
                    receipts.set_outcomes(connection, list(outcomes.items()))
        queue.record_steps(connection, steps)

    def _outcomes(
        self,
        connection: Connection,
        changed: Mapping[Place, tuple[ReceiptCame, KnownPart]],
        long: Collection[int],
        spoken: Collection[int],
    ) -> dict[int, State]:
        """The outcomes of deliveries that receipts for these parts decide."""
        outcomes: dict[int, State] = {}
        states = receipts.part_states(connection, long) if long else {}
        for (delivery_id, _), (event, part) in changed.items():
            if part.parts == 1:
                outcomes[delivery_id] = event.receipt.state
                continue
            known = states[delivery_id]
            worst = [s for s in known if s not in (State.SUBMITTED, State.DELIVERED)]
            is_whole = delivery_id in spoken and len(known) == part.parts
            if worst:
                outcomes[delivery_id] = worst[0]
            elif is_whole or known.count(State.DELIVERED) == part.parts:
                outcomes[delivery_id] = State.DELIVERED
            self._long_texts.reported(event.upstream, part, known, event.now)
        return outcomes

    def complete(self, connection: Connection, now: int) -> None:
        """Deliver long texts of which the carrier, as is known by now, reports one part only."""
        complete = self._long_texts.look(connection, now)
        if not complete:
            return
        queue.lock(connection, complete)
        with self._outbox.changes(connection, complete, now):
            receipts.set_outcomes(connection, [(id, State.DELIVERED) for id in complete])
        why = "delivered: this carrier reports one part of a long text"
        queue.record_steps(connection, [(id, now, 0, "receipt", why) for id in complete])

    def _answers(self, connection: Connection, event: ReceiptCame) -> bool:
        """Take a receipt for the answer of the one delivery to its recipient that never got any.

        The receipt is the only place where the carrier gave this id.
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
        self._answered(
            connection, [LateAnswer(upstream=event.upstream, answer=answer, now=event.now)]
        )
        return not self._join(connection, event.upstream, [event])


def _recipient(event: ReceiptCame) -> str:
    """The number that a receipt is about, as deliveries have it."""
    return "+" + event.receipt.recipient


def _is_old(event: ReceiptCame, part: KnownPart, now: int | None) -> bool:
    """Whether a receipt may be another message's, as its part was answered long ago; that is asked
    for as long as an answer takes."""
    return (
        event.receipt.state is not State.SUBMITTED
        and event.now > part.settled_at + _FRESH
        and (now is None or now < event.now + _ANSWER_OVERDUE)
    )


def _is_any_other(part: KnownPart, deliveries: Iterable[tuple[int, str]]) -> bool:
    """Whether one of these, other than the part's own, goes to its number."""
    return any(to == part.recipient and id != part.delivery_id for id, to in deliveries)


def _early_row(event: ReceiptCame, *, given_up: bool) -> dict[str, object]:
    receipt = event.receipt
    other = [receipt.other_number] if receipt.other_number in numbers_told(receipt) else []
    return {
        "upstream": event.upstream,
        "smsc_id": receipt.smsc_id,
        "state": receipt.state,
        "recipient": " ".join([receipt.recipient, *other]),
        "error": receipt.error,
        "done_at": receipt.done_at,
        "raw": receipt.raw,
        "received_at": event.now,
        "given_up": given_up,
    }


def _event(row: Any) -> ReceiptCame:
    recipient, _, other = row.recipient.partition(" ")
    receipt = Receipt(
        smsc_id=row.smsc_id,
        state=State(row.state),
        recipient=recipient,
        error=row.error,
        done_at=row.done_at,
        raw=row.raw,
        other_number=other,
    )
    return ReceiptCame(upstream=row.upstream, receipt=with_raw(receipt), now=row.received_at)


def _tell_kept(upstream: str, why: str, count: int) -> None:
    """Say that receipts decide nothing and are kept for people."""
    log.warning("receipts kept", extra={"upstream": upstream, "why": why, "count": count})


def _parts(
    connection: Connection, upstream: str, keys: Collection[str]
) -> dict[str, list[KnownPart]]:
    """The parts that an upstream knows by these keys, of each key the newest delivery's first."""
    known: dict[str, list[KnownPart]] = {}
    for part in receipts.parts_by_key(connection, upstream, keys) if keys else ():
        known.setdefault(part.smsc_key, []).append(part)
    for parts in known.values():
        parts.sort(key=lambda part: (-part.delivery_id, part.number))
    return known
