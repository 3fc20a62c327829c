"""One connection of an ESME to an SMSC (SMPP 3.4 §2.2), without I/O and without a clock.

Bytes go in with `received`, and events come out; commands and the passing of time (`tick`) put
bytes into `outgoing`. `now` is any clock in seconds that never goes back. Nothing is closed here:
after `Closed` the caller writes what is outgoing and closes its connection.
"""

import math
from collections.abc import Callable
from enum import Enum, auto
from typing import Generic

from . import status as statuses
from . import tlv
from .codec import Decoder, FramingError, encode
from .events import (
    Answered,
    BindRefused,
    Bound,
    Closed,
    Event,
    Offered,
    ProtocolViolation,
    Ticket,
    Unanswered,
)
from .pdu import (
    ANSWER,
    AlertNotification,
    Bind,
    BindReceiver,
    BindReceiverResp,
    BindResp,
    BindTransceiverResp,
    BindTransmitterResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    UnreadablePdu,
)
from .status import Status
from .window import Window

_MAX_SEQUENCE = 0x7FFFFFFF  # §5.1.4
#: How long an SMSC that said unbind is kept waiting for the answer, at most. Seconds.
_LEAVE_TIMEOUT = 5.0


class State(Enum):
    OPEN = auto()
    BINDING = auto()
    BOUND = auto()
    #: We said unbind, and wait for the answer.
    UNBINDING = auto()
    #: The SMSC said unbind. Nothing more is submitted; once both sides have said what they still
    #: owe each other, it has its answer.
    LEAVING = auto()
    CLOSED = auto()


class Session(Generic[Ticket]):
    """An ESME's side of one connection. Times are in seconds, the window in parts."""

    def __init__(
        self,
        bind: Bind,
        *,
        window: int,
        response_timeout: float,
        enquire_interval: float,
        late_timeout: float,
        inactivity_timeout: float = math.inf,
    ) -> None:
        """`late_timeout`: how long after its response timer an answer is still recognised, and
        how long answers may stay away altogether before the connection is given up.
        `inactivity_timeout`: after so long without a message or receipt in either direction the
        session unbinds (§7.2)."""
        self.state = State.OPEN
        self._bind = bind
        self._submits = not isinstance(bind, BindReceiver)
        self._inactivity_timeout = inactivity_timeout
        #: When the session unbinds because nothing was carried; only while it is bound.
        self._inactive_at = math.inf
        self._farewell = "unbound"
        self._window: Window[Ticket] = Window(
            window, response_timeout=response_timeout, late_timeout=late_timeout
        )
        self._response_timeout = response_timeout
        self._enquire_interval = enquire_interval
        self._decoder = Decoder()
        self._outgoing: list[bytes] = []
        self._sequence = 0
        #: When the state calls for something to be done, unless the peer is heard before.
        self._deadline = float("inf")
        self._enquiring = False
        #: How many offers are neither accepted nor refused yet.
        self._offers = 0
        #: The number of the SMSC's unbind.
        self._unbind_sequence = 0

    # Questions: which calls are allowed now.

    @property
    def _open(self) -> bool:
        return self.state is not State.CLOSED

    @property
    def free(self) -> int:
        """How many parts may be submitted now."""
        return self._window.free if self._submits and self.state is State.BOUND else 0

    @property
    def pending(self) -> int:
        """How many parts wait for their answer."""
        return len(self._window)

    def outgoing(self) -> bytes:
        """The bytes to write, once."""
        if not self._outgoing:
            return b""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def deadline(self) -> float:
        """When `tick` will have something to do, if nothing else happens before."""
        return min(self._deadline, self._inactive_at, self._window.deadline())

    # Commands.

    def bind(self, now: float) -> None:
        """Ask to be let in."""
        self.state = State.BINDING
        self._deadline = now + self._response_timeout
        self._send(self._bind, self._next_sequence())

    def submit(self, part: SubmitSm, ticket: Ticket, now: float) -> None:
        """Submit one part; its sequence number is chosen here. Only while `free` is positive.

        Raises EncodeError, with nothing sent, when a value does not fit its field.
        """
        assert self.free > 0
        sequence = self._next_sequence()
        self._send(part, sequence)
        self._window.add(sequence, ticket, now)
        self._inactive_at = now + self._inactivity_timeout

    def accept(self, pdu: DeliverSm | DataSm) -> None:
        """Acknowledge an offered message or receipt, now ours; once for each offer."""
        self._respond(pdu, statuses.OK)

    def refuse(self, pdu: DeliverSm | DataSm, status: Status) -> None:
        """Refuse an offered message or receipt, which the SMSC then keeps; once for each offer."""
        self._respond(pdu, status)

    def unbind(self, now: float) -> None:
        """Say goodbye; answers are still taken until the SMSC has said so too."""
        if self.state is State.BOUND:
            self.state = State.UNBINDING
            self._inactive_at = math.inf
            self._deadline = now + self._response_timeout
            self._send(Unbind(), self._next_sequence())

    def lost(self, reason: str) -> list[Event[Ticket]]:
        """The connection is gone."""
        return self._close(reason)

    # The peer's bytes.

    def received(self, data: bytes, now: float) -> list[Event[Ticket]]:
        """Take what the peer sent."""
        events: list[Event[Ticket]] = []
        if not self._open:
            return events
        self._decoder.feed(data)
        try:
            while self._open and (pdu := self._decoder.next()) is not None:
                self._handle(pdu, now, events)
        except FramingError as error:
            self._send(GenericNack(sequence=0, status=statuses.INVALID_COMMAND_LENGTH.number))
            events += self._close(str(error))
        return events

    def tick(self, now: float) -> list[Event[Ticket]]:
        """Do what is due at this time; early calls do nothing."""
        events: list[Event[Ticket]] = [
            Unanswered(ticket, "no answer in time") for ticket in self._window.expire(now)
        ]
        if events and self._window.is_silent(now):
            return events + self._close("submit_sm is not answered any more")
        if now >= self._deadline:
            events += self._overdue(now)
        if now >= self._inactive_at:
            self._inactive(now)
        return events

    def _inactive(self, now: float) -> None:
        if self.state is State.BOUND and self._is_quit:
            self._farewell = "nothing was carried for inactivity_timeout"
            self.unbind(now)
        else:
            self._inactive_at = now + self._inactivity_timeout

    def _overdue(self, now: float) -> list[Event[Ticket]]:
        if self.state is State.BINDING:
            return self._close("the bind was not answered")
        if self.state is State.UNBINDING:
            return self._close("unbind was not answered")
        if self.state is State.LEAVING:
            return self._leave()
        if self._enquiring:
            return self._close("enquire_link was not answered")
        self._enquiring = True
        self._deadline = now + self._response_timeout
        self._send(EnquireLink(), self._next_sequence())
        return []

    def _handle(self, pdu: Pdu, now: float, events: list[Event[Ticket]]) -> None:
        if self.state is State.BOUND:
            # Whatever it is, somebody is there.
            self._enquiring = False
            self._deadline = now + self._enquire_interval
        handler = _HANDLERS.get(type(pdu), Session._unexpected)
        handler(self, pdu, now, events)
        if self.state is State.LEAVING and self._is_quit:
            events += self._leave()

    def _answer(self, pdu: SubmitSmResp, now: float, events: list[Event[Ticket]]) -> None:
        if pdu.sequence not in self._window:
            events.append(
                ProtocolViolation(f"{type(pdu).__name__} to a sequence number that is not open")
            )
            return
        ticket = self._window.answered(pdu.sequence)
        self._inactive_at = now + self._inactivity_timeout
        status = statuses.lookup(pdu.status)
        events.append(Answered(ticket, status, "" if pdu.status else pdu.message_id))

    def _nack(self, pdu: GenericNack, now: float, events: list[Event[Ticket]]) -> None:
        # A nack that says "no error" is still a nack.
        number = pdu.status or statuses.UNKNOWN_ERROR.number
        if self.state is State.BINDING:
            self._bind_refused(statuses.lookup(number), events)
        elif pdu.sequence in self._window:
            self._answer(SubmitSmResp(sequence=pdu.sequence, status=number), now, events)
        else:
            events.append(ProtocolViolation(f"generic_nack {statuses.lookup(number)}"))

    def _bind_answer(self, pdu: BindResp, now: float, events: list[Event[Ticket]]) -> None:
        if self.state is not State.BINDING or pdu.command_id != self._bind.command_id | ANSWER:
            self._unexpected(pdu, now, events)
        elif pdu.status:
            self._bind_refused(statuses.lookup(pdu.status), events)
        else:
            self.state = State.BOUND
            self._deadline = now + self._enquire_interval
            self._inactive_at = now + self._inactivity_timeout
            version = tlv.number(pdu.tlvs, tlv.SC_INTERFACE_VERSION)
            events.append(Bound(pdu.system_id, version))

    def _bind_refused(self, status: Status, events: list[Event[Ticket]]) -> None:
        events.append(BindRefused(status))
        events += self._close(f"bind refused: {status}")

    def _offered(self, pdu: DeliverSm | DataSm, now: float, events: list[Event[Ticket]]) -> None:
        self._offers += 1
        self._inactive_at = now + self._inactivity_timeout
        if self.state is State.BINDING:
            self.refuse(pdu, statuses.INVALID_BIND_STATUS)
        else:
            events.append(Offered(pdu))

    def _enquired(self, pdu: EnquireLink, now: float, events: list[Event[Ticket]]) -> None:
        self._send(EnquireLinkResp(sequence=pdu.sequence))

    def _unbind_asked(self, pdu: Unbind, now: float, events: list[Event[Ticket]]) -> None:
        self._unbind_sequence = pdu.sequence
        if self.state is State.BOUND:
            # The SMSC hangs up as soon as it has its answer, and submits under way would be lost.
            self.state = State.LEAVING
            self._deadline = now + min(self._response_timeout, _LEAVE_TIMEOUT)
        else:
            events += self._leave()

    def _unbind_answer(self, pdu: UnbindResp, now: float, events: list[Event[Ticket]]) -> None:
        if self.state is State.UNBINDING:
            events += self._close(self._farewell)
        else:
            self._unexpected(pdu, now, events)

    def _ignored(self, pdu: Pdu, now: float, events: list[Event[Ticket]]) -> None:
        pass

    def _unexpected(self, pdu: Pdu, now: float, events: list[Event[Ticket]]) -> None:
        if isinstance(pdu, UnreadablePdu):
            command_id, complaint = pdu.unreadable_id, pdu.complaint
        else:
            command_id, complaint = pdu.command_id, statuses.INVALID_COMMAND_ID
        # Answers are never answered: two peers could go on like that for ever.
        if command_id < ANSWER:
            self._send(GenericNack(sequence=pdu.sequence, status=complaint.number))
        events.append(ProtocolViolation(f"unexpected PDU 0x{command_id:08x}"))

    def _respond(self, pdu: DeliverSm | DataSm, status: Status) -> None:
        response = DeliverSmResp if isinstance(pdu, DeliverSm) else DataSmResp
        if not self._open:
            return
        self._send(response(sequence=pdu.sequence, status=status.number))
        self._offers -= 1
        if self.state is State.LEAVING and self._is_quit:
            self._deadline = 0.0

    @property
    def _is_quit(self) -> bool:
        """Neither side owes the other an answer."""
        return not self._window and not self._offers

    def _leave(self) -> list[Event[Ticket]]:
        self._send(UnbindResp(sequence=self._unbind_sequence))
        return self._close("unbound by the SMSC")

    def _close(self, reason: str) -> list[Event[Ticket]]:
        if not self._open:
            return []
        self.state = State.CLOSED
        self._deadline = self._inactive_at = math.inf
        events: list[Event[Ticket]] = [
            Unanswered(ticket, reason) for ticket in self._window.clear()
        ]
        return [*events, Closed(reason)]

    def _send(self, pdu: Pdu, sequence: int | None = None) -> None:
        self._outgoing.append(encode(pdu, sequence))

    def _next_sequence(self) -> int:
        while True:
            self._sequence = self._sequence % _MAX_SEQUENCE + 1
            if self._sequence not in self._window:
                return self._sequence


_HANDLERS: dict[type[Pdu], Callable[..., None]] = {
    SubmitSmResp: Session._answer,
    GenericNack: Session._nack,
    DeliverSm: Session._offered,
    DataSm: Session._offered,
    EnquireLink: Session._enquired,
    EnquireLinkResp: Session._ignored,
    BindReceiverResp: Session._bind_answer,
    BindTransmitterResp: Session._bind_answer,
    BindTransceiverResp: Session._bind_answer,
    Unbind: Session._unbind_asked,
    UnbindResp: Session._unbind_answer,
    # Neither has an answer (§4.1.7, §4.12), and we asked for neither.
    AlertNotification: Session._ignored,
    Outbind: Session._ignored,
}
