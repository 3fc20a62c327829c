"""One connection of a transceiver ESME to an SMSC (SMPP 3.4 §2.2), without I/O and without a clock.

Bytes go in with `received`, and events come out; commands and the passing of time (`tick`) put
bytes into `outgoing`. `now` is any clock in seconds that never goes back. Nothing is closed here:
after `Closed` the caller writes what is outgoing and closes its connection.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Generic

from . import status as statuses
from .codec import Decoder, FramingError, encode
from .events import (
    Answered,
    BindRefused,
    Bound,
    Closed,
    Event,
    Offered,
    Strange,
    Ticket,
    Unanswered,
)
from .pdu import (
    ANSWER,
    AlertNotification,
    BindTransceiver,
    BindTransceiverResp,
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
    Unreadable,
)
from .status import Status

_MAX_SEQUENCE = 0x7FFFFFFF  # §5.1.4


class State(Enum):
    OPEN = auto()
    BINDING = auto()
    BOUND = auto()
    #: We said unbind, and wait for the answer.
    UNBINDING = auto()
    #: The SMSC said unbind. Nothing more is submitted; answers under way may still come.
    UNBOUND = auto()
    CLOSED = auto()


class Session(Generic[Ticket]):
    """An ESME's side of one connection. Times are in seconds, the window in parts."""

    def __init__(
        self,
        bind: BindTransceiver,
        *,
        window: int,
        response_timeout: float,
        enquire_interval: float,
        late_timeout: float,
    ) -> None:
        """`late_timeout`: how long after its response timer an answer is still recognised, and
        how long answers may stay away altogether before the connection is given up."""
        self.state = State.OPEN
        self._bind = bind
        self._window = window
        self._response_timeout = response_timeout
        self._enquire_interval = enquire_interval
        self._late_timeout = late_timeout
        self._decoder = Decoder()
        self._outgoing: list[bytes] = []
        self._sequence = 0
        #: When the state calls for something to be done, unless the peer is heard before.
        self._deadline = float("inf")
        self._enquiring = False
        # Both in the order of their times, so that only the first has to be looked at.
        self._pending: dict[int, tuple[float, Ticket]] = {}
        self._late: dict[int, tuple[float, Ticket]] = {}
        #: The last part that was waited for had its answer.
        self._answering = False
        #: Since when parts have gone without an answer.
        self._silent_since: float | None = None

    # What may be done now.

    @property
    def _open(self) -> bool:
        return self.state is not State.CLOSED

    @property
    def free(self) -> int:
        """How many parts may be submitted now.

        Until the first answer, and again after a part that had none, the window is one part: an
        SMSC that is silent, or falls over what it is sent, makes few parts uncertain.
        """
        if self.state is not State.BOUND:
            return 0
        window = self._window if self._answering else 1
        return max(0, window - len(self._pending))

    @property
    def pending(self) -> int:
        """How many parts wait for their answer."""
        return len(self._pending)

    def outgoing(self) -> bytes:
        """The bytes to write, once."""
        if not self._outgoing:
            return b""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def deadline(self) -> float:
        """When `tick` will have something to do, if nothing else happens before."""
        deadline = self._deadline
        for waiting in (self._pending, self._late):
            if waiting:
                deadline = min(deadline, next(iter(waiting.values()))[0])
        return deadline

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
        self._pending[sequence] = (now + self._response_timeout, ticket)

    def accept(self, pdu: DeliverSm | DataSm) -> None:
        """Tell the SMSC that what it offered is ours now."""
        self._respond(pdu, statuses.OK)

    def refuse(self, pdu: DeliverSm | DataSm, status: Status) -> None:
        """Tell the SMSC to keep what it offered, and why."""
        self._respond(pdu, status)

    def unbind(self, now: float) -> None:
        """Say goodbye; answers are still taken until the SMSC has said so too."""
        if self.state is State.BOUND:
            self.state = State.UNBINDING
            self._deadline = now + self._response_timeout
            self._send(Unbind(), self._next_sequence())

    def lost(self, reason: str) -> list[Event[Ticket]]:
        """The connection is gone."""
        return self._close(reason)

    # What comes in.

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
        events: list[Event[Ticket]] = []
        due = _due(self._pending, now)
        for sequence, ticket in due:
            self._late[sequence] = (now + self._late_timeout, ticket)
            events.append(Unanswered(ticket, "no answer in time"))
        if due:
            self._answering = False
            if self._silent_since is None:
                self._silent_since = now
            elif now - self._silent_since >= self._late_timeout:
                return events + self._close("submit_sm is not answered any more")
        _due(self._late, now)
        if now >= self._deadline:
            events += self._overdue(now)
        return events

    def _overdue(self, now: float) -> list[Event[Ticket]]:
        if self.state is State.BINDING:
            return self._close("bind_transceiver was not answered")
        if self.state is State.UNBINDING:
            return self._close("unbind was not answered")
        if self.state is State.UNBOUND:
            return self._close("unbound by the SMSC")
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
        if self.state is State.UNBOUND and not self._pending:
            events += self._close("unbound by the SMSC")

    def _answer(self, pdu: SubmitSmResp, now: float, events: list[Event[Ticket]]) -> None:
        waiting = self._pending.pop(pdu.sequence, None) or self._late.pop(pdu.sequence, None)
        if waiting is None:
            events.append(Strange(f"{type(pdu).__name__} to a sequence number that is not open"))
            return
        self._answering, self._silent_since = True, None
        status = statuses.lookup(pdu.status)
        events.append(Answered(waiting[1], status, "" if pdu.status else pdu.message_id))

    def _nack(self, pdu: GenericNack, now: float, events: list[Event[Ticket]]) -> None:
        # A nack that says "no error" is still a nack.
        number = pdu.status or statuses.UNKNOWN_ERROR.number
        if self.state is State.BINDING:
            self._bind_refused(statuses.lookup(number), events)
        elif pdu.sequence in self._pending or pdu.sequence in self._late:
            self._answer(SubmitSmResp(sequence=pdu.sequence, status=number), now, events)
        else:
            events.append(Strange(f"generic_nack {statuses.lookup(number)}"))

    def _bind_answer(
        self, pdu: BindTransceiverResp, now: float, events: list[Event[Ticket]]
    ) -> None:
        if self.state is not State.BINDING:
            self._unexpected(pdu, now, events)
        elif pdu.status:
            self._bind_refused(statuses.lookup(pdu.status), events)
        else:
            self.state = State.BOUND
            self._deadline = now + self._enquire_interval
            events.append(Bound(pdu.system_id))

    def _bind_refused(self, status: Status, events: list[Event[Ticket]]) -> None:
        events.append(BindRefused(status))
        events += self._close(f"bind refused: {status}")

    def _offered(self, pdu: DeliverSm | DataSm, now: float, events: list[Event[Ticket]]) -> None:
        if self.state is State.BINDING:
            self.refuse(pdu, statuses.INVALID_BIND_STATUS)
        else:
            events.append(Offered(pdu))

    def _enquired(self, pdu: EnquireLink, now: float, events: list[Event[Ticket]]) -> None:
        self._send(EnquireLinkResp(sequence=pdu.sequence))

    def _unbind_asked(self, pdu: Unbind, now: float, events: list[Event[Ticket]]) -> None:
        self._send(UnbindResp(sequence=pdu.sequence))
        if self.state is State.BOUND:
            self.state = State.UNBOUND
            self._deadline = now + self._response_timeout
        else:
            events += self._close("unbound by the SMSC")

    def _unbind_answer(self, pdu: UnbindResp, now: float, events: list[Event[Ticket]]) -> None:
        if self.state is State.UNBINDING:
            events += self._close("unbound")
        else:
            self._unexpected(pdu, now, events)

    def _ignored(self, pdu: Pdu, now: float, events: list[Event[Ticket]]) -> None:
        pass

    def _unexpected(self, pdu: Pdu, now: float, events: list[Event[Ticket]]) -> None:
        if isinstance(pdu, Unreadable):
            command_id, complaint = pdu.unreadable_id, pdu.complaint
        else:
            command_id, complaint = pdu.command_id, statuses.INVALID_COMMAND_ID
        # Answers are never answered: two peers could go on like that for ever.
        if command_id < ANSWER:
            self._send(GenericNack(sequence=pdu.sequence, status=complaint.number))
        events.append(Strange(f"unexpected PDU 0x{command_id:08x}"))

    def _respond(self, pdu: DeliverSm | DataSm, status: Status) -> None:
        response = DeliverSmResp if isinstance(pdu, DeliverSm) else DataSmResp
        if self._open:
            self._send(response(sequence=pdu.sequence, status=status.number))

    def _close(self, reason: str) -> list[Event[Ticket]]:
        if not self._open:
            return []
        self.state = State.CLOSED
        self._deadline = float("inf")
        events: list[Event[Ticket]] = [
            Unanswered(ticket, reason) for _, ticket in self._pending.values()
        ]
        self._pending.clear()
        self._late.clear()
        return [*events, Closed(reason)]

    def _send(self, pdu: Pdu, sequence: int | None = None) -> None:
        self._outgoing.append(encode(pdu, sequence))

    def _next_sequence(self) -> int:
        while True:
            self._sequence = self._sequence % _MAX_SEQUENCE + 1
            if self._sequence not in self._pending and self._sequence not in self._late:
                return self._sequence


def _due(waiting: dict[int, tuple[float, Ticket]], now: float) -> list[tuple[int, Ticket]]:
    """Takes out what is due; `waiting` is in the order of its times."""
    due = []
    for sequence, (at, ticket) in waiting.items():
        if at > now:
            break
        due.append((sequence, ticket))
    for sequence, _ in due:
        del waiting[sequence]
    return due


_HANDLERS: dict[type[Pdu], Callable[..., None]] = {
    SubmitSmResp: Session._answer,
    GenericNack: Session._nack,
    DeliverSm: Session._offered,
    DataSm: Session._offered,
    EnquireLink: Session._enquired,
    EnquireLinkResp: Session._ignored,
    BindTransceiverResp: Session._bind_answer,
    Unbind: Session._unbind_asked,
    UnbindResp: Session._unbind_answer,
    # Neither has an answer (§4.1.7, §4.12), and we asked for neither.
    AlertNotification: Session._ignored,
    Outbind: Session._ignored,
}
