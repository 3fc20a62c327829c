"""A mail as a request to send an SMS: the subject is the numbers, the body the text."""

import re
from dataclasses import dataclass

from .charset import unfolded
from .mime import Part, text_of
from .own_words import own_words

#: The longest subject that is read; no list of numbers that a request may carry is longer.
MAX_SUBJECT = 8_000

# What mail programs put before the subject of an answer or of a mail that is passed on.
_PREFIXES = re.compile(
    r"(?:\s*(?:re|réf?|fwd?|tr|aw|wg|antw|vs|sv|doorst)\s?(?:\[[0-9]{1,3}\])?\s?:)+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What of a mail the backend is given."""

    recipients: str
    text: str
    #: Its Message-ID; empty when it has none.
    id: str


def read(mail: Part) -> Mail:
    """Read a mail; raises Unreadable. The rules for numbers and text are not this face's."""
    subject = unfolded(mail.header("subject")[:MAX_SUBJECT])
    prefixes = _PREFIXES.match(subject)
    return Mail(
        recipients=subject[prefixes.end() if prefixes else 0 :].strip(),
        text=own_words(text_of(mail)),
        id=mail.header("message-id").strip(),
    )
