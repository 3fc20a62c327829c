"""What a hostile case is, and how requests are put together for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Of the account that the cases send with. None of the three may be in any log line.
KEY = "5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2"
NUMBER = "32494123456"
TEXT = "attack-at-dawn"
SECRETS = (KEY, NUMBER, TEXT)

SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
SOAP, FORM = "/sendsms/soap/", "/sendsms/"

CALL = (
    f'<sendSms xmlns="urn:sendSmsNow"><recipients>+{NUMBER}</recipients>'
    f"<message>{TEXT}</message><apikey>{KEY}</apikey></sendSms>"
).encode()
GOOD = b'<s:Envelope xmlns:s="%s"><s:Body>%s</s:Body></s:Envelope>' % (SOAP11.encode(), CALL)
GOOD_FORM = f"recipients=%2B{NUMBER}&message={TEXT}&apikey={KEY}".encode()

#: Outcomes: a SOAP Fault with HTTP 500, a refusal by the API (its code is not 0), a status, or a
#: connection that is closed without an answer.
FAULT, REFUSED, CLOSED = "SOAP Fault", "refused", "closed"
Outcome = str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing to send, and what may come of it. A message is never accepted."""

    name: str
    #: The bytes to write to a connection, in these pieces, until an answer comes.
    pieces: Callable[[], Iterator[bytes]]
    expected: frozenset[Outcome]


def whole(
    name: str, request: Callable[[], bytes] | bytes, *expected: Outcome, then: bytes = b""
) -> Case:
    """A case that is one request; `then` follows it on the connection without a pause."""

    def pieces() -> Iterator[bytes]:
        yield (request if isinstance(request, bytes) else request()) + then

    return Case(name=name, pieces=pieces, expected=frozenset(expected))


def request(body: bytes, path: str = SOAP, **headers: str) -> bytes:
    """A POST; a header's underscores are dashes, and one that is empty is left out."""
    media_type = "text/xml; charset=utf-8" if path == SOAP else "application/x-www-form-urlencoded"
    usual = {"Host": "localhost", "Content-Type": media_type, "Content-Length": str(len(body))}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in {**usual, **given}.items() if value]
    return "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


def with_text(text: bytes) -> bytes:
    """The good envelope with another text."""
    return GOOD.replace(TEXT.encode(), text)


def chunked(body: bytes, size: int = 1000) -> bytes:
    """A body in chunks."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
