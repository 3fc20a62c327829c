"""The events that a session reports, in their order."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from .pdu import DataSm, DeliverSm
from .status import Status

#: The caller's own value, given back with each answer.
Ticket = TypeVar("Ticket")


@dataclass(frozen=True, slots=True)
class Bound:
    """The SMSC has let us in."""

    system_id: str
    #: The highest version it speaks (sc_interface_version, §5.3.2.25); None where it does not say.
    version: int | None = None


@dataclass(frozen=True, slots=True)
class BindRefused:
    """The SMSC does not let us in; `Closed` follows."""

    status: Status


@dataclass(frozen=True, slots=True)
class Answered(Generic[Ticket]):
    """The SMSC's answer for a part; it may follow an `Unanswered` for the same part."""

    ticket: Ticket
    status: Status
    #: The SMSC's name for the part; empty unless the status is OK.
    message_id: str


@dataclass(frozen=True, slots=True)
class Unanswered(Generic[Ticket]):
    """No answer for a part came in time, or can come on this connection."""

    ticket: Ticket
    reason: str


@dataclass(frozen=True, slots=True)
class Offered:
    """A receipt or a received message; `accept` or `refuse` it."""

    pdu: DeliverSm | DataSm


@dataclass(frozen=True, slots=True)
class ProtocolViolation:
    """The peer sent something against the protocol. It changed nothing; this is for the log."""

    what: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The session has ended: write the outgoing bytes, then close the connection."""

    reason: str


Event = (
    Bound
    | BindRefused
    | Answered[Ticket]
    | Unanswered[Ticket]
    | Offered
    | ProtocolViolation
    | Closed
)
