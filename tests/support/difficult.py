"""What is sent: texts that tell the carrier what to do, and what is to become of them."""

import random
import re
from collections.abc import Iterator

from sms_gateway.sms.message import State

#: Numbers with this prefix go by the route that resends what is uncertain.
RESENT = "+33"

# Words for the SMSC (tests/support/smsc/smsc.js) and how often they stand in a text, in thousands.
_WORDS = {
    "#stat:UNDELIV": 5,
    "#stat:EXPIRED": 5,
    "#stat:REJECTD": 5,
    "#twice": 10,
    "#before": 10,
    "#decimal": 10,
    "#tlv-only": 10,
    "#seconds": 10,
    "#unknown-tlv": 5,
    "#late:300": 1,
    "#silent:1": 0.3,
    "#drop:1": 0.3,
    "#system-error:1": 1,
    "#throttled:1": 0.2,
}
_OUTCOMES = {
    "UNDELIV": State.UNDELIVERABLE,
    "EXPIRED": State.EXPIRED,
    "REJECTD": State.FAILED,
}
_STAT = re.compile(r"#stat:(\w+)")


def expected(text: str) -> State:
    """What becomes of a message whose parts the carrier has all taken."""
    stat = _STAT.search(text)
    return State.DELIVERED if stat is None else _OUTCOMES[stat[1]]


def messages(random: random.Random, start: int, count: int) -> Iterator[tuple[str, str]]:
    """Recipients and texts, none of which comes twice: one in ten to several numbers, one in ten
    of three parts."""
    words = ["", *(f" {word}" for word in _WORDS)]
    weights = [1000 - sum(_WORDS.values()), *_WORDS.values()]
    for n in range(start, start + count):
        several = random.randint(2, 4) if random.random() < 0.1 else 1
        prefixes = (RESENT + "61" if random.random() < 0.2 else "+3247" for _ in range(several))
        recipients = [f"{prefix}{4 * n + k:07}" for k, prefix in enumerate(prefixes)]
        text = f"message {n}{random.choices(words, weights)[0]}"
        if random.random() < 0.1:
            text += " and so on" * 36
        yield ", ".join(recipients), text
