"""Says why a request cannot be read, in words that quote nothing of the request.

A head that gunicorn's parsers refuse may hold a key, a number and a text like any other. So every
reason is one of the sentences below.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from .express import Response, is_host

#: Why a request that could be read, or a connection, is not taken.
TOO_BUSY = "Too busy - try again shortly"
TOO_MANY_CONNECTIONS = (
    "Too many connections come from your network: close some, use each for more than one request, "
    "or try again shortly"
)
TOO_MANY_BODIES = (
    "Too many requests from your network have not come whole: send the rest of them, or try again "
    "shortly"
)
#: The statuses for requests that cannot be read, and the reason where nothing better is known.
USUAL = {
    400: "The request is not as HTTP has it",
    408: "The request came too slowly",
    414: "The address is too long: parameters may come in the body, by POST",
    426: "Only HTTP/1.1 is understood here",
    431: "The headers are too large or too many",
    503: TOO_BUSY,
    501: "This transfer encoding is not understood: chunked is",
    505: "Only HTTP/1.0 and HTTP/1.1 are understood here",
}
_CHUNKS = "The body is not in chunks as HTTP has them, or in too many"
_NO_REQUEST = "This is no HTTP request"
_BLANK = "The address has a blank in it, which is written %20, or + in the query"
_METHOD = "The method is not one of HTTP, such as GET and POST, in capital letters"
_TARGET = "The address has a character in it that is written with % and two digits"
_HOST = "There has to be one Host header"
_ILL_HOST = "The Host header is no name or address, with or without a port"
_EMPTY_LINES = "More than one empty line comes before the request"
_HEADER = "A header is not as HTTP has it: a name, a colon and a value on one line"
_LINE_END = "Every line of the head ends with CR and LF"
_FRAMING = "There has to be one Content-Length, a whole number, or Transfer-Encoding: chunked"
_FULL_TARGET = "The address begins with /, or with http:// or https://"
#: All sentences.
REASONS = (
    *USUAL.values(), TOO_MANY_CONNECTIONS, TOO_MANY_BODIES, _CHUNKS, _NO_REQUEST, _BLANK, _METHOD,
    _TARGET, _HOST, _ILL_HOST, _EMPTY_LINES, _HEADER, _LINE_END, _FRAMING, _FULL_TARGET,
)  # fmt: skip

_LINE = re.compile(rb"(?:\r?\n)*([^\n]*)")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OLD = re.compile(rb"HTTP/1\.[01]")
_HEADERS = re.compile(rb"\n([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)")
_FRAMES = re.compile(rb"\n(?:content-length|transfer-encoding):", re.IGNORECASE)
_FULL = re.compile(rb"/|\*\Z|https?://", re.IGNORECASE)
# The headers that decide the format of an answer.
_TOLD = (b"accept", b"content-type", b"soapaction")


class Head(NamedTuple):
    """The readable part of a head, which may be incomplete or no head at all."""

    path: bytes
    query: bytes
    #: The headers that decide the format of an answer, by their names in lower case.
    headers: dict[bytes, bytes]


def head_of(written: bytes) -> Head:
    """The readable part of these bytes."""
    _, _, rest = _line(written).partition(b" ")
    path, _, query = (rest.rpartition(b" ")[0] or rest).partition(b"?")
    headers = {name.lower(): value.strip() for name, value in _HEADERS.findall(written)}
    return Head(path, query, {name: headers[name] for name in _TOLD if name in headers})


def reason(status: int, written: bytes, *, in_body: bool) -> str:
    """Why a request with these bytes as (the beginning of) its head is refused."""
    if status != 400:
        return USUAL.get(status, USUAL[400])
    if in_body:
        return _CHUNKS
    begun = written.lstrip(b"\r\n")
    why = _of_line(_line(begun)) or _of_headers(begun)
    if not why and written[: len(written) - len(begun)].count(b"\n") > 1:
        why = _EMPTY_LINES
    return why or (_FRAMING if _FRAMES.search(begun) else _HEADER)


def plainly(
    status: int, why: str, path: bytes, query: bytes, headers: Mapping[bytes, bytes]
) -> Response:
    """A plain-text answer, for an application without an `unreadable` of its own."""
    body = why.encode() + b"\n"
    usual = (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))
    return status, usual, body


def _line(written: bytes) -> bytes:
    match = _LINE.match(written)
    return match[1].rstrip(b"\r") if match else b""


def _of_line(line: bytes) -> str:
    """The reason to refuse the request line; empty when it is well-formed."""
    method, *target = line.split(b" ")
    version = target.pop() if len(target) > 1 else b""
    if not version.startswith(b"HTTP/"):
        return _NO_REQUEST
    if len(target) > 1:
        return _BLANK
    if not _NAME.fullmatch(method) or method != method.upper():
        return _METHOD
    if not _OLD.fullmatch(version):
        return USUAL[505]
    if not re.fullmatch(rb"[!-~]+", target[0]):
        return _TARGET
    return "" if _FULL.match(target[0]) or method == b"CONNECT" else _FULL_TARGET


def _of_headers(written: bytes) -> str:
    """The reason to refuse the headers; empty when no fault is found."""
    hosts = [value for name, value in _HEADERS.findall(written) if name.lower() == b"host"]
    ill = [
        line
        for line in re.split(rb"\r?\n", written)[1:]
        if line and not _HEADERS.fullmatch(b"\n" + line)
    ]
    if ill:
        return _HEADER
    if len(hosts) != 1:
        return _HOST
    if not is_host(hosts[0]):
        return _ILL_HOST
    head = written.partition(b"\r\n\r\n")[0]
    if re.search(rb"(?<!\r)\n", head):
        return _LINE_END
    return ""
