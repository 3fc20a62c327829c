"""Says for which part a modem's receipt is.

A receipt has the reference that the SIM gave the part, 0 to 255, and the number. The same reference
comes again after 256 parts, so that these two do not name a part. The names of parts therefore hold
the moment at which they were sent, which a receipt has too: the SMSC's time stamp.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..sms.message import State

# Microseconds since 1970 in hexadecimal, and the reference.
_NAME = re.compile(r"([0-9a-f]{12,16})-([0-9a-f]{1,2})")
#: How far the clocks of an SMSC and of this machine are apart, with the seconds that sending takes;
#: milliseconds. Of several parts the nearest counts, where no other is near.
_NEAR, _FAR = 120_000, 240_000
#: A single part is known by number and reference, also where an SMSC has another time zone.
_ZONES = 15 * 3_600_000
#: How long after its validity a part is still remembered, so that its late receipt is not taken for
#: that of a later part.
_AFTERWARDS = 86_400_000
#: The digits that two writings of a number have in common at the end.
_LEAST = 7


def part_name(sent_at: int, reference: int) -> str:
    """The name of a part; `sent_at`: microseconds since 1970, no two the same."""
    return f"{sent_at:x}-{reference:02x}"


@dataclass(slots=True)
class _Sent:
    name: str
    #: Milliseconds since 1970.
    at: int
    digits: str
    until: int


class SentParts:
    """The parts whose receipts may come. Times are Unix milliseconds."""

    def __init__(self) -> None:
        self._by_reference: dict[int, list[_Sent]] = {}

    def add(self, name: str, recipient: str, expires_at: int) -> None:
        """Remember a part by its name; any other name is passed over."""
        match = _NAME.fullmatch(name)
        if match is None:
            return
        sent = _Sent(name, int(match[1], 16) // 1_000, _digits(recipient), expires_at + _AFTERWARDS)
        same = self._by_reference.setdefault(int(match[2], 16), [])
        same[:] = [each for each in same if each.until > sent.at]
        same.append(sent)

    def name_of(self, reference: int, number: str, sent_at: int) -> str | None:
        """The name of the part that a receipt is for; None where it may be for another part."""
        digits = _digits(number)
        found = [
            (abs(each.at - sent_at), each.name)
            for each in self._by_reference.get(reference, ())
            if _agree(each.digits, digits)
        ]
        match sorted(found):
            case [(apart, name)] if apart <= _ZONES:
                return name
            case [(apart, name), (next_apart, _), *_] if apart <= _NEAR and next_apart >= _FAR:
                return name
        return None


def state_of(status: int) -> State:
    """What TP-Status says (3GPP TS 23.040, 9.2.3.15)."""
    if status in _STATES:
        return _STATES[status]
    # 0x20 to 0x3F: the SMSC still tries; what is reserved means the first of its row.
    return (State.DELIVERED, State.SUBMITTED, State.UNDELIVERABLE, State.UNDELIVERABLE)[
        min(status >> 5, 3)
    ]


_STATES = {
    0x01: State.UNKNOWN,  # forwarded, and the SMSC cannot say whether it arrived
    0x02: State.FAILED,  # replaced by the SMSC
    0x46: State.EXPIRED,  # the validity ended
    0x47: State.FAILED,  # deleted by the sender
    0x48: State.FAILED,  # deleted by the SMSC
}


def _digits(number: str) -> str:
    return "".join(sign for sign in number if sign in "0123456789").lstrip("0")


def _agree(one: str, other: str) -> bool:
    """Whether two writings may be one number: as national and international ones."""
    shorter, longer = sorted((one, other), key=len)
    return one == other or (len(shorter) >= _LEAST and longer.endswith(shorter))


def names(parts: Sequence[tuple[str, str, int]]) -> SentParts:
    """The parts that an earlier run has sent: names, recipients and ends of validity."""
    sent = SentParts()
    for name, recipient, expires_at in parts:
        sent.add(name, recipient, expires_at)
    return sent
