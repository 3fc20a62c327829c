"""The events of a worker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...routing.routes import Share
from ...sms.message import State
from ...sms.receipt import Receipt
from ...upstream import Answer, Incoming

#: Delivery, time, part (0: all), event, detail: a row of the journal.
Step = tuple[int, int, int, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Claim deliveries that are due; the result is their list."""

    upstream: str
    #: Room in parts.
    parts: int
    now: int
    #: The shares of routes to claim for; None: those that the upstream takes while all work.
    shares: Sequence[Share] | None = None
    #: After a claim whose commit is unknown: the deliveries that this upstream knows to be claimed.
    #: The result then also has the others that the worker holds.
    held: frozenset[int] | None = None
    #: Until when a delivery to a number has to wait, by number and time (Unix ms); 0: it goes.
    hold: Callable[[str, int], int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """An attempt has ended."""

    delivery_id: int
    #: `Delivery.attempt`: an event that is written a second time must not end the next attempt.
    attempt: int
    upstream: str
    state: State
    #: When to try again (QUEUED); otherwise of no matter.
    due: int
    possible_duplicate: bool
    #: One answer for each part of the attempt.
    answers: Sequence[Answer]
    #: Why it ended so, when the answers do not say it.
    reason: str = ""
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LateAnswer:
    """An answer that came after its part had been given up."""

    upstream: str
    answer: Answer
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptCame:
    upstream: str
    receipt: Receipt
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCame:
    upstream: str
    incoming: Incoming
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Time has passed: stay alive, and tidy up what time ends."""

    now: int
    #: The upstreams for which others stand in at this worker.
    failed_over: tuple[str, ...] = ()


Event = Claim | Settled | LateAnswer | ReceiptCame | MessageCame | Beat
