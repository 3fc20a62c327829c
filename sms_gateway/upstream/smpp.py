"""A way out over SMPP: one transceiver bind to an SMSC, kept up for as long as it runs."""

import asyncio
import logging
import math
import ssl
from collections import deque
from typing import NamedTuple

from ..backoff import pause, spread
from ..moments import now
from ..network.client_tls import client_context
from ..network.connecting import ConnectError, Host
from ..network.errors import Stage, Trouble, explain, first_words
from ..smpp.codec import EncodeError
from ..smpp.events import (
    Answered,
    BindRefused,
    Bound,
    Closed,
    Event,
    Offered,
    ProtocolViolation,
    Unanswered,
)
from ..smpp.pdu import BindTransceiver, SubmitSm
from ..smpp.session import Session, State
from ..smpp.status import Status, Verdict
from . import Answer, Delivery, Outcome, ReceiptsOf, Sink, pending_parts
from .allotment import Allotment, Ask
from .full_queues import FullQueues
from .pace import Pace
from .smpp_bind import advice, is_lasting
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
#: How long the SMSC's answer to unbind is waited for. Seconds.
_UNBIND_TIMEOUT = 2.0


class _Part(NamedTuple):
    """The part of a delivery that an answer is for."""

    delivery_id: int
    attempt: int
    number: int
    recipient: str


class SmppUpstream:
    """A bind to an SMSC, as an `Upstream`."""

    def __init__(self, name: str, options: SmppOptions) -> None:
        """Opens nothing but the files of certificates; ValueError when there are none in them."""
        self.name = name
        self._options = options
        files = options.cafile, options.certfile, options.keyfile
        tls = client_context(*files) if options.tls else None
        self._host = Host(options.host, options.port, tls=tls, tls_name=options.tls_name)
        self._pace = Pace(options.rate, options.window)
        self._full_queues = FullQueues()
        self._sink: Sink | None = None
        self._link: Link[_Part] | None = None
        self._stopping = False
        #: Deliveries of which nothing is written yet, and the unwritten parts of one more.
        self._waiting: deque[Delivery] = deque()
        self._begun: deque[tuple[_Part, SubmitSm]] = deque()
        #: How many parts the two come to.
        self._unwritten = 0
        self._freed = asyncio.Event()
        self._inbox = Inbox(name, options)
        # About the connection there is, or was last.
        self._was_useful = self._was_strange = self._was_bound = False
        self._refusal: Status | None = None
        self._trouble = ""

    # Called by the worker.

    def is_bound(self) -> bool:
        """See `Upstream.is_bound`."""
        link = self._link
        return link is not None and link.session.state is State.BOUND and not self._stopping

    def trouble(self) -> str:
        """See `TellsTrouble.trouble`."""
        return "" if self.is_bound() else self._trouble

    def receipts_of(self) -> ReceiptsOf:
        """See `SaysReceipts.receipts_of`."""
        return self._options.receipts

    def free(self) -> int:
        """See `Upstream.free`."""
        if self._link is None or self._stopping:
            return 0
        return max(0, int(self._room(self._link.session, self._now())) - self._unwritten)

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
        if self._link is not None:
            self._link.wake()
        else:
            asyncio.get_running_loop().call_soon(self._give_back, "not connected")

    async def run(self, sink: Sink) -> None:
        """See `Upstream.run`."""
        self._sink = sink
        self._stopping = False
        try:
            await self._stay_connected()
        finally:
            self._stopping = True
            self._give_back("stopped")
            try:
                if self._link is not None:
                    await self._say_goodbye(self._link)
            finally:
                if (link := self._link) is not None:
                    link.abort("stopped")
                    await link.closed.wait()

    def ask(self, now: float) -> Ask:
        """See `KeepsLimits.ask`."""
        return self._pace.ask(now, self._under_way(), ready=self.is_bound())

    def allot(self, allotment: Allotment, now: float) -> None:
        """See `KeepsLimits.allot`."""
        self._pace.allot(allotment, now)
        self._freed.set()
        if self._unwritten and self._link is not None:
            self._link.wake()

    # The connection.

    async def _stay_connected(self) -> None:
        options = self._options
        failures = 0
        while True:
            began = self._now()
            self._was_useful = self._was_strange = self._was_bound = False
            self._refusal = None
            await self._connect_once()
            if self._was_useful or self._now() - began > options.reconnect_delay_max:
                failures = 0
            failures += 1
            wait = pause(failures, options.reconnect_delay, options.reconnect_delay_max)
            if self._is_locked_out():
                wait = options.locked_out_delay
            # Spread, so that not all gateways come back at once to a carrier that was away.
            await asyncio.sleep(spread(wait))

    async def _connect_once(self) -> None:
        """Connect, and stay until the connection ends."""
        options = self._options
        bind = BindTransceiver(
            system_id=options.system_id,
            password=options.password,
            system_type=options.system_type,
        )

        def link() -> Link[_Part]:
            session: Session[_Part] = Session(
                bind,
                window=options.window,
                response_timeout=options.response_timeout,
                enquire_interval=options.enquire_interval,
                late_timeout=options.late_timeout,
            )
            return Link(session, self)

        try:
            connected, address = await self._host.connect(link, options.connect_timeout)
        except ConnectError as error:
            self._trouble = str(error.trouble)
            facts = {"upstream": self.name, "error": error.__cause__, "why": self._trouble}
            log.warning("cannot connect", extra=facts)
            return
        await connected.closed.wait()
        if self._was_bound:
            self._host.praise()
        else:
            # Another of its addresses may let us in.
            self._host.blame(address)

    async def _say_goodbye(self, link: Link[_Part]) -> None:
        try:
            async with asyncio.timeout(self._options.stop_timeout):
                while link.session.pending:
                    self._freed.clear()
                    await self._freed.wait()
                # A stored receipt or message that is not acknowledged would come a second time.
                await self._inbox.emptied()
        except TimeoutError:
            pass
        link.unbind()
        try:
            async with asyncio.timeout(_UNBIND_TIMEOUT):
                await link.closed.wait()
        except TimeoutError:
            pass

    # Called by the link.

    def connected(self, link: Link[_Part]) -> None:
        """See `Owner.connected`."""
        self._link = link

    def disconnected(self, link: Link[_Part]) -> None:
        """See `Owner.disconnected`."""
        if self._link is link:
            self._link = None
            self._give_back("not connected")
        self._freed.set()

    def submit_waiting(self, session: Session[_Part], now: float) -> float:
        """See `Owner.submit_waiting`."""
        if not self._unwritten:
            return math.inf
        if session.state is not State.BOUND or self._stopping:
            self._give_back("not bound")
            return math.inf
        written = 0
        room = self._room(session, now)
        while written < room and (self._begun or self._begin()):
            part, pdu = self._begun.popleft()
            self._unwritten -= 1
            try:
                session.submit(pdu, part, now)
            except EncodeError as error:
                self._answered(part, Outcome.REFUSED, str(error))
            else:
                written += 1
        if written:
            self._pace.written(written, now)
        is_room = self._unwritten and session.free and session.pending < self._pace.window
        return now + self._pace.delay(now) if is_room else math.inf

    def happened(self, link: Link[_Part], event: Event[_Part]) -> None:
        """See `Owner.happened`."""
        if isinstance(event, Answered):
            self._was_useful = True
            self._note_answer(event)
        elif isinstance(event, Unanswered):
            self._answered(event.ticket, Outcome.UNANSWERED, event.reason)
        elif isinstance(event, Offered):
            self._was_useful = True
            assert self._sink is not None
            self._inbox.put(link, event.pdu, self._sink)
        elif isinstance(event, Bound):
            log.info("bound", extra={"upstream": self.name})
            self._was_bound = True
            self._trouble = ""
            self._freed.set()
        elif isinstance(event, BindRefused):
            self._note_refusal(event.status)
        elif isinstance(event, ProtocolViolation):
            # Once a connection: a peer that talks nonsense talks a lot of it.
            if not self._was_strange:
                log.warning("strange PDU", extra={"upstream": self.name, "what": event.what})
            self._was_strange = True
        elif isinstance(event, Closed) and not self._stopping and self._refusal is None:
            self._note_end(link, event.reason)

    # The outcomes of parts.

    def _begin(self) -> bool:
        """Begin with the next delivery; False when there is none."""
        while self._waiting:
            delivery = self._waiting.popleft()
            try:
                parts = submit_sms(delivery, self._options, now() / 1_000)
            except ValueError as error:
                for number in pending_parts(delivery):
                    self._unwritten -= 1
                    self._answered(_part(delivery, number), Outcome.REFUSED, str(error))
                continue
            self._begun.extend((_part(delivery, number), pdu) for number, pdu in parts)
            return True
        return False

    def _give_back(self, reason: str) -> None:
        """No waiting part will be written any more."""
        parts = [part for part, _ in self._begun]
        for delivery in self._waiting:
            parts += (_part(delivery, number) for number in pending_parts(delivery))
        self._begun.clear()
        self._waiting.clear()
        self._unwritten = 0
        for part in parts:
            self._answered(part, Outcome.NOT_WRITTEN, reason)

    def _note_answer(self, event: Answered[_Part]) -> None:
        status, part, now = event.status, event.ticket, self._now()
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

    def _answered(self, part: _Part, outcome: Outcome, reason: str, smsc_id: str = "") -> None:
        assert self._sink is not None
        # First, so that the next claim shares a transaction with the outcomes told here.
        self._freed.set()
        self._sink.answered(
            Answer(
                delivery_id=part.delivery_id,
                attempt=part.attempt,
                part=part.number,
                outcome=outcome,
                smsc_id=smsc_id,
                reason=reason,
            )
        )

    def _note_refusal(self, status: Status) -> None:
        self._refusal = status
        self._trouble = f"bind refused: {status}; {advice(status)}"
        facts = {"upstream": self.name, "status": str(status), "why": advice(status)}
        if self._is_locked_out():
            # Nothing is lost, and nothing goes, until somebody changes a setting.
            log.error("bind refused", extra=facts | {"next_try_in": self._options.locked_out_delay})
        else:
            log.warning("bind refused", extra=facts)

    def _is_locked_out(self) -> bool:
        """The bind was refused for a reason that does not pass of itself."""
        return self._refusal is not None and is_lasting(self._refusal)

    def _note_end(self, link: Link[_Part], reason: str) -> None:
        facts = {"upstream": self.name, "reason": reason}
        trouble = None if self._was_bound else _why_not_bound(link)
        self._trouble = f"link closed: {reason}"
        if trouble is not None:
            self._trouble = facts["why"] = str(trouble)
        log.warning("link closed", extra=facts)

    def _until_paced(self) -> float | None:
        """Seconds until the pace allows a part, if that is all that is missing."""
        link, window = self._link, self._pace.window
        if link is None or min(link.session.free, window - link.session.pending) <= self._unwritten:
            return None
        return max(0.001, self._pace.delay(self._now()))

    def _room(self, session: Session[_Part], now: float) -> float:
        """How many parts may be written, whether or not there are any."""
        return min(session.free, self._pace.room(now, session.pending))

    def _under_way(self) -> int:
        return 0 if self._link is None else self._link.session.pending

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _part(delivery: Delivery, number: int) -> _Part:
    return _Part(delivery.id, delivery.attempt, number, delivery.recipient)


_ADVICE = (
    "check the port, whether it is for TLS (smpps://), whether the operator asks for a client "
    "certificate (certfile), and with the operator that this machine's address is allowed"
)
_SILENT = Trouble("the bind is not answered", _ADVICE)
_HUNG_UP = Trouble("the other side hung up before it answered the bind", _ADVICE)


def _why_not_bound(link: Link[_Part]) -> Trouble | None:
    """Why a connection ended before there was an answer to the bind."""
    if isinstance(link.error, ssl.SSLError):
        # In TLS 1.3 a server looks at our certificate when the handshake is over for us.
        return explain(link.error, Stage.TLS)
    if link.heard and (found := first_words(link.heard)) is not None:
        return found
    if link.is_gone:
        return _HUNG_UP
    return None if link.heard else _SILENT
