"""Why something happened, in a reader's language.

Reasons are stored, answered and logged in English, as programs may read them; on the pages of
another language they are read back. The words of a carrier or a system are shown as they came, in
quotation marks.
"""

import re
from collections.abc import Callable
from functools import cache

from babel import Locale

from . import Words

#: Reasons without anything in them that varies. A test holds them, and FORMS, against the code.
SENTENCES = (
    # Of the journal.
    "to be tried again",
    "the carrier did not answer",
    "every part had been accepted before",
    "its worker stopped before the carrier's answer was recorded",
    "its validity ended before a carrier took it",
    "a key of encryption is missing, or what it encrypted was changed",
    "no receipt came before its validity ended",
    "delivered: this carrier reports one part of a long text",
    "several messages to its number wait for one",
    "the message to its number has no answer yet, or all its receipts",
    "no message to its number waits for one",
    "the recipient is forgotten",
    "the key is deleted",
    "it was erased before the carrier answered",
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
    "its request could not be made",
    "connection lost",
    "unbound",
    "unbound by the SMSC",
    "submit_sm is not answered any more",
    "the bind was not answered",
    "nothing was carried for inactivity_timeout",
    "unbind was not answered",
    "enquire_link was not answered",
    "another carrier has taken a part of it and has to take the rest",
    "an optional parameter is out of range",
    "the telephone's queue is full",
    "it took some of the parts only",
    "it has no sender, and the upstream has none to show",
    "it is no acceptance and no error that is known",
    "its state is unknown",
    "it is not XML",
    "it is not a form",
    "the provider does not take it",
    "no token",
    "the server of tokens gives none",
    "check the entry oauth2, and that server",
    "the server knows no such telephone",
    "the service refuses the request",
    "the modem did not answer",
    "the modem is away",
    "the process of the modem ended",
    "another worker has the modem",
    "python-gammu is not installed",
    "the SIM refuses the PIN",
    "the text has a character that XML does not have",
    # Of callbacks.
    "its address is not public",
    "its port is not one of callback_ports",
    # Of connections: what happened, and what to do about it.
    "the certificate is signed by nobody who is trusted",
    "the certificate is for another name",
    "the certificate has expired",
    "the certificate is not valid yet",
    "the certificate is not valid",
    "the other side does not speak TLS on this port",
    "there is no version of TLS that both sides speak",
    "the other side asks for a client certificate",
    "the other side does not accept our client certificate",
    "the other side refuses TLS with us",
    "the other side has nothing under this name",
    "TLS failed",
    "the other side hung up while TLS began",
    "the other side does not answer in TLS",
    "no such host is known",
    "the host cannot be looked up",
    "nothing listens there",
    "there is no way to it",
    "there is no answer",
    "the other side hung up",
    "none of its addresses is reached",
    "the host is none that a machine can have",
    "the bind is not answered",
    "the other side hung up before it answered the bind",
    "the other side speaks TLS on this port",
    "the other side does not speak SMPP",
    "set cafile to the CA certificate that the other side has given you",
    "write the name in it as the host, or set tls_name to it",
    "ask the other side for a valid one, or check the clock of this machine",
    "check the clock of this machine, or ask the other side",
    "ask the other side for a valid one",
    "take the port for TLS, or write smpp:// (http://) if there is none",
    "ask the other side for TLS 1.2 or newer",
    "set certfile and keyfile to the one that it has given you",
    "set certfile and keyfile to the one that it has given you, and look whether it has expired",
    "it may ask for a client certificate (certfile, keyfile), or for other ciphers",
    "write the name in its certificate as the host, or set tls_name to it",
    "look at the error, and ask the other side",
    "take the port for TLS, or write smpp:// (http://) if there is none; it may also ask "
    "for a client certificate (certfile, keyfile), or let only listed addresses in",
    "check the host",
    "check the name servers of this machine",
    "check host and port",
    "check the network, routes and firewalls of this machine",
    "check host and port, and that firewalls and the other side's list of allowed "
    "addresses let this machine through",
    "check the port, whether it is for TLS (smpps://), whether the operator asks for a "
    "client certificate (certfile), and with the operator that this machine's address is "
    "allowed",
    "write smpps:// for smpp://",
    # Of a SOCKS server.
    "the proxy does not speak SOCKS 5",
    "check socks",
    "the SOCKS server accepts neither no password nor ours",
    "set socks_user and socks_password, or ask who runs it",
    "the SOCKS server refuses our password",
    "set socks_user and socks_password",
    "the SOCKS server failed",
    "look into its log",
    "the SOCKS server does not allow this connection",
    "ask who runs it to allow it",
    "the SOCKS server has no way to the network",
    "look at its routes and firewalls",
    "the SOCKS server does not reach the host",
    "nothing listens there, says the SOCKS server",
    "the SOCKS server had no answer in time",
    "the SOCKS server does not connect for others",
    "ask who runs it",
    "the SOCKS server does not know this type of address",
    "write the host as a name",
    # Advice after a refused bind.
    "the operator expects another form of bind: ask which SMPP version and binds it has, and "
    "set the options version and bind",
    "the operator does not know this bind: set the option bind to separate (or to "
    "transceiver), as the operator says",
    "the account may not bind as transceiver: set bind=separate (or bind=transmitter with "
    "registered_delivery=none), or ask the operator to allow transceivers",
    "the account may not bind as transmitter: set bind=transceiver, or ask the operator which"
    " binds it may have",
    "the account may not bind as receiver: set bind=transceiver, or receiver_host and "
    "receiver_port if the operator has another address for receivers",
    "the account may have fewer binds than binds and receivers ask for in each worker: set "
    "them to what the operator allows, divided by the workers",
    "the account is bound already: run no more workers than it may have binds, stop what "
    "else uses it, or ask the operator for more; after a cut connection it passes of "
    "itself",
    "the operator has trouble of its own: if it lasts, ask the operator",
    "no reason is given: ask the operator whether this machine's address is allowed, how "
    "many binds the account may have, and for its system_type",
    "set the password in the upstream's address (special characters as %XX; SMPP 3.4 has "
    "at most 8), or ask the operator whether the account is active",
    "set the user (system_id) in the upstream's address as the operator gave it",
    "the operator takes no more at the moment: if it lasts, ask the operator",
    "set the option system_type as the operator gave it, or leave it out",
    "the operator counts too many binds: it passes, unless other programs bind as well",
    "a status of the operator's own: its documentation says what it means; commonly that "
    "this machine's address is not allowed, or that there are too many binds",
    "ask the operator what it means",
    # Why the answer of a relay, or of another provider, is not believed.
    "it could not be read",
    "it is no SOAP envelope",
    "it is neither an answer nor a fault",
    "it is a fault without a number",
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
    "not authorised to use this service_type",
    "prohibited from this operation",
    "service_type is unavailable",
    "service_type is denied",
    "invalid data_coding",
    "invalid source_addr_subunit",
    "invalid dest_addr_subunit",
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
    "is written as a decimal number, as spreadsheets do with long numbers; make its cell "
    "a text and write all digits",
    "has an extension, which no SMS reaches; write the number without it",
    "is a parameter of a tel: address, which is not read; write the number with +",
    "begins with a space, which may have been a + and makes another number; write + as "
    "%2B in a query, or no space",
    "the letter that cannot be shown",
    "the sign that cannot be shown",
    "is not a valid telephone number: there are no digits, or a + stands between them",
    "no country's calling code begins so",
    "its calling code",
    "the text is empty",
    "the text has half a surrogate pair",
    # Of the gateway.
    "The text has characters that do not exist",
    "This sender may not write to this address",
    "The reference is longer than 100 characters",
    "The reference has a control character in it",
    "The sender is not up to 15 digits, or up to 11 letters and digits",
    "This key may not name this sender",
    "This sender cannot be shown at this number",
    "Too busy - try again shortly",
    "The request came too slowly",
    "Too many connections come from your network: close some, use each for more than"
    " one request, or try again shortly",
    "Too many requests from your network have not come whole: send the rest of them,"
    " or try again shortly",
    "The message goes in a circle: it has passed more than 5 relays",
    "The header Sendsmsnow-Hops is not a whole number",
    "This idempotency key was used before for another message",
    "The message cannot be decrypted",
    "The database was lost meanwhile; it is not known whether this was done",
    "The clock of this machine is wrong: nothing is accepted here until it is right",
    "before is no date or time",
    "after is not what an answer had as next",
    # Of requests that cannot be read, and of pages.
    "There is nothing at this address",
    "This cannot be done here",
    "This request is not understood",
    "This form is too old, or did not come from here: open the page again",
    "The request is not as HTTP has it",
    "The address is too long: parameters may come in the body, by POST",
    "Only HTTP/1.1 is understood here",
    "The headers are too large or too many",
    "This transfer encoding is not understood: chunked is",
    "Only HTTP/1.0 and HTTP/1.1 are understood here",
    "The body is not in chunks as HTTP has them, or in too many",
    "This is no HTTP request",
    "Every line of the head ends with CR and LF",
    "There has to be one Content-Length, a whole number, or Transfer-Encoding: chunked",
    "The address begins with /, or with http:// or https://",
    "The address has a blank in it, which is written %20, or + in the query",
    "The method is not one of HTTP, such as GET and POST, in capital letters",
    "The address has a character in it that is written with % and two digits",
    "There has to be one Host header",
    "The Host header is no name or address, with or without a port",
    "More than one empty line comes before the request",
    "A header is not as HTTP has it: a name, a colon and a value on one line",
    "A compressed body is not understood",
    "The body is neither a form nor JSON",
    "Too many parameters",
    "The body is not a JSON object",
    "The body is not JSON",
    "Too many recipients",
    "The text is not in the charset that it names",
    "The charset is not known",
    "The body is not a multipart form",
    "The request did not arrive in time",
    "The body comes in too small pieces",
    "The request is too large",
    "The body is JSON, which has to be said: Content-Type: application/json",
    "The call is not a JSON object",
    "The Idempotency-Key is not 1 to 255 visible ASCII characters",
)

#: Reasons with something that varies: how they read, and the sentence to look up. What is called
#: `words` is a reason itself, or somebody else's words; `state` is a state, `kind` a kind of
#: number, `region` a country by ISO 3166 alpha-2, and `place` what `numbering.complaint` calls the
#: numbers of a calling code.
FORMS = tuple(
    (re.compile(form), sentence)
    for form, sentence in (
        (r"(?P<words>.+) \(late\)", "%(words)s (late)"),
        (r"(?P<words>.+) \(incident (?P<code>[0-9a-f-]+)\)", "%(words)s (incident %(code)s)"),
        # Parameters that nobody knows, as their sender named them.
        (
            r"(?P<words>.+) \(not known here: (?P<names>[A-Za-z_-]+(?:, [A-Za-z_-]+)*)\)",
            "%(words)s (not known here: %(names)s)",
        ),
        (r"it was (?P<state>[a-z]+)", "it was %(state)s"),
        (r"quiet hours until (?P<time>[0-9TZ: -]+)", "quiet hours until %(time)s"),
        (r"the number is busy until (?P<time>[0-9TZ: -]+)", "the number is busy until %(time)s"),
        (r"(?P<state>[a-z]+) err (?P<code>\w+)", "%(state)s, error code %(code)s"),
        (r"(?P<code>0x[0-9a-f]{8}) (?P<words>.+)", "%(code)s %(words)s"),
        (r"(?P<code>[0-9]{1,3}) (?P<words>.+)", "%(code)s %(words)s"),
        (r"odd answer: (?P<words>.+)", "odd answer: %(words)s"),
        (r"bind refused: (?P<words>.+)", "bind refused: %(words)s"),
        (r"not reached: (?P<words>.+)", "not reached: %(words)s"),
        (r"HTTP status (?P<code>[0-9]+)", "HTTP status %(code)s"),
        (r"fault (?P<code>[A-Z0-9]+)", "fault %(code)s"),
        (r"the modem says (?P<code>\w+)", "the modem says %(code)s"),
        (r"the SIM asks for its (?P<code>\w+)", "the SIM asks for its %(code)s"),
        (
            r"HTTP status (?P<code>[0-9]+); redirects are not followed",
            "HTTP status %(code)s; redirects are not followed",
        ),
        (r"its status is (?P<code>[0-9]+)", "its status is %(code)s"),
        (r"its code (?P<code>[A-Za-z0-9_.-]+) is unknown", "its code %(code)s is unknown"),
        (r"no token: (?P<words>.+)", "no token: %(words)s"),
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
        (
            r"The body is not a JSON list of at most (?P<count>[0-9]+) calls",
            "The body is not a JSON list of at most %(count)s calls",
        ),
        (
            r"Only these parameters are understood here: (?P<names>[a-z]+(?:, [a-z]+)*)",
            "Only these parameters are understood here: %(names)s",
        ),
        (r"limit is not 0 to (?P<count>[0-9]+)", "limit is not 0 to %(count)s"),
        (r"The parameter (?P<name>[a-z]+) is not a text", "The parameter %(name)s is not a text"),
        # What a number has that no number has. The name of a sign is Unicode's.
        (
            r"has a letter or sign that telephone numbers do not have: (?P<words>.+)",
            "has a letter or sign that telephone numbers do not have: %(words)s",
        ),
        (r'the letter "(?P<sign>.)"', "the letter “%(sign)s”"),
        (r'the sign "(?P<sign>.)"', "the sign “%(sign)s”"),
        (
            r'(?P<words>the (?:letter|sign) (?:"."|that cannot be shown)) \((?P<name>[a-z -]+)\)',
            "%(words)s (%(name)s)",
        ),
        (r"(?P<words>.+), for all parts", "%(words)s, for all parts"),
        # Why a number is none.
        (
            r"may be one number or (?P<count>[0-9]+) of (?P<region>[A-Z]{2}); write \+ before a "
            r"number, and a comma or line break between two",
            "may be one number or %(count)s of %(region)s; write + before a number, and a comma or "
            "line break between two",
        ),
        (
            r"is not a valid telephone number: it is none of (?P<region>[A-Z]{2}) and no "
            r"international one; write it with \+ and its country code",
            "is not a valid telephone number: it is none of %(region)s and no international one; "
            "write it with + and its country code",
        ),
        (
            r"is not a valid telephone number: (?P<words>.+); write it with its country code",
            "is not a valid telephone number: %(words)s; write it with its country code",
        ),
        (
            r"is not a valid telephone number: (?P<words>.+)",
            "is not a valid telephone number: %(words)s",
        ),
        (
            r"it is too short for a number of (?P<place>.+)",
            "it is too short for a number of %(place)s",
        ),
        (
            r"it is too long for a number of (?P<place>.+)",
            "it is too long for a number of %(place)s",
        ),
        (
            r"no numbers of (?P<place>.+) begin so, or none of them is so long",
            "no numbers of %(place)s begin so, or none of them is so long",
        ),
        (
            r"(?P<region>[A-Z]{2}) or another country with its calling code",
            "%(region)s or another country with its calling code",
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
        # Of kinds of numbers, and of caps.
        (
            r"Numbers of this kind are closed: (?P<kind>[a-z ]+)",
            "Numbers of this kind are closed: %(kind)s",
        ),
        (
            r"Exceeding the limit of (?P<count>[0-9]+) parts a minute, until (?P<time>[0-9Z: -]+)",
            "Exceeding the limit of %(count)s parts a minute, until %(time)s",
        ),
        (
            r"Exceeding the limit of (?P<count>[0-9]+) parts a day, until (?P<time>[0-9Z: -]+)",
            "Exceeding the limit of %(count)s parts a day, until %(time)s",
        ),
        (
            r"Exceeding the limit of (?P<count>[0-9]+) parts a month, until (?P<time>[0-9Z: -]+)",
            "Exceeding the limit of %(count)s parts a month, until %(time)s",
        ),
        (
            r"Too many parts for this service, until (?P<time>[0-9Z: -]+)",
            "Too many parts for this service, until %(time)s",
        ),
        (
            r"Too many parts for this destination, until (?P<time>[0-9Z: -]+)",
            "Too many parts for this destination, until %(time)s",
        ),
        (
            r"Too many parts for numbers like these, until (?P<time>[0-9Z: -]+)",
            "Too many parts for numbers like these, until %(time)s",
        ),
        (
            r"Too many parts for this number, until (?P<time>[0-9Z: -]+)",
            "Too many parts for this number, until %(time)s",
        ),
        (r"Exceeding the limit of (?P<rate>[0-9]+(?:/[a-z]+)?)", "Exceeding the limit of %(rate)s"),
    )
)

#: A reason, and what to do about it.
ADVISED = "%(words)s; %(advice)s"
#: The form in which a carrier's own words are shown.
QUOTED = "“%(words)s”"


def in_words(reason: str, words: Words) -> str:
    """A reason in the language of these words; a carrier's own words are quoted."""
    told = _known(reason, words)
    if told is not None:
        return told
    name, _, rest = reason.partition(" ")
    if not rest:
        return name
    # The journal has the carrier's id before its words.
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
    what, _, advice = reason.partition("; ")
    if what in _plain() and advice in _plain():
        both = {"words": words.gettext(what), "advice": words.gettext(advice)}
        return words.gettext(ADVISED) % both
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


def _region(value: str, words: Words) -> str:
    name: str = Locale.parse(words.language).territories.get(value, value)
    return name


def _place(value: str, words: Words) -> str:
    return _known(value, words) or _region(value, words)


_VALUES: dict[str, Callable[[str, Words], str]] = {
    "state": _state,
    "kind": _state,
    "words": in_words,
    "region": _region,
    "place": _place,
}
