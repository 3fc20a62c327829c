"""A way out over SMPP: the binds of an account at an SMSC, kept up for as long as it runs.

Parts wait in one queue. Each goes by the bind with the most room in its window, whatever bind the
other parts of its text take; its receipt may come on any bind that receives.
"""

import asyncio
import logging
import math
from collections import deque

from ..moments import now
from ..network.client_tls import client_context
from ..smpp.codec import EncodeError
from ..smpp.events import Answered, Unanswered
from ..smpp.pdu import DataSm, DeliverSm, SubmitSm
from ..smpp.session import Session
from ..smpp.status import Verdict
from . import Answer, Delivery, Outcome, ReceiptsOf, Sink, part_id, pending_parts
from .allotment import Allotment, Ask
from .checking import Server
from .full_queues import FullQueues
from .pace import Pace
from .smpp_connection import Connection, Part, connections
from .smpp_inbox import Inbox
from .smpp_link import Link
from .smpp_messages import submit_sms
from .smpp_options import SmppOptions

log = logging.getLogger(__name__)

_OUTCOMES = {
    Verdict.OK: Outcome.ACCEPTED,
    Verdict.RETRY: Outcome.RETRY,
    Verdict.SLOW_DOWN: Outcome.RETRY,
    Verdict.FULL: Outcome.BUSY,
    # Once somebody has put the account right the message can still go.
    Verdict.LOCKED_OUT: Outcome.RETRY,
    Verdict.REFUSED: Outcome.REFUSED,
}


class SmppUpstream:
    """An account at an SMSC, as an `Upstream`."""

    def __init__(self, name: str, options: SmppOptions) -> None:
        """Opens nothing but the files of certificates; ValueError when there are none in them."""
        self.name = name
        self._options = options
        files = options.cafile, options.certfile, options.keyfile
        tls = client_context(*files) if options.tls else None
        self._connections = connections(name, options, tls, self)
        self._senders = [each for each in self._connections if each.sends]
        self._pace = Pace(options.rate, options.window * options.binds)
        self._full_queues = FullQueues()
        self._sink: Sink | None = None
        self._stopping = False
        #: Deliveries of which nothing is written yet, and the unwritten parts of one more.
        self._waiting: deque[Delivery] = deque()
        self._begun: deque[tuple[Part, SubmitSm]] = deque()
        #: How many parts the two come to.
        self._unwritten = 0
        self._freed = asyncio.Event()
        #: See `TakesAhead.ahead`.
        self.ahead = 0
        self._inbox = Inbox(name, options)

    def server(self) -> Server:
        """See `HasServer.server`."""
        options = self._options
        host = self._senders[0].host
        return Server(name=options.host, port=options.port, host=host, is_tls=options.tls)

    # Called by the worker.

    def is_bound(self) -> bool:
        """See `Upstream.is_bound`. Without a receiver messages go, and the SMSC keeps receipts."""
        return not self._stopping and any(each.is_bound for each in self._senders)

    def trouble(self) -> str:
        """See `TellsTrouble.trouble`."""
        if self.is_bound():
            return ""
        return next((each.trouble for each in self._senders if each.trouble), "")

    def receipts_of(self) -> ReceiptsOf:
        """See `SaysReceipts.receipts_of`. A text that went as a whole has one id."""
        options = self._options
        if options.long_texts == "payload" and options.receipts == "auto":
            return "first"
        return options.receipts

    def free(self) -> int:
        """See `Upstream.free`."""
        if self._stopping:
            return 0
        room = min(self._free(), self._pace.room(_now(), self._under_way()))
        return max(0, int(room) + self._ahead() - self._unwritten)

    async def ready(self) -> None:
        """See `Upstream.ready`."""
        while not self.free():
            self._freed.clear()
            try:
                async with asyncio.timeout(self._until_paced()):
                    await self._freed.wait()
            except TimeoutError:
                pass

    def submit(self, delivery: Delivery) -> None:
        """See `Upstream.submit`. The sink hears of it later, never before this returns."""
        self._waiting.append(delivery)
        self._unwritten += len(pending_parts(delivery))
        if not self._wake():
            asyncio.get_running_loop().call_soon(self._give_back, "not connected")

    async def run(self, sink: Sink) -> None:
        """See `Upstream.run`."""
        self._sink = sink
        self._stopping = False
        try:
            async with asyncio.TaskGroup() as group:
                for each in self._connections:
                    group.create_task(each.stay())
        finally:
            self._stopping = True
            self._give_back("stopped")
            try:
                await self._answers()
            finally:
                for each in self._connections:
                    each.stop()
                await asyncio.gather(*(each.stopped() for each in self._connections))

    def ask(self, now: float) -> Ask:
        """See `KeepsLimits.ask`."""
        return self._pace.ask(now, self._under_way(), ready=self.is_bound())

    def allot(self, allotment: Allotment, now: float) -> None:
        """See `KeepsLimits.allot`."""
        self._pace.allot(allotment, now)
        self._freed.set()
        if self._unwritten:
            self._wake()

    async def _answers(self) -> None:
        """Returns when nothing is owed any more, or `stop_timeout` is over."""
        try:
            async with asyncio.timeout(self._options.stop_timeout):
                while any(each.pending for each in self._senders):
                    self._freed.clear()
                    await self._freed.wait()
                # A stored receipt or message that is not acknowledged would come a second time.
                await self._inbox.emptied()
        except TimeoutError:
            pass

    # Called by the connections.

    def changed(self) -> None:
        """See `smpp_connection.Owner.changed`."""
        self._freed.set()
        if not self._unwritten:
            return
        # Another bind takes over what the lost one had not written.
        if self.is_bound():
            self._wake()
        else:
            self._give_back("not connected")

    def offered(self, link: Link[Part], pdu: DeliverSm | DataSm) -> None:
        """See `smpp_connection.Owner.offered`."""
        assert self._sink is not None
        self._inbox.put(link, pdu, self._sink)

    def unanswered(self, event: Unanswered[Part]) -> None:
        """See `smpp_connection.Owner.unanswered`."""
        self._answered(event.ticket, Outcome.UNANSWERED, event.reason)

    def answered(self, event: Answered[Part]) -> None:
        """See `smpp_connection.Owner.answered`."""
        status, part, now = event.status, event.ticket, _now()
        outcome = _OUTCOMES[status.verdict]
        slower = status.verdict is Verdict.SLOW_DOWN
        if status.verdict is Verdict.FULL:
            slower = self._full_queues.is_bind_full(part.recipient, now)
            outcome = Outcome.RETRY if slower else outcome
        elif not slower:
            self._full_queues.accepted(part.recipient, now)
        if slower and self._pace.slow_down(now):
            facts = {"upstream": self.name, "status": str(status), "rate": self._pace.rate}
            log.warning("slowed down", extra=facts)
        reason = "" if status.verdict is Verdict.OK else str(status)
        self._answered(part, outcome, reason, event.message_id)

    def submit_waiting(self, session: Session[Part], now: float) -> float:
        """See `smpp_connection.Owner.submit_waiting`."""
        if not self._unwritten:
            return math.inf
        if not self.is_bound():
            self._give_back("not bound")
            return math.inf
        written = 0
        room = self._pace.room(now, self._under_way())
        while written < room and (sender := self._roomiest()) and (self._begun or self._begin()):
            part, pdu = self._begun.popleft()
            self._unwritten -= len(part.numbers)
            assert sender.link is not None
            try:
                sender.link.session.submit(pdu, part, now)
            except EncodeError as error:
                self._answered(part, Outcome.REFUSED, str(error))
            else:
                written += len(part.numbers)
                if sender.link.session is not session:
                    sender.link.wake()
        if written:
            self._pace.written(written, now)
            self._freed.set()
        is_room = self._unwritten and self._free() and self._under_way() < self._pace.window
        return now + self._pace.delay(now) if is_room else math.inf

    def _ahead(self) -> int:
        """How many parts may wait for room: never more than a window."""
        return int(min(self.ahead, self._pace.window)) if self.is_bound() else 0

    def _wake(self) -> bool:
        """Have waiting parts written soon; False where there is no connection."""
        links = [each.link for each in self._senders if each.link is not None]
        if links:
            links[0].wake()
        return bool(links)

    def _free(self) -> int:
        """How many parts more the windows of the binds hold."""
        return sum(each.free for each in self._senders)

    def _under_way(self) -> int:
        return sum(each.pending for each in self._senders)

    def _roomiest(self) -> Connection | None:
        """The bind with the most room; None when there is none with any."""
        found, most = None, 0
        for each in self._senders:
            if (room := each.free) > most:
                found, most = each, room
        return found

    # The outcomes of parts.

    def _begin(self) -> bool:
        """Begin with the next delivery; False when there is none."""
        while self._waiting:
            delivery = self._waiting.popleft()
            if delivery.accepted and self._options.long_texts == "payload":
                # The recipient would get a part of it twice.
                reason = "another carrier has taken a part of it and has to take the rest"
                self._give_up(delivery, Outcome.RETRY, reason)
                continue
            try:
                parts = submit_sms(delivery, self._options, now() / 1_000)
            except ValueError as error:
                self._give_up(delivery, Outcome.REFUSED, str(error))
                continue
            self._begun.extend((_part(delivery, numbers), pdu) for numbers, pdu in parts)
            return True
        return False

    def _give_up(self, delivery: Delivery, outcome: Outcome, reason: str) -> None:
        """No part of a delivery that is begun with can be written."""
        numbers = tuple(pending_parts(delivery))
        self._unwritten -= len(numbers)
        self._answered(_part(delivery, numbers), outcome, reason)

    def _give_back(self, reason: str) -> None:
        """No waiting part will be written any more."""
        parts = [part for part, _ in self._begun]
        parts += (_part(delivery, tuple(pending_parts(delivery))) for delivery in self._waiting)
        self._begun.clear()
        self._waiting.clear()
        self._unwritten = 0
        for part in parts:
            self._answered(part, Outcome.NOT_WRITTEN, reason)

    def _answered(self, part: Part, outcome: Outcome, reason: str, smsc_id: str = "") -> None:
        assert self._sink is not None
        # First, so that the next claim shares a transaction with the outcomes told here.
        self._freed.set()
        for place, number in enumerate(part.numbers, 1):
            self._sink.answered(
                Answer(
                    delivery_id=part.delivery_id,
                    attempt=part.attempt,
                    part=number,
                    outcome=outcome,
                    smsc_id=smsc_id and part_id((smsc_id,), place),
                    reason=reason,
                )
            )

    def _until_paced(self) -> float | None:
        """Seconds until the pace allows a part, if that is all that is missing."""
        room = min(self._free(), self._pace.window - self._under_way()) + self._ahead()
        if room <= self._unwritten:
            return None
        return max(0.001, self._pace.delay(_now()))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _part(delivery: Delivery, numbers: tuple[int, ...]) -> Part:
    return Part(delivery.id, delivery.attempt, numbers, delivery.recipient)
