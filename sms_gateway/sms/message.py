"""The life of a message: the states of a delivery and how a message's state follows from them."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum


class State(StrEnum):
    """Where the delivery of one message to one recipient stands."""

    #: Accepted and waiting for its turn, or for the next try.
    QUEUED = "queued"
    #: Claimed by a worker, which is handing it to a carrier.
    SUBMITTING = "submitting"
    #: Every part is accepted by the carrier; its receipt is awaited.
    SUBMITTED = "submitted"
    #: The carrier reports it on the handset.
    DELIVERED = "delivered"
    #: The carrier gave up on it.
    UNDELIVERABLE = "undeliverable"
    #: Its validity ended, here or at the carrier, before it could be delivered.
    EXPIRED = "expired"
    #: The carrier refused it for good.
    FAILED = "failed"
    #: The submit was written and the carrier never answered: the message may or may not arrive.
    UNCERTAIN = "uncertain"
    #: The carrier took it, and no receipt came before its validity ended.
    UNKNOWN = "unknown"


#: States that nothing but a resend by the sender leaves again.
TERMINAL = frozenset(
    {State.DELIVERED, State.UNDELIVERABLE, State.EXPIRED, State.FAILED, State.UNKNOWN}
)


class Fate(StrEnum):
    """The class of states that counts and charts have one number for."""

    DELIVERED = "delivered"
    #: The message did not arrive, and will not.
    FAILED = "failed"
    #: Nobody knows whether the message arrived: the carrier sent nothing that says so.
    NOT_KNOWN = "not known"
    #: The delivery has not ended yet.
    ON_ITS_WAY = "on its way"


#: The fate that each state belongs to.
FATES = {
    State.QUEUED: Fate.ON_ITS_WAY,
    State.SUBMITTING: Fate.ON_ITS_WAY,
    State.SUBMITTED: Fate.ON_ITS_WAY,
    State.DELIVERED: Fate.DELIVERED,
    State.UNDELIVERABLE: Fate.FAILED,
    State.EXPIRED: Fate.FAILED,
    State.FAILED: Fate.FAILED,
    State.UNCERTAIN: Fate.NOT_KNOWN,
    State.UNKNOWN: Fate.NOT_KNOWN,
}

# The state of a message is that of its least finished delivery; when all are finished, the worst
# outcome stands for the whole.
_WEIGHT = {
    state: weight
    for weight, state in enumerate(
        (
            State.QUEUED,
            State.SUBMITTING,
            State.SUBMITTED,
            State.UNCERTAIN,
            State.FAILED,
            State.UNDELIVERABLE,
            State.EXPIRED,
            State.UNKNOWN,
            State.DELIVERED,
        )
    )
}


def fold(states: Iterable[State]) -> State:
    """The state of a message with these deliveries (at least one)."""
    return min(states, key=_WEIGHT.__getitem__)


def tally(states: Iterable[State]) -> tuple[tuple[State, int], ...]:
    """How many deliveries stand where, the least finished state first, as `fold` has them."""
    counts = Counter(states)
    return tuple(sorted(counts.items(), key=lambda counted: _WEIGHT[counted[0]]))
