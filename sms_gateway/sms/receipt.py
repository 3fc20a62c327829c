"""Delivery receipts as carriers write them, and the ids by which they name a message."""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from .message import State
from .receipt_words import meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A delivery receipt (DLR) as a carrier sent it."""

    #: The id the carrier gave the part, as it stands in the receipt; empty when it gave none.
    smsc_id: str
    #: DELIVERED, UNDELIVERABLE, EXPIRED, FAILED (rejected or deleted) or SUBMITTED (intermediate).
    state: State
    #: The recipient's number as the carrier wrote it, digits only; empty when it did not.
    recipient: str
    #: The carrier's error code, as it came ("000", "00B"); empty when there was none.
    error: str
    #: When the carrier says it happened, Unix milliseconds; 0 when it did not say.
    done_at: int
    #: The receipt's fields, for people: no text of the message in it.
    raw: str
    #: The id in the text, where the parameters have another.
    text_id: str = ""
    #: The other number in it, digits only: some carriers swap the two.
    other_number: str = ""
    #: Of how many parts it tells, and how many of them were delivered (`sub`, `dlvrd`); 0 when it
    #: does not say.
    parts: int = 0
    delivered: int = 0
    #: Its word for the state, when nobody knows what that means.
    unknown_stat: str = ""


#: The values of message_state: SMPP 3.4 §5.2.28; 0 and 9 are of SMPP 5.0 §4.7.15.
MESSAGE_STATES = {
    0: State.SUBMITTED,  # SCHEDULED
    1: State.SUBMITTED,  # ENROUTE
    2: State.DELIVERED,  # DELIVERED
    3: State.EXPIRED,  # EXPIRED
    4: State.FAILED,  # DELETED
    5: State.UNDELIVERABLE,  # UNDELIVERABLE
    6: State.SUBMITTED,  # ACCEPTED
    7: State.SUBMITTED,  # UNKNOWN
    8: State.FAILED,  # REJECTED
    9: State.FAILED,  # SKIPPED
}

# SMPP 3.4 appendix B, table B-1, as loosely as carriers write it. `text` ends the receipt: what
# follows is the message's own. A name stands at the beginning or behind a separator: ids have
# colons and all other signs in them.
_FIELD = re.compile(
    r"""(?<![^\s\x00-\x1f,;|])
        (?P<name> id | sub | dlvrd | submit[\ _]?date | done[\ _]?date | stat | err | text)
        \s* : \s*
    """,
    re.VERBOSE | re.IGNORECASE,
)
# All of them as the standard has them, and nothing in a value that could be a field.
_USUAL = re.compile(
    r"id:([A-Za-z0-9_.+/=@$-]{1,64}) sub:([0-9]{3}) dlvrd:([0-9]{3}) submit date:([0-9]{10,14})"
    r" done date:([0-9]{10,14}) stat:([A-Za-z]{7,13}) err:([A-Za-z0-9]{1,3})(?= text:|$)"
)
_USUAL_FIELDS = ("id", "sub", "dlvrd", "submit date", "done date", "stat", "err")
# Only what has the form of a value is taken: carriers write texts where no text should be.
_DATE = re.compile(r"[0-9][-0-9/:. ]{,24}")
_VALUE = re.compile(r"[!-~]{,64}")
_TOKEN = re.compile(r"[^\s\x00]*")
_ID = re.compile(r"[!-~]{1,64}")  # SMPP 3.4 §5.3.2.12 has 64 characters at most
_NOT_DIGIT = re.compile(r"[^0-9]")


def receipt_text(octets: bytes) -> str:
    """The text of a receipt, whatever data_coding says: carriers write ASCII under all of them.

    Some repeat the data_coding of the message, and a few write UTF-16 then, which shows by its
    zero octets. Other octets are read as Latin-1, so that none of them becomes an ASCII character.
    """
    head = octets[:8]
    for codec, mark, first in (
        ("utf-16-be", codecs.BOM_UTF16_BE, 0),
        ("utf-16-le", codecs.BOM_UTF16_LE, 1),
    ):
        if octets.startswith(mark) or (len(head) >= 4 and _is_every_other_zero(head, first)):
            return octets.removeprefix(mark).decode(codec, "replace")
    return octets.decode("latin-1")


def _is_every_other_zero(octets: bytes, first: int) -> bool:
    return not any(octets[first::2]) and all(octets[1 - first :: 2])


def parse_receipt(
    text: str,
    *,
    recipient: str = "",
    other_number: str = "",
    receipted_message_id: str = "",
    message_state: int | None = None,
    network_error_code: bytes = b"",
    words: Mapping[str, State] | None = None,
    zone: tzinfo = UTC,
) -> Receipt | None:
    """The receipt in a deliver_sm, by its text, its TLVs or both; None when it tells neither an id
    nor a number and what became of the message.

    `text` is the short_message (or message_payload), `recipient` the source_addr, `other_number`
    the destination_addr, `words` the carrier's own words for states (in capitals), `zone` the one
    of the carrier's clock. SMPP 3.4 appendix B; §5.3.2.12, §5.3.2.35, §5.3.2.31 for the TLVs,
    which count for more than the text. Nothing that comes in is an error.
    """
    fields = _fields(text)
    tlvs = {
        "receipted_message_id": _id(receipted_message_id),
        "message_state": "" if message_state is None else str(message_state),
        "network_error_code": network_error_code[:3].hex(),
    }
    smsc_id = tlvs["receipted_message_id"] or fields.get("id", "")
    word = fields.get("stat", "")
    by_word = meaning(word, words or {})
    by_number = MESSAGE_STATES.get(message_state) if message_state is not None else None
    number = _NOT_DIGIT.sub("", recipient)
    if not smsc_id and (not number or (by_word is None and by_number is None)):
        return None
    error = fields.get("err", "")
    if not error and len(network_error_code) == 3:
        # One octet for the kind of network, two for its error.
        error = f"{int.from_bytes(network_error_code[1:], 'big'):03d}"
    return Receipt(
        smsc_id=smsc_id,
        # Some carriers fill one of the two with the same value always: the final one counts.
        state=next((s for s in (by_number, by_word) if s not in (None, State.SUBMITTED)), None)
        or State.SUBMITTED,
        recipient=number,
        error=error,
        done_at=_milliseconds(fields.get("done date", ""), zone),
        raw=" ".join(f"{name}:{value}" for name, value in (fields | tlvs).items() if value),
        other_number=_NOT_DIGIT.sub("", other_number),
        unknown_stat=word if word and by_word is None else "",
        **_more(smsc_id, fields),
    )


def with_raw(receipt: Receipt) -> Receipt:
    """A stored receipt with what only its fields for people tell."""
    return replace(receipt, **_more(receipt.smsc_id, _fields(receipt.raw)))


def _more(smsc_id: str, fields: Mapping[str, str]) -> dict[str, Any]:
    text_id = fields.get("id", "")
    return {
        "text_id": text_id if text_id != smsc_id else "",
        "parts": _count(fields.get("sub", "")),
        "delivered": _count(fields.get("dlvrd", "")),
    }


def has_form(text: str) -> bool:
    """Whether a text has the form of a receipt: an id, a state, and one field more at least."""
    fields = _fields(text)
    return bool(fields.get("id") and fields.get("stat")) and len(fields) > 2


def _count(written: str) -> int:
    return int(written) if written.isdigit() and len(written) <= 3 else 0


def _fields(text: str) -> dict[str, str]:
    """The values by their names in appendix B; of a name that comes twice the first."""
    if usual := _USUAL.match(text):  # a third of the time
        return dict(zip(_USUAL_FIELDS, usual.groups(), strict=True))
    fields: dict[str, str] = {}
    names = list(_FIELD.finditer(text))
    for found, following in zip_longest(names, names[1:]):
        name = found["name"].lower()
        if name == "text":
            break
        end = following.start() if following else len(text)
        if name.endswith("date"):
            name = f"{name[:-4].rstrip(' _')} date"
            date = _DATE.match(text, found.end(), end)
            value = date[0].strip(" -") if date else ""
        else:
            value = (_id if name == "id" else _value)(text[found.end() : end])
        fields.setdefault(name, value)
    return fields


def _value(text: str) -> str:
    found = _VALUE.match(text)
    return found[0].rstrip(",;|") if found else ""


def _id(text: str) -> str:
    """The id that a value begins with, whole or not at all: a piece of one is another's."""
    token = _TOKEN.match(text)
    assert token is not None
    behind = text[token.end() :]
    if behind.startswith("\0") and _TOKEN.match(behind.lstrip("\0"))[0]:  # type: ignore[index]
        return ""
    found = token[0].rstrip(",;|")
    return found if _ID.fullmatch(found) else ""


@lru_cache(maxsize=1024)  # many receipts have the same minute
def _milliseconds(written: str, zone: tzinfo) -> int:
    """Unix time (seconds) of a date in a receipt; 0 for text that is no date."""
    digits = _NOT_DIGIT.sub("", written)
    # Appendix B has YYMMDDhhmm; carriers add the seconds, or the century, or both.
    forms = {10: (f"20{digits}",), 12: (f"20{digits}", digits), 14: (digits,)}
    for form in forms.get(len(digits), ()):
        try:
            moment = datetime.fromisoformat(f"{form[:8]}T{form[8:]}").replace(tzinfo=zone)
            return max(0, int(moment.timestamp() * 1000))
        except (ValueError, OverflowError):
            continue
    return 0


def id_key(smsc_id: str) -> str:
    """The form of a carrier's id that is stored: lower case, without blanks and leading zeros."""
    written = smsc_id.strip().lower()
    return written.lstrip("0") or written[:1]


_DECIMAL = re.compile(r"[0-9]{1,20}")  # 64 bits
_HEXADECIMAL = re.compile(r"[0-9a-f]{1,16}")


def id_candidates(smsc_id: str) -> tuple[str, ...]:
    """The keys under which the id of a receipt may have been stored, the likeliest first.

    Carriers give an id in hexadecimal when they accept a message and in decimal in its receipt,
    or the other way round. An id that is found only by a later candidate may be that of another
    message: the recipient has to be the same too.
    """
    key = id_key(smsc_id)
    keys = [key]
    if _DECIMAL.fullmatch(key):
        keys.append(f"{int(key):x}")
    if _HEXADECIMAL.fullmatch(key):
        keys.append(str(int(key, 16)))
    return tuple(dict.fromkeys(keys))
