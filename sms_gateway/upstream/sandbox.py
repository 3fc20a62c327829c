"""A carrier that sends nothing: it answers and reports as the number's last digits ask it to.

For trying the gateway out, for test keys and for clients that want to see every outcome.
"""

import asyncio
import heapq
import itertools
import logging
import secrets
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from ..moments import now
from ..sms.message import State
from ..sms.receipt import Receipt
from . import Answer, Delivery, Incoming, Outcome, Sink, pending_parts
from .url_options import check_limits, from_query

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The fate of a message to one of the magic numbers."""

    #: For the documentation.
    sentence: str
    #: How each part is answered, once it is not throttled any more.
    outcome: Outcome = Outcome.ACCEPTED
    #: How many attempts are throttled before.
    throttled: int = 0
    #: The receipts for each part: the state and the carrier's error code.
    receipts: tuple[tuple[State, str], ...] = ((State.DELIVERED, "000"),)
    #: The receipts come before the answer.
    receipts_first: bool = False
    #: The text that comes back as a received message.
    comes_back: str = ""


#: By the last five digits of the recipient.
MAGIC = {
    "00001": Behaviour(
        sentence="is reported undeliverable", receipts=((State.UNDELIVERABLE, "001"),)
    ),
    "00002": Behaviour(sentence="is reported expired", receipts=((State.EXPIRED, "002"),)),
    "00003": Behaviour(sentence="is refused for good", outcome=Outcome.REFUSED, receipts=()),
    "00004": Behaviour(sentence="is throttled twice and then delivered", throttled=2),
    "00005": Behaviour(
        sentence="is never answered: it becomes uncertain",
        outcome=Outcome.UNANSWERED,
        receipts=(),
    ),
    "00006": Behaviour(sentence="is accepted and never gets a receipt", receipts=()),
    "00007": Behaviour(sentence="is reported delivered before it is accepted", receipts_first=True),
    "00008": Behaviour(
        sentence="is reported delivered twice",
        receipts=((State.DELIVERED, "000"), (State.DELIVERED, "000")),
    ),
    "00009": Behaviour(
        sentence="is delivered, and an answer comes back from it",
        comes_back="Thank you for your message.",
    ),
}
#: To every other number.
DELIVERED = Behaviour(sentence="is delivered")

#: The answers in SMPP's terms (SMPP 3.4 §5.1.3).
_REASONS = {
    Outcome.ACCEPTED: "",
    Outcome.RETRY: "0x00000058 throttling error",
    Outcome.REFUSED: "0x0000000b invalid destination address",
    Outcome.UNANSWERED: "no answer",
    Outcome.NOT_WRITTEN: "",
}
#: As receipts abbreviate them (SMPP 3.4 appendix B).
_STATS = {
    State.DELIVERED: "DELIVRD",
    State.UNDELIVERABLE: "UNDELIV",
    State.EXPIRED: "EXPIRED",
}
#: The sender of answers to messages that had none.
_SHORT_NUMBER = "8000"
#: Seconds after which a receipt that could not be stored is offered again.
_OFFERED_AGAIN = 0.5
#: Seconds that the store gets when the sandbox stops.
_STOP = 5.0

#: The options of a URL with the least and the most they may be.
OPTIONS = {"delay": (0.0, 86_400.0), "timeout": (0.01, 600.0), "window": (1.0, 10_000.0)}
_TYPES = {"delay": float, "timeout": float, "window": int}

_Event = Answer | Receipt | Incoming


class SandboxUpstream:
    """The sandbox as an `Upstream`; each process has its own."""

    def __init__(
        self, name: str, *, delay: float = 0.3, timeout: float = 2.0, window: int = 100
    ) -> None:
        """`delay`: seconds until a receipt; `timeout`: seconds until an answer counts as missing;
        `window`: the most parts that wait for an answer at a time."""
        self.name = name
        self._delay = delay
        self._timeout = timeout
        self._window = window
        self._sink: Sink | None = None
        self._bound = False
        self._unanswered = 0
        # The events to come: time (the loop's clock), order, event.
        self._agenda: list[tuple[float, int, _Event]] = []
        self._order = itertools.count()
        self._added = asyncio.Event()
        self._ready = asyncio.Event()
        self._offers: set[asyncio.Task[None]] = set()
        # Ids are not used again by the next process, whose receipts would be taken for these.
        self._ids = (f"{secrets.token_hex(6)}{number:06x}" for number in itertools.count(1))

    @classmethod
    def from_url(cls, name: str, url: str) -> Self:
        """The sandbox of a URL such as `sandbox:?delay=0.3&timeout=2&window=100`.

        Raises ValueError, which says what is wrong with it.
        """
        parts = urlsplit(url)
        if parts.netloc or parts.path or parts.fragment:
            raise ValueError("sandbox: has no host or path, only options")
        given = from_query(_TYPES, OPTIONS, parts.query)
        check_limits(OPTIONS, given)
        return cls(name, **given)

    def is_bound(self) -> bool:
        """See `Upstream.is_bound`."""
        return self._bound

    def free(self) -> int:
        """See `Upstream.free`."""
        return max(0, self._window - self._unanswered) if self._bound else 0

    async def ready(self) -> None:
        """See `Upstream.ready`."""
        while not self.free():
            self._ready.clear()
            await self._ready.wait()

    def submit(self, delivery: Delivery) -> None:
        """See `Upstream.submit`. The sink hears of it later, never before this returns."""
        behaviour = MAGIC.get(delivery.recipient[-5:], DELIVERED)
        for part in pending_parts(delivery):
            self._unanswered += 1
            if self._bound or self._sink is None:
                for pause, event in self._script(delivery, part, behaviour):
                    self._later(pause, event)
            else:
                answer = _answer(delivery, part, Outcome.NOT_WRITTEN)
                asyncio.get_running_loop().call_soon(self._tell, answer)

    def _script(
        self, delivery: Delivery, part: int, behaviour: Behaviour
    ) -> list[tuple[float, _Event]]:
        """The events of one part, each after so many seconds."""
        if delivery.attempt <= behaviour.throttled:
            return [(0.0, _answer(delivery, part, Outcome.RETRY))]
        if behaviour.outcome is Outcome.UNANSWERED:
            return [(self._timeout, _answer(delivery, part, Outcome.UNANSWERED))]
        smsc_id = next(self._ids) if behaviour.outcome is Outcome.ACCEPTED else ""
        answer = _answer(delivery, part, behaviour.outcome, smsc_id)
        done_at = now() + int(self._delay * 1_000)
        receipts = [
            (self._delay, _receipt(delivery, smsc_id, state, error, done_at))
            for state, error in behaviour.receipts
        ]
        if behaviour.receipts_first:
            return [*receipts, (self._delay * 2, answer)]
        script: list[tuple[float, _Event]] = [(0.0, answer), *receipts]
        if behaviour.comes_back and part == 1:
            recipient = delivery.sender or _SHORT_NUMBER
            incoming = Incoming(
                sender=delivery.recipient, recipient=recipient, text=behaviour.comes_back
            )
            script.append((self._delay, incoming))
        return script

    async def run(self, sink: Sink) -> None:
        """See `Upstream.run`. On leaving, all events still to come happen at once."""
        self._sink = sink
        self._bound = True
        self._ready.set()
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._added.clear()
                while self._agenda and self._agenda[0][0] <= loop.time():
                    self._tell(heapq.heappop(self._agenda)[2])
                try:
                    async with asyncio.timeout_at(self._agenda[0][0] if self._agenda else None):
                        await self._added.wait()
                except TimeoutError:
                    pass
        finally:
            self._bound = False
            await self._finish()

    async def _finish(self) -> None:
        events = [event for _, _, event in sorted(self._agenda)]
        self._agenda.clear()
        for event in sorted(events, key=lambda event: not isinstance(event, Answer)):
            self._tell(event)
        pending = set(self._offers)
        if pending:
            _, pending = await asyncio.wait(pending, timeout=_STOP)
        for offer in pending:
            offer.cancel()
        if lost := len(pending) + len(self._agenda):
            log.warning("receipts lost", extra={"upstream": self.name, "lost": lost})
            self._agenda.clear()

    def _later(self, pause: float, event: _Event) -> None:
        due = asyncio.get_running_loop().time() + pause
        heapq.heappush(self._agenda, (due, next(self._order), event))
        self._added.set()

    def _tell(self, event: _Event) -> None:
        assert self._sink is not None
        if isinstance(event, Answer):
            self._unanswered -= 1
            self._sink.answered(event)
            self._ready.set()
        else:
            # Aside, so that answers do not wait for the store.
            offer = asyncio.get_running_loop().create_task(self._offer(self._sink, event))
            self._offers.add(offer)
            offer.add_done_callback(self._offers.discard)

    async def _offer(self, sink: Sink, event: Receipt | Incoming) -> None:
        try:
            if isinstance(event, Receipt):
                await sink.received_receipt(event)
            else:
                await sink.received_message(event)
        except Exception:
            self._later(_OFFERED_AGAIN, event)


def _answer(delivery: Delivery, part: int, outcome: Outcome, smsc_id: str = "") -> Answer:
    return Answer(
        delivery_id=delivery.id,
        attempt=delivery.attempt,
        part=part,
        outcome=outcome,
        smsc_id=smsc_id,
        reason=_REASONS[outcome],
    )


def _receipt(delivery: Delivery, smsc_id: str, state: State, error: str, done_at: int) -> Receipt:
    return Receipt(
        smsc_id=smsc_id,
        state=state,
        recipient=delivery.recipient.removeprefix("+"),
        error=error,
        done_at=done_at,
        raw=f"id:{smsc_id} stat:{_STATS[state]} err:{error}",
    )
