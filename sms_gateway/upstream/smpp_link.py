"""One TCP connection to an SMSC: a session, its socket and its timer."""

import asyncio
from typing import Generic, Protocol, cast

from ..smpp.events import Closed, Event, Ticket
from ..smpp.pdu import DataSm, DeliverSm
from ..smpp.session import Session, State
from ..smpp.status import OK, Status

#: How long a peer that does not read may hold up the end of a connection. Seconds.
_CLOSE_TIMEOUT = 1.0


class Owner(Protocol[Ticket]):
    """The user of a link."""

    def connected(self, link: "Link[Ticket]") -> None: ...

    def happened(self, link: "Link[Ticket]", event: Event[Ticket]) -> None: ...

    def submit_waiting(self, session: Session[Ticket], now: float) -> float:
        """Submit the waiting parts that may go; returns when the next may go, infinity for none."""
        ...

    def disconnected(self, link: "Link[Ticket]") -> None: ...


class Link(asyncio.Protocol, Generic[Ticket]):
    """Moves bytes and time between a session and the event loop.

    All that is to be sent in one turn of the loop leaves in one write.
    """

    def __init__(self, session: Session[Ticket], owner: Owner[Ticket]) -> None:
        self.session = session
        #: Set when the connection is gone.
        self.closed = asyncio.Event()
        #: The first octets that came, for who wonders with whom this was.
        self.heard = b""
        #: The other side has ended it, and with which error.
        self.is_gone = False
        self.error: Exception | None = None
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: When it comes. uvloop's handles do not say so when it is at once.
        self._timer_at = 0.0
        self._turn_is_due = False
        self._is_closing = False

    @property
    def is_open(self) -> bool:
        """Whether the SMSC can still be told anything."""
        return self.session.state is not State.CLOSED

    def wake(self) -> None:
        """Send waiting parts in the next turn of the loop."""
        if not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._turn)

    def respond(self, pdu: DeliverSm | DataSm, status: Status) -> None:
        """Acknowledge or refuse what the SMSC offered."""
        if status is OK:
            self.session.accept(pdu)
        else:
            self.session.refuse(pdu, status)
        self.wake()

    def unbind(self) -> None:
        """Say goodbye, or hang up where there was no welcome yet."""
        if self.session.state is State.BOUND:
            self.session.unbind(self._loop.time())
            self.wake()
        else:
            self.abort("stopped")

    def abort(self, reason: str) -> None:
        """Hang up; on return every unanswered part has its outcome."""
        self._happened(self.session.lost(reason))
        if self._transport is not None:
            self._transport.abort()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._owner.connected(self)
        self.session.bind(self._loop.time())
        self._turn()

    def data_received(self, data: bytes) -> None:
        if not self.heard:
            self.heard = data[:8]
        self._happened(self.session.received(data, self._loop.time()))
        self._turn()

    def pause_writing(self) -> None:
        # A peer that does not read what it asks for is not asked what more it wants.
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_gone, self.error = True, error
        self._happened(self.session.lost("connection lost"))
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        self._owner.disconnected(self)
        self.closed.set()

    # One turn of the loop.

    def _happened(self, events: list[Event[Ticket]]) -> None:
        for event in events:
            self._owner.happened(self, event)
            if isinstance(event, Closed):
                self._is_closing = True

    def _turn(self) -> None:
        self._turn_is_due = False
        if self._transport is None:
            return
        now = self._loop.time()
        more_at = self._owner.submit_waiting(self.session, now)
        data = self.session.outgoing()
        if data:
            self._transport.write(data)
        if self._is_closing and not self._transport.is_closing():
            self._transport.close()
            self._loop.call_later(_CLOSE_TIMEOUT, self._transport.abort)
        self._set_timer(min(more_at, self.session.deadline()))

    def _set_timer(self, at: float) -> None:
        # A timer that comes early does nothing, so it is moved only to an earlier time.
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at == float("inf") else self._loop.call_at(at, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        self._happened(self.session.tick(self._loop.time()))
        self._turn()
