"""Messages from handsets (MO): joins their parts, finds their owner, obeys STOP and START."""

import logging
from collections.abc import Sequence

from sqlalchemy import Connection

from ...callbacks.outbox import Outbox
from ...sms import numbering
from ...sms.encoding import join_parts
from ...sms.message import State
from ...sms.stop_words import StopWords, Wish, first_word
from ...store import inbox, stops
from ...upstream import Incoming
from .events import MessageCame
from .owners import digits_of, owners

log = logging.getLogger(__name__)

#: How long a received message waits for a missing part, counted from the last that came, ms.
_PART_OVERDUE = 30 * 60_000
#: How long a joined part is remembered, so that its repeat is recognised, ms.
_JOINED_KEPT = 6 * 3_600_000
_UNOWNED = "a message came to a number that nobody has; sendsmsnow number unowned lists them"
_LOOP = (
    "a message came from a dedicated number of this gateway: it may go round and round; look what "
    "answers to it"
)
#: The most numbers that a process warns of.
_MOST_WARNED = 1_000
# Stands for a part of a received message that never came.
_GAP = " [...] "


class Receiving:
    """Writes down the messages of handsets."""

    def __init__(self, outbox: Outbox, stop_words: StopWords) -> None:
        self._outbox = outbox
        self._stop_words = stop_words
        self._warned: set[tuple[str, str, str]] = set()

    def take(self, connection: Connection, events: Sequence[MessageCame]) -> None:
        inbox.take_turns(connection)
        events = _first_offers(connection, events)
        whole = [event for event in events if event.incoming.total == 1]
        self._receive(connection, [(e.upstream, e.incoming, e.now) for e in whole])
        for event in events:
            if event.incoming.total > 1:
                self._take_part(connection, event)

    def _take_part(self, connection: Connection, event: MessageCame) -> None:
        """Keep a part, and join the message when it was the last one missing.

        Handsets use their references again. So a part that is there with another text begins
        the next message, and what there is of the one before is handed over as it is; a part that
        is there with the same text is the carrier's second offer.
        """
        incoming, key = event.incoming, _whole(event)
        text = incoming.text.encode("utf-8", "surrogatepass")
        there = inbox.parts_of(connection, key)
        waiting = [part for part in there if part.joined_at is None]
        if waiting and max(part.received_at for part in waiting) < event.now - _PART_OVERDUE:
            self._join_parts(connection, key, complete=False)
            there = inbox.parts_of(connection, key)
        same = next((part for part in there if part.number == incoming.number), None)
        if same is not None and same.text == text:
            if same.joined_at is not None:
                # It may still belong to a new message that has this part in common.
                at = max(event.now, same.joined_at + 1)
                inbox.offered_again(connection, key, incoming.number, at)
            return
        if same is not None:
            if same.joined_at is None:
                self._join_parts(connection, key, complete=False)
            inbox.begin_anew(connection, key, but=incoming.number)
        inbox.add_part(
            connection,
            {
                "upstream": event.upstream,
                "sender": incoming.sender,
                "recipient": incoming.recipient,
                "reference": incoming.reference,
                "total": incoming.total,
                "number": incoming.number,
                "text": text,
                "received_at": event.now,
            },
        )
        self._join_parts(connection, key, complete=True)

    def join_overdue(self, connection: Connection, now: int) -> None:
        """Give up parts that are overdue, and forget parts that were joined long ago."""
        inbox.forget_joined(connection, before=now - _JOINED_KEPT)
        overdue = inbox.incomplete(connection, received_before=now - _PART_OVERDUE)
        if overdue:
            inbox.take_turns(connection)
            for key in overdue:
                self._join_parts(connection, key, complete=False)

    def _join_parts(self, connection: Connection, key: inbox.Whole, *, complete: bool) -> None:
        """Make one message of its parts; with `complete` only when all of them are there."""
        upstream, sender, recipient, _, total = key
        texts = {
            row.number: row for row in inbox.parts_of(connection, key) if row.joined_at is None
        }
        if not texts or (complete and len(texts) < total):
            return
        text = join_parts(
            (
                texts[n].text.decode("utf-8", "surrogatepass") if n in texts else None
                for n in range(1, total + 1)
            ),
            gap=_GAP,
        )
        came_at = max(row.received_at for row in texts.values())
        joined = Incoming(sender=sender, recipient=recipient, text=text)
        self._receive(connection, [(upstream, joined, came_at)])
        inbox.mark_joined(connection, key, came_at)

    def _receive(
        self, connection: Connection, messages: Sequence[tuple[str, Incoming, int]]
    ) -> None:
        """Store whole messages for the accounts whose numbers they were sent to."""
        if not messages:
            return
        found = owners(connection, {m.recipient for _, m, _ in messages})
        # As carriers write international numbers; a number in another form is nobody's here.
        ours = inbox.owners(connection, {digits_of(m.sender) for _, m, _ in messages})
        shared = inbox.shared(connection, {digits for digits, _ in found.values()})
        rows = []
        for upstream, incoming, at in messages:
            digits, account_id = found.get(incoming.recipient, ("", None))
            by_keyword = shared.get(digits, {})
            # On a shared number nobody knows from whom no more messages are wished: from none.
            for each in {account_id, *by_keyword.values()}:
                self._heed(connection, each, incoming, at)
            if by_keyword:
                account_id = by_keyword.get(first_word(incoming.text), account_id)
            if account_id is None:
                self._warn(_UNOWNED, upstream, incoming.recipient)
            if digits_of(incoming.sender) in ours:
                self._warn(_LOOP, upstream, incoming.sender)
            is_whole = account_id is None or digits == digits_of(incoming.recipient)
            rows.append(
                {
                    "account_id": account_id,
                    "upstream": upstream,
                    "sender": incoming.sender,
                    "recipient": incoming.recipient if is_whole else f"+{digits}",
                    "text": incoming.text,
                    "received_at": at,
                }
            )
        with self._outbox.receiving(connection, messages[-1][2]):
            inbox.add_received(connection, rows)

    def _warn(self, what: str, upstream: str, number: str) -> None:
        """Warn once of a number."""
        known = (what, upstream, number)
        if known in self._warned or len(self._warned) >= _MOST_WARNED:
            return
        self._warned.add(known)
        log.warning(what, extra={"upstream": upstream, "ends_in": number[-2:]})

    def _heed(
        self, connection: Connection, account_id: int | None, incoming: Incoming, now: int
    ) -> None:
        """Obey a received message that is STOP or START in any language."""
        wish = self._stop_words.wish(incoming.text)
        if wish is None or account_id is None:
            return
        recipient = _e164(incoming.sender)
        if wish is Wish.START:
            stops.lift(connection, account_id, recipient)
        elif stops.add(connection, account_id, recipient, now):
            ended = stops.end_queued(connection, account_id, recipient, now)
            self._outbox.changed(connection, dict.fromkeys(ended, State.FAILED), now)


def _first_offers(connection: Connection, events: Sequence[MessageCame]) -> Sequence[MessageCame]:
    """The messages without those that were offered before under the same id."""
    named = {(e.upstream, e.incoming.id): e.now for e in events if e.incoming.id}
    if not named:
        return events
    known = inbox.offered_before(connection, named)
    fresh = []
    for event in events:
        name = event.upstream, event.incoming.id
        if name not in known:
            fresh.append(event)
            if event.incoming.id:
                known.add(name)
    return fresh


def _whole(event: MessageCame) -> inbox.Whole:
    incoming = event.incoming
    key = (incoming.sender, incoming.recipient, incoming.reference, incoming.total)
    return (event.upstream, *key)


def _e164(number: str) -> str:
    """A sender as deliveries name their recipients, where it is a number with its country code."""
    digits = digits_of(number)
    found = numbering.international(digits) if digits.isascii() and digits.isdigit() else None
    return found[0] if found is not None else number
