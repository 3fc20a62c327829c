"""Upstreams: one file per kind of carrier connection, all with the protocol defined here.

The worker gives an upstream what it may write at once; the upstream answers through a `Sink`.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from ..sms.encoding import DefaultAlphabet, Encoding
from ..sms.receipt import Receipt as Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One text for one recipient, claimed and ready to be submitted."""

    #: The delivery's number in the store; every answer carries it back.
    id: int
    #: The message's id (UUIDv7 hex), an idempotency key for carriers that know such a thing.
    message_id: str
    #: Who the handset shows: digits or up to 11 letters; empty leaves it to the carrier.
    sender: str
    #: E.164 with the plus sign.
    recipient: str
    text: str
    encoding: Encoding
    #: How many parts the text has.
    parts: int
    #: The parts a carrier accepted in an earlier attempt (1-based); they are not submitted again.
    accepted: frozenset[int] = field(default_factory=frozenset)
    #: The alphabet of data_coding 0 on its route; None leaves it to the upstream.
    alphabet: DefaultAlphabet | None = None
    #: When it is too old to be worth delivering, Unix time in milliseconds.
    expires_at: int
    #: The prefix of the route it goes by.
    route: str = ""
    #: Attempt number, from 1.
    attempt: int = 1
    #: True when this may be the second copy of parts that an SMSC never answered for.
    possible_duplicate: bool = False
    #: How many relays it has passed, this gateway's own not counted.
    hops: int = 0


class Outcome(StrEnum):
    """How a carrier answered for one part."""

    ACCEPTED = "accepted"
    #: Refused for now (throttled, queue full, system error): worth another try.
    RETRY = "retry"
    #: Refused for now because of this number (its handset's queue is full): deliveries to it are
    #: put off; the carrier itself is not judged by it.
    BUSY = "busy"
    #: Refused for good (bad number, bad sender, no credit for this destination).
    REFUSED = "refused"
    #: Written, and no answer came: nobody knows.
    UNANSWERED = "unanswered"
    #: Never written: as if it had not been claimed.
    NOT_WRITTEN = "not written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A carrier's answer for one part of a delivery.

    After UNANSWERED a later answer for the same part may still come (late submit_sm_resp).
    """

    delivery_id: int
    #: 1-based number of the part.
    part: int
    outcome: Outcome
    #: The attempt it is for, `Delivery.attempt`; 0 is the one under way.
    attempt: int = 0
    #: The carrier's name for the part; what its receipt will carry. Only with ACCEPTED.
    smsc_id: str = ""
    #: Why, in the carrier's terms ("0x00000058 throttling error"); never a number or a text.
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A received message (MO), or one part of one."""

    sender: str
    recipient: str
    #: Of a part: it may begin or end with half a surrogate pair.
    text: str
    #: Concatenation reference, total and number (1-based); 0, 1, 1 for a single message.
    reference: int = 0
    total: int = 1
    number: int = 1
    #: The receipt that the text may be, by its form alone. It is one where its id is that of a
    #: part which this upstream took for the number that the message came from.
    receipt: Receipt | None = None
    #: The carrier's id of the message, where it may hand the message over again under this id:
    #: for a day it is stored once. Empty where carriers have none.
    id: str = ""


#: The parts of a long text for which a carrier sends receipts: each of them, the first or the last
#: only, or any one. "auto": the worker learns it from the receipts.
ReceiptsOf = Literal["auto", "each", "first", "last", "any"]


class Sink(Protocol):
    """The worker's side of an upstream, which reports here.

    Answers never block. The upstream acknowledges a receipt or incoming message to the carrier only
    when the returned awaitable is done.
    """

    def answered(self, answer: Answer) -> None: ...

    def received_receipt(self, receipt: Receipt) -> Awaitable[None]:
        """Done once the receipt is stored. Raises when it could not be stored, after a log line:
        the carrier is to offer it again later."""
        ...

    def received_message(self, incoming: Incoming) -> Awaitable[None]:
        """As `received_receipt`, for a message."""
        ...


class Upstream(Protocol):
    """A way out to a carrier."""

    #: The upstream's name in the settings.
    name: str

    def is_bound(self) -> bool:
        """Whether its carrier takes messages now, even if there is no room for one at the moment.

        When it has not been so for a while, the next upstream takes over its messages.
        """
        ...

    def free(self) -> int:
        """How many parts it would write at once now: 0 while it is not bound, its window is full
        or its rate is used up."""
        ...

    async def ready(self) -> None:
        """Returns when `free()` may have become greater than 0."""
        ...

    def submit(self, delivery: Delivery) -> None:
        """Hand over one claimed delivery. Each part not yet accepted is answered once through the
        sink, whatever happens (and may be answered again late after UNANSWERED)."""
        ...

    async def run(self, sink: Sink) -> None:
        """Connect, stay connected, reconnect, until cancelled.

        Cancelling stops cleanly: answers still awaited get a few seconds, then every part that
        has no answer is reported UNANSWERED or NOT_WRITTEN before this returns.
        """
        ...


@runtime_checkable
class TakesAhead(Protocol):
    """An upstream that keeps deliveries until its window or rate has room for them."""

    #: How many parts more than it would write at once `free` says. The worker sets it.
    ahead: int


@runtime_checkable
class AsksForReceipts(Protocol):
    """An upstream whose receipts do not come of themselves."""

    def ask_for(self, smsc_ids: Sequence[tuple[str, str, int]]) -> None:
        """Ask for the receipts of parts that an earlier run has submitted: each with its name as
        stored, its recipient, and when its validity ends (Unix milliseconds)."""
        ...


@runtime_checkable
class SaysReceipts(Protocol):
    """An upstream whose carrier may send less than one receipt for each part."""

    def receipts_of(self) -> ReceiptsOf:
        """For which parts of a long text receipts come."""
        ...


@runtime_checkable
class Repeats(Protocol):
    """An upstream that may repeat what was not answered, as its carrier knows a repeat."""

    #: Whether no route has another upstream besides: then a repeat comes to the same carrier. Where
    #: one has, another carrier could send the message once more.
    is_alone: bool


@runtime_checkable
class TellsTrouble(Protocol):
    """An upstream that knows why it is not bound."""

    def trouble(self) -> str:
        """Why it is not bound, and what to do about it, in a line; empty while it is, or when that
        is not known."""
        ...


def part_id(ids: Sequence[str], number: int) -> str:
    """The name of a part: its own id, or the message's id, from the second part with its number."""
    if number <= len(ids):
        return ids[number - 1]
    return f"{ids[0]}.{number}"


def pending_parts(delivery: Delivery) -> Sequence[int]:
    """The parts still to be submitted, in order."""
    parts = range(1, delivery.parts + 1)
    return [n for n in parts if n not in delivery.accepted] if delivery.accepted else parts
