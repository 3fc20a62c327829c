"""The words by which receipts say what became of a message."""

import re
from collections.abc import Mapping

from .message import State

# Whatever tells nothing final is SUBMITTED: the message keeps waiting for a receipt that does, and
# becomes UNKNOWN when its validity ends. That goes for the carriers' "unknown" too, and for
# "accepted", which the standard calls final and carriers send on the way.

#: `stat` in the text of a receipt: the abbreviation and the full word.
STATS = {
    # SMPP 3.4 appendix B, table B-2
    "DELIVRD": State.DELIVERED,
    "EXPIRED": State.EXPIRED,
    "DELETED": State.FAILED,
    "UNDELIV": State.UNDELIVERABLE,
    "ACCEPTD": State.SUBMITTED,
    "UNKNOWN": State.SUBMITTED,
    "REJECTD": State.FAILED,
    # SMPP 3.4 §5.2.28, the state's name written out or cut to seven letters
    "ENROUTE": State.SUBMITTED,
    "DELIVERED": State.DELIVERED,
    "UNDELIVERABLE": State.UNDELIVERABLE,
    "ACCEPTED": State.SUBMITTED,
    "REJECTED": State.FAILED,
    # SMPP 5.0 §4.7.15
    "SCHEDULED": State.SUBMITTED,
    "SKIPPED": State.FAILED,
    # in no standard, but sent by carriers
    "FAILED": State.FAILED,
    "CANCELED": State.FAILED,
    "CANCELLED": State.FAILED,
    "NOROUTE": State.UNDELIVERABLE,
    "ACKED": State.SUBMITTED,
    "BUFFRED": State.SUBMITTED,
    "BUFFERED": State.SUBMITTED,
    "PENDING": State.SUBMITTED,
    "QUEUED": State.SUBMITTED,
    "SENT": State.SUBMITTED,
}

# How carriers cut and misspell these words. Nothing but letters, and of what was delivered nothing
# behind: DELIVERYFAILED and DELIVERED_TO_SMSC begin like it and mean something else.
_FORMS = (
    (re.compile(r"DELIV(?:E?RE?)?D?|DLVRD"), State.DELIVERED),
    (re.compile(r"UNDEL[A-Z]*|UNDLVRD|NO[NT]_?(?:DELIV(?:E?RE?)?D?|DLVRD)"), State.UNDELIVERABLE),
    (re.compile(r"EXPIR[A-Z]*"), State.EXPIRED),
    (re.compile(r"REJ[A-Z]*|FAIL(?:ED|URE)?|DELETE?D?"), State.FAILED),
    (re.compile(r"ENROUT[A-Z]*|ACCEPT[A-Z]*|UNKNOW"), State.SUBMITTED),
)

#: The meanings that an operator may give a carrier's own word.
MEANINGS = {
    state.value: state
    for state in (
        State.DELIVERED,
        State.UNDELIVERABLE,
        State.EXPIRED,
        State.FAILED,
        State.SUBMITTED,
    )
}
_WORD = re.compile(r"[!-~]{1,64}")


def meaning(word: str, own: Mapping[str, State]) -> State | None:
    """The state that a word stands for, in any case; None for a word that nobody knows.

    `own` are the carrier's own words, in capitals; they count for more than the others.
    """
    written = word.upper()
    known = own.get(written) or STATS.get(written)
    if known is not None:
        return known
    return next((state for form, state in _FORMS if form.fullmatch(written)), None)


def read_words(written: str) -> dict[str, State]:
    """The words of `WORD:meaning,WORD:meaning`, in capitals; ValueError for another form."""
    found: dict[str, State] = {}
    for pair in filter(None, written.split(",")):
        word, colon, means = pair.strip().rpartition(":")
        if not colon or not _WORD.fullmatch(word) or means.lower() not in MEANINGS:
            raise ValueError(
                f"receipt_words={pair}: allowed are pairs such as NOROUTE:undeliverable, "
                f"separated by commas; a word may mean {', '.join(MEANINGS)}"
            )
        if word.upper() in found:
            raise ValueError(f"receipt_words: {word} is given twice")
        found[word.upper()] = MEANINGS[means.lower()]
    return found


_SHOWN = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")


def shown(word: str) -> str:
    """A word as it may stand in a log: its first letters, without what could be a number."""
    found = _SHOWN.match(word)
    return found[0] if found else "(no letters)"
