"""Reads the requests that carry the traffic ("express"), without ASGI in between.

A request goes express when it came whole, in the one plain form that nearly every client writes.
gunicorn's parser reads all other requests. It would read a plain request alike, so the two parsers
cannot disagree on where a request ends (RFC 9112, section 11.2). Both lead to the same `Entry`.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from .crowd import DEFAULT_LIMITS, Limits

Headers = tuple[tuple[bytes, bytes], ...]
#: Status, headers and body.
Response = tuple[int, Headers, bytes]
#: Takes the response to a request; called once, at once or later.
OnResponse = Callable[[Response], None]
#: Answers a request with this query, these headers (by their names in lower case) and this body.
Entry = Callable[[bytes, Mapping[bytes, bytes], bytes, OnResponse], None]
#: The answer to a malformed HTTP request, from the status, the reason (in our words), and as far as
#: they could be read, the path, the query and the headers by their names in lower case.
Unreadable = Callable[[int, str, bytes, bytes, Mapping[bytes, bytes]], Response]


@dataclass(frozen=True, slots=True)
class Application:
    """An ASGI application, some of whose requests may go express."""

    asgi: ASGIApp
    #: By method and path with a blank between, such as b"GET /sendsms/".
    express: Mapping[bytes, Entry] = field(default_factory=dict)
    #: Writes the answer to a request that cannot be read.
    unreadable: Unreadable | None = None
    #: The limits for the clients of a process.
    limits: Limits = DEFAULT_LIMITS

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self.asgi(scope, receive, send)


class Head(NamedTuple):
    """The head of a request in the plain form."""

    #: b"GET" or b"POST", a blank, and the path.
    what: bytes
    query: bytes
    #: By their names in lower case; no name came twice.
    headers: Mapping[bytes, bytes]
    #: The length of the body, in bytes.
    length: int


#: The most bytes of a head and of a body, and the most headers; gunicorn takes more.
MOST_HEAD, MOST_BODY, MOST_HEADERS = 8 * 1024, 64 * 1024, 50

_LINE = re.compile(rb"((?:GET|POST) /[a-z/]*+)(?:\?([!\"$-~]*+))? HTTP/1\.1")
# Each header with the line end in front of it. No name has "_": gunicorn drops some of those, as
# proxies do.
_HEADERS = re.compile(rb"(?:\r\n[!#$%&'*+.^`|~0-9A-Za-z-]++:[ -~]*+)+")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,4}")
# Headers that frame a body otherwise, wait for an answer before the body, ask for another protocol,
# or may contradict X-Forwarded-Proto.
_UNUSUAL = frozenset({
    b"transfer-encoding", b"te", b"trailer", b"expect", b"upgrade", b"x-forwarded-protocol",
    b"x-forwarded-ssl",
})  # fmt: skip


# A host, which may be empty, and a port (RFC 3986, section 3.2), with blanks around them.
_HOST = re.compile(
    rb"[ \t]*+(?:\[[0-9A-Fa-f:.]++\]|\[[vV][0-9A-Fa-f]++\.[!$&-.0-;=A-Z_a-z~]++\]"
    rb"|(?:[!$&-.0-9;=A-Z_a-z~]|%[0-9A-Fa-f]{2})*+)(?::[0-9]*+)?[ \t]*+"
)


def is_host(value: bytes) -> bool:
    """Whether a Host header may have this value (RFC 9112, section 3.2)."""
    return _HOST.fullmatch(value) is not None


def read(data: bytes) -> tuple[Head, bytes, int] | None:
    """The one request that these bytes are or begin; its head has to be complete.

    Returns its head, its body as far as it came, and how many bytes of the body are still to come.
    None when the request is not in the plain form.
    """
    end = data.find(b"\r\n\r\n", 0, MOST_HEAD)
    if end < 0:
        return None
    head = (_head_again if data.startswith(b"POST ") else _head)(data[:end])
    if head is None:
        return None
    body = data[end + 4 :]
    missing = head.length - len(body)
    return (head, body, missing) if missing >= 0 else None


def _head(written: bytes) -> Head | None:
    start = written.find(b"\r\n")
    line = _LINE.fullmatch(written, 0, start)
    headers = _headers(written[start:])
    if line is None or headers is None:
        return None
    what, query = line.groups(b"")
    length = headers.get(b"content-length")
    if length is None:
        return Head(what, query, headers, 0)
    if what.startswith(b"GET ") or not _LENGTH.fullmatch(length) or int(length) > MOST_BODY:
        return None
    return Head(what, query, headers, int(length))


# The heads of a client's POSTs are equal, so whole heads are cached. Its GETs differ in the query,
# and seldom in the headers.
_head_again = lru_cache(maxsize=512)(_head)


@lru_cache(maxsize=512)
def _headers(written: bytes) -> Mapping[bytes, bytes] | None:
    """The headers by their names in lower case; None when a request with them is not plain."""
    if not _HEADERS.fullmatch(written):
        return None
    lines = written[2:].split(b"\r\n")
    headers = {}
    for each in lines:
        name, _, value = each.partition(b":")
        headers[name.lower()] = value.strip()
    plain = (
        len(headers) == len(lines) <= MOST_HEADERS
        and b"host" in headers
        and is_host(headers[b"host"])
        and _UNUSUAL.isdisjoint(headers)
        and headers.get(b"connection", b"keep-alive").lower() == b"keep-alive"
    )
    return headers if plain else None


async def send_response(send: Send, response: Response) -> None:
    """Send a response through ASGI."""
    status, headers, body = response
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})
