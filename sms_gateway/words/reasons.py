"""Why something happened, in a reader's language.

Reasons are stored, answered and logged in English, as programs may read them; on the pages of
another language they are read back. What a carrier or a system said in its own words is no sentence
of ours: it is shown as it came, in quotation marks.
"""

import re
from collections.abc import Callable
from functools import cache

from . import Words

#: Reasons without anything in them that varies. A test holds them, and FORMS, against the code.
SENTENCES = (
    # Of the journal.
    "to be tried again",
    "the carrier did not answer",
    "every part had been accepted before",
    "its worker stopped before the carrier's answer was recorded",
    "its validity ended before a carrier took it",
    "no receipt came before its validity ended",
    "the recipient is forgotten",
    "the recipient has asked to stop",
    "known from its receipt",
    # Of receipts.
    "submitted",
    "delivered",
    "undeliverable",
    "expired",
    "failed",
    # Of upstreams.
    "stopped",
    "not connected",
    "not bound",
    "no answer",
    "no answer in time",
    "not reached",
    "cut off",
    "connection lost",
    "unbound",
    "unbound by the SMSC",
    "submit_sm is not answered any more",
    "bind_transceiver was not answered",
    "unbind was not answered",
    "enquire_link was not answered",
    "another carrier has taken a part of it and has to take the rest",
    "an optional parameter is out of range",
    # Of callbacks.
    "its address is not public",
    # What is odd about the answer of a relay.
    "it reports success with no or too many recipients",
    "it reports success without a count",
    "it reports success without an id",
    "it reports success with an error status",
    "it has not one reply for each call",
    "a reply is none",
    "its messages are not in order",
    "it has more messages than it was asked for",
    "its next is not where its messages end",
    "it is about another message",
    "its deliveries are not as many as it says",
    "its code is unknown or missing",
    "its state is unknown or missing",
    "it is not JSON",
    "it is neither XML nor JSON",
    "it has no result",
    "it has a document type",
    "a list holds something else",
    "a field holds more than text",
    "a field comes twice",
    "it is no HTTP",
    "it is framed in two ways",
    "it is framed in an unknown way",
    "its length is none",
    "its pieces do not fit",
    "it is too long",
    # Of the states that SMPP has for an answer (SMPP 3.4 §5.1.3).
    "no error",
    "message length is invalid",
    "command length is invalid",
    "invalid command id",
    "incorrect bind status for given command",
    "ESME already in bound state",
    "invalid priority flag",
    "invalid registered delivery flag",
    "system error",
    "invalid source address",
    "invalid destination address",
    "message id is invalid",
    "bind failed",
    "invalid password",
    "invalid system id",
    "cancel SM failed",
    "replace SM failed",
    "message queue full",
    "invalid service type",
    "invalid number of destinations",
    "invalid distribution list name",
    "destination flag is invalid",
    "invalid submit with replace request",
    "invalid esm_class field data",
    "cannot submit to distribution list",
    "submit failed",
    "invalid source address TON",
    "invalid source address NPI",
    "invalid destination address TON",
    "invalid destination address NPI",
    "invalid system_type field",
    "invalid replace_if_present flag",
    "invalid number of messages",
    "throttling error",
    "invalid scheduled delivery time",
    "invalid message validity period",
    "predefined message invalid or not found",
    "temporary application error",
    "permanent application error",
    "rejected by the application",
    "query SM failed",
    "error in the optional part of the PDU body",
    "optional parameter not allowed",
    "invalid parameter length",
    "expected optional parameter missing",
    "invalid optional parameter value",
    "delivery failure",
    "unknown error",
    "vendor-specific error",
    "reserved status",
    # Of numbers and texts.
    "there is no number",
    "has a letter or sign that telephone numbers do not have",
    "is not a valid telephone number; write it with its country code",
    "the text is empty",
    "the text has half a surrogate pair",
    # Of the gateway.
    "The text has characters that do not exist",
    "This sender may not write to this address",
    "Too busy - try again shortly",
    "Too many wrong keys from here",
    "This idempotency key was used before for another message",
)

#: Reasons with something that varies: how they read, and the sentence to look up. What is called
#: `words` or `more` is a reason itself, or somebody else's words; `state` is a state.
FORMS = tuple(
    (re.compile(form), sentence)
    for form, sentence in (
        (r"(?P<words>.+) \(late\)", "%(words)s (late)"),
        (r"it was (?P<state>[a-z]+)", "it was %(state)s"),
        (r"quiet hours until (?P<time>[0-9TZ: -]+)", "quiet hours until %(time)s"),
        (r"(?P<state>[a-z]+) err (?P<code>\w+)", "%(state)s, error code %(code)s"),
        (r"(?P<code>0x[0-9a-f]{8}) (?P<words>.+)", "%(code)s %(words)s"),
        (r"(?P<code>[0-9]{1,3}) (?P<words>.+)", "%(code)s %(words)s"),
        (r"odd answer: (?P<words>.+)", "odd answer: %(words)s"),
        (r"bind refused: (?P<words>.+)", "bind refused: %(words)s"),
        (r"not reached: (?P<words>.+)", "not reached: %(words)s"),
        (r"HTTP status (?P<code>[0-9]+)", "HTTP status %(code)s"),
        (
            r"HTTP status (?P<code>[0-9]+); redirects are not followed",
            "HTTP status %(code)s; redirects are not followed",
        ),
        (r"its status is (?P<code>[0-9]+)", "its status is %(code)s"),
        (r"its (?P<name>\w+) are no list", "its %(name)s are no list"),
        (r"its (?P<name>\w+) is no number", "its %(name)s is no number"),
        (r"its (?P<name>\w+) is no text", "its %(name)s is no text"),
        (r"its (?P<name>\w+) is no time", "its %(name)s is no time"),
        (r"no answer within (?P<count>[0-9.]+) seconds", "no answer within %(count)s seconds"),
        (r"command_length is (?P<count>[0-9]+)", "command_length is %(count)s"),
        (r"(?P<name>\w+) does not fit one octet", "%(name)s does not fit one octet"),
        (
            r"(?P<name>\w+) has a character that cannot be sent",
            "%(name)s has a character that cannot be sent",
        ),
        (r"(?P<name>\w+) has a NUL in it", "%(name)s has a NUL in it"),
        (
            r"(?P<name>\w+) is longer than (?P<count>[0-9]+) octets",
            "%(name)s is longer than %(count)s octets",
        ),
        # An event of a callback, and why it was not taken.
        (
            r"(?P<name>[a-z]+\.[a-z]+ [0-9a-f-]+): (?P<words>.+)",
            "%(name)s: %(words)s",
        ),
        (r"there are more than (?P<count>[0-9]+) numbers", "there are more than %(count)s numbers"),
        (
            r"the list of numbers is longer than (?P<count>[0-9]+) characters",
            "the list of numbers is longer than %(count)s characters",
        ),
        (r"the number (?P<words>.+)", "the number %(words)s"),
        (
            r"number (?P<count>[0-9]+) of (?P<total>[0-9]+) (?P<words>.+)",
            "number %(count)s of %(total)s %(words)s",
        ),
        (
            r"the text has a control character \((?P<code>U\+[0-9A-F]+)\)",
            "the text has a control character (%(code)s)",
        ),
        (
            r"the text has a code that is no character \((?P<code>U\+[0-9A-F]+)\)",
            "the text has a code that is no character (%(code)s)",
        ),
        (
            r"The message is too long: (?P<count>[0-9]+) parts?, at most (?P<most>[0-9]+)",
            "The message is too long: %(count)s parts, at most %(most)s",
        ),
        (
            r"the text is longer than (?P<count>[0-9]+) parts of (?P<most>[0-9]+) characters",
            "the text is longer than %(count)s parts of %(most)s characters",
        ),
        (r"Exceeding the limit of (?P<rate>[0-9]+(?:/[a-z]+)?)", "Exceeding the limit of %(rate)s"),
    )
)

#: How somebody else's words are shown.
QUOTED = "“%(words)s”"


def in_words(reason: str, words: Words) -> str:
    """A reason in the language of these words; what is not ours is quoted."""
    told = _known(reason, words)
    if told is not None:
        return told
    name, _, rest = reason.partition(" ")
    if not rest:
        return name
    # The journal has the carrier's id before what it said.
    told = _known(rest, words) if re.search("[0-9]", name) else None
    return words.gettext(QUOTED) % {"words": reason} if told is None else f"{name} {told}"


def _known(reason: str, words: Words) -> str | None:
    if reason in _plain():
        return words.gettext(reason)
    for form, sentence in FORMS:
        if match := form.fullmatch(reason):
            values = {
                name: _VALUES.get(name, _as_it_is)(value, words)
                for name, value in match.groupdict().items()
            }
            return words.gettext(sentence) % values
    # At the beginning of a sentence.
    if reason[:1].isupper() and (told := _known(reason[0].lower() + reason[1:], words)):
        return told[0].upper() + told[1:]
    return None


@cache
def _plain() -> frozenset[str]:
    from ..codes import Code

    return frozenset(SENTENCES) | {code.sentence for code in Code}


def _as_it_is(value: str, words: Words) -> str:
    return value


def _state(value: str, words: Words) -> str:
    return words.gettext(value)


_VALUES: dict[str, Callable[[str, Words], str]] = {"state": _state, "words": in_words}
