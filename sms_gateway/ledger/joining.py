"""Receipts: which part each is for, and what it makes of its delivery."""

from collections.abc import Callable, Collection, Iterable, Sequence

from sqlalchemy import Connection

from ..sms.message import State
from ..sms.receipt import Receipt, id_candidates, id_key
from ..store import queue, receipts
from ..store.receipts import KnownPart
from ..telling import Telling
from ..upstream import Answer, Outcome
from .events import LateAnswer, ReceiptCame, Step

#: How long a receipt waits for its part before it may be taken as the answer that never came, ms.
_ANSWER_OVERDUE = 60_000
#: How long a receipt waits for its part at all, ms: longer than any answer is waited for.
_RECEIPT_HOPELESS = 15 * 60_000


class Joining:
    """Joins receipts to their parts, those that come before their parts too."""

    def __init__(
        self, telling: Telling, answered: Callable[[Connection, Sequence[LateAnswer]], None]
    ) -> None:
        """`answered` writes down what a receipt tells of an answer that never came."""
        self._telling = telling
        self._answered = answered
        # The early receipts are looked at again and again, in as many beats as it takes: after
        # which row the next beat goes on.
        self._swept = 0

    def take(self, connection: Connection, events: Sequence[ReceiptCame]) -> None:
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

    def look_again(self, connection: Connection, now: int) -> None:
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
        self._record(connection, joined)
        return unknown

    def _record(
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
        self._answered(
            connection, [LateAnswer(upstream=event.upstream, answer=answer, now=event.now)]
        )
        return not self._join(connection, event.upstream, [event])


def _recipient(event: ReceiptCame) -> str:
    """The number that a receipt is about, as deliveries have it."""
    return "+" + event.receipt.recipient


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
