"""Finds the part that a receipt is for: by id and number, while the part waits for a receipt."""

from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from ...sms.message import State
from ...sms.receipt import Receipt, id_candidates, id_key
from ...sms.receipt_numbers import agrees
from ...store.receipts import KnownPart

#: How long after the end of a validity a receipt is still taken, ms. Carriers count the validity
#: from when they got a message: what they say of its end comes after the end that we know.
GRACE = 3_600_000

_WAITING = frozenset((State.QUEUED, State.SUBMITTING, State.SUBMITTED, State.UNCERTAIN))
Known = Mapping[str, list[KnownPart]]
#: A part that has had its receipt: delivery and number.
Place = tuple[int, int]


class Use(Enum):
    """The use that is made of a receipt."""

    #: It is joined to its part.
    JOIN = "join"
    #: It is joined to its part if no other message is on its way to the number, whose receipt it
    #: could be: the part's time is over, or its message has ended by another part.
    JOIN_IF_QUIET = "join if quiet"
    #: Its part has had a receipt: this is the repeat or, where another message is on its way to the
    #: number, perhaps the early receipt of that message under the same id.
    REPEAT = "repeat"
    #: It waits for a while: its part has waited for long, so that it may be the early receipt of
    #: another message that is on its way to the number.
    DOUBTFUL = "doubtful"
    #: Its part's time is long over: it waits for another message with the same id.
    TOO_LATE = "too late"
    #: Nobody knows its id, or not with this number.
    NOBODYS = "nobody's"


class Match(NamedTuple):
    use: Use
    part: KnownPart | None = None


def exact_keys(receipt: Receipt) -> set[str]:
    """The keys of the ids of a receipt as they stand in it."""
    return {id_key(id) for id in _ids(receipt)}


def all_keys(receipt: Receipt) -> set[str]:
    """The exact keys, and those of the ids' other forms."""
    return {key for id in _ids(receipt) for key in id_candidates(id)}


def match(receipt: Receipt, known: Known, *, now: int, taken: Collection[Place]) -> Match:
    """The part a receipt that came at `now` is for, among those known by its keys.

    A carrier may begin its counter anew: an id names a part only together with its number, where
    the receipt has one, and only until the part has had its receipt. The newest is taken first.
    `taken`: parts that other receipts have taken meanwhile.
    """
    # The usual case first: nearly all receipts are of this kind.
    for part in known.get(id_key(receipt.smsc_id), ()):
        is_open = _waits(part) and part.expires_at >= now and _place(part) not in taken
        if is_open and agrees(receipt, part.recipient):
            return Match(Use.JOIN, part)
    found = list(_agreeing(receipt, known))
    open = [(part, is_sure) for part, is_sure in found if _place(part) not in taken]
    for part, is_sure in open:
        if _waits(part) and part.expires_at >= now:
            others = {other.delivery_id for other, _ in open if _waits(other)}
            # Without a number nothing tells two messages with one id from each other.
            is_one = is_sure or len(others) == 1
            return Match(Use.JOIN, part) if is_one else Match(Use.NOBODYS)
    for part, is_sure in open:
        if part.state != State.SUBMITTED or not is_sure:
            continue
        if part.delivery_state not in (*_WAITING, State.UNKNOWN) or now <= part.expires_at + GRACE:
            return Match(Use.JOIN_IF_QUIET, part)
    if not found:
        return Match(Use.NOBODYS)
    reported = [part for part, _ in found if _place(part) in taken or part.state != State.SUBMITTED]
    return Match(Use.REPEAT, reported[0]) if reported else Match(Use.TOO_LATE, found[0][0])


def _agreeing(receipt: Receipt, known: Known) -> Iterator[tuple[KnownPart, bool]]:
    """The parts whose ids and numbers agree with a receipt's, the likeliest first; each with
    whether its number does, which it may not tell."""
    ids = _ids(receipt)
    for id in ids:
        for part in known.get(id_key(id), ()):
            agreement = agrees(receipt, part.recipient)
            if agreement is not False:
                yield part, bool(agreement)
    for id in ids:
        # Another form of an id (hex for decimal, say) may be another message's own.
        for form in id_candidates(id)[1:]:
            for part in known.get(form, ()):
                if agrees(receipt, part.recipient):
                    yield part, True


def _waits(part: KnownPart) -> bool:
    return part.state == State.SUBMITTED and part.delivery_state in _WAITING


def _place(part: KnownPart) -> Place:
    return (part.delivery_id, part.number)


def _ids(receipt: Receipt) -> list[str]:
    return [id for id in (receipt.smsc_id, receipt.text_id) if id]
