"""Messages from handsets: joined of their parts, stored for whose number they came to, heeded."""

from collections.abc import Sequence

from sqlalchemy import Connection

from ..sms import numbering
from ..sms.encoding import join_parts
from ..sms.message import State
from ..sms.stop_words import StopWords, Wish
from ..store import inbox, stops
from ..telling import Telling
from ..upstream import Incoming
from .events import MessageCame

#: How long a received message waits for a missing part, counted from the last that came, ms.
_PART_OVERDUE = 30 * 60_000
# What stands for a part of a received message that never came.
_GAP = " [...] "


class Receiving:
    """Writes down what handsets send."""

    def __init__(self, telling: Telling, stop_words: StopWords) -> None:
        self._telling = telling
        self._stop_words = stop_words

    def take(self, connection: Connection, events: Sequence[MessageCame]) -> None:
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

    def join_overdue(self, connection: Connection, now: int) -> None:
        """Wait no longer for parts that did not come."""
        overdue = inbox.incomplete(connection, received_before=now - _PART_OVERDUE)
        if overdue:
            inbox.take_turns(connection)
            for key in overdue:
                self._join_parts(connection, key, complete=False)

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
