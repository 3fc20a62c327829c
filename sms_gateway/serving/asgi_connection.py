"""Hardens the connections of gunicorn's asgi worker against hostile and faulty clients.

It adds to gunicorn 27:
- Heads, and the bytes between the pieces of a body, have a maximum length.
- A head has to have the one form that all parsers read alike.
- Bytes above ASCII in a request line, as curl, PHP and Java send them, are read.
- A request has a least rate at which it has to come.
- The answer to an unreadable request has the application's format, and quotes nothing of it.

docs/work/http-server.md lists the private names of gunicorn that this needs.
"""

import asyncio
import re
from collections.abc import Iterable
from functools import partial
from math import inf
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol

from .. import callers
from ..callers import Caller, Face
from ..web import unreadable
from ..web.express import Headers, is_host
from .admission import Admission

# The most bytes of a head, and of the framing of a chunked body: sizes, their extensions, trailers.
# gunicorn limits the length of lines, but checks it only when a line is complete.
_MOST_AROUND = 64 * 1024
# The most pieces of a body: each costs as much time as a few hundred bytes in a large piece. The
# applications take half as many, and refuse a body with more themselves.
_MOST_PIECES = 8 * 1024
# The most bytes to give to gunicorn's parser in C at once. After each piece of a chunked body it
# moves all remaining bytes to the front: a megabyte in pieces of one byte took two seconds.
_AT_ONCE = 4 * 1024
# A head by RFC 9112, without the faults that a server may repair. gunicorn's parsers are lenient,
# each in its own way; all parsers have to agree on where a message ends (section 11.2).
_HEAD = re.compile(
    rb"(?:\r\n)*[^\r\n\0]++\r\n"
    rb"(?:content-length:[ \t]*+[0-9]{1,18}[ \t]*+\r\n"
    rb"|transfer-encoding:[ \t]*+chunked[ \t]*+\r\n"
    rb"|(?!content-length:|transfer-encoding:)[!#$%&'*+.^_`|~0-9a-z-]++:[\t -~\x80-\xff]*+\r\n)*"
    rb"\r\n",
    re.IGNORECASE,
)
# RFC 9112, section 3.2: an HTTP/1.1 request has one Host header.
_HOST = re.compile(rb"\nhost:([^\r]*)", re.IGNORECASE)
_NO_HOST = re.compile(rb"[^\r\n]* HTTP/1\.0\r")
_ABOVE_ASCII = re.compile(rb"[\x80-\xff]")
# A byte that begins no method (RFC 9110, section 5.6.2), so no request either: TLS, mostly.
_NO_METHOD = re.compile(rb"(?:\r\n)*+[^\r\n!#$%&'*+.^_`|~0-9A-Za-z-]")


class Connection(ASGIProtocol):  # type: ignore[misc]
    """One client's connection, for `Admission`: it knows whether it is idle, busy or unfinished."""

    def __init__(self, worker: Any) -> None:
        super().__init__(worker)
        self._admission: Admission = worker.admission
        self.busy = False
        #: Bytes of a head, or of a body's framing, since the last piece or the request before.
        self._around = 0
        self._pieces = 0
        #: The head as far as it came, with the bytes that follow it.
        self._head = b""
        self._in_body = False
        #: When the connection was opened or last answered a request, by the loop's clock.
        self.idle_since = worker.loop.time()
        #: Since when the client leaves more of an answer unread than the write buffer's limit.
        self.unread_since = inf
        #: When the connection was opened, and when the unfinished request began.
        self._opened = self._begun_at = self.idle_since
        #: Octets of that request that have come.
        self._octets = 0
        self.peer = ""
        #: The networks that the connection and its body count for; None: not counted.
        self.network: str | None = None
        self._body_of: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        if self._admission.admit(self, transport):
            super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._admission.leave(self)
        self._end_body()
        super().connection_lost(error)

    @property
    def fresh(self) -> bool:
        """Whether the connection has answered no request yet."""
        return bool(self.idle_since == self._opened)

    @property
    def idle(self) -> bool:
        """Whether the connection has no request, not even the beginning of one."""
        return not self.busy and not self._head and self._current_request is None

    def unfinished_since(self) -> float:
        """When the unfinished request began; infinity without one."""
        coming = self._in_body or (self._head and not self.busy)
        return self._begun_at if coming else inf

    def look(self, now: float) -> None:
        """Refuse a request that comes too slowly."""
        since = self.unfinished_since()
        # While we ourselves have paused reading, the client is not slow.
        ours = self._reading_paused or self._flow_control.read_paused
        if not ours and self._admission.crowd.limits.too_slow(self._octets, now - since):
            self.turn_away(408)

    def _caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """The client of a request, as the `Caller` on whose behalf the code below it runs."""
        network = partial(self._admission.crowd.whence, self.peer, headers)
        return Caller(face=Face.API, network=network, hold=partial(self._admission.hold, self))

    def turn_away(self, status: int, why: str = "") -> None:
        """Refuse the unfinished request, and end the connection."""
        if not self._closed:
            self._admission.part(self).tell(self._refusal(status, why))

    def let_go(self) -> asyncio.Transport:
        """Give the transport away; to gunicorn the connection is lost."""
        transport: asyncio.Transport = self.transport
        self._flow_control.resume_reading()
        self._resume_reading()
        # The client has its answer: drop all that the application still writes.
        self._safe_write = _nobody_reads
        self.connection_lost(None)
        self._request_ready.set()
        return transport

    def _end_body(self) -> None:
        if self._body_of is not None:
            self._admission.crowd.end_body(self._body_of)
            self._body_of = None

    def _keepalive_timeout(self) -> None:
        if self.unfinished_since() < inf:
            self.turn_away(408)
        else:
            super()._keepalive_timeout()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.unread_since = self.worker.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.unread_since = inf

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _AT_ONCE):
            if not self._closed:
                self._receive(data[start : start + _AT_ONCE])

    def _receive(self, data: bytes) -> None:
        self._around += len(data)
        if not self._in_body:
            if not self._head:
                self._begun_at, self._octets = self.worker.loop.time(), 0
            if not data.isascii():
                data = self._with_escapes(data)
            begins = not self._head.strip(b"\r\n")
            self._head += data
            # A client of another protocol may wait for an answer without ever ending a line.
            if begins and self._current_request is None and _NO_METHOD.match(self._head):
                self._refuse(400)
                return
        try:
            super().data_received(data)
        except ValueError:  # gunicorn_h1c raises it for ill-formed requests
            self._refuse(400)
        self._octets += len(data)
        if self._around > _MOST_AROUND:
            self._refuse(431 if self._current_request is None else 400)
        elif self._in_body and self._body_of is None and not self._closed:
            self._begin_body()

    def _begin_body(self) -> None:
        headers = self._current_request.headers_bytes
        self._body_of = self._admission.crowd.begin_body(self.peer, headers)
        if self._body_of is None:
            self.turn_away(503, unreadable.TOO_MANY_BODIES)

    def _with_escapes(self, data: bytes) -> bytes:
        """The data, with the bytes above ASCII in the request line percent-encoded (RFC 3986,
        section 2.1)."""
        line = (self._head + data).lstrip(b"\r\n")
        if not line or line[0] > 0x7F:  # TLS or another protocol
            return data
        rest = len(line) - (line.find(b"\n") + 1 or len(line))  # bytes after the line
        cut = max(0, len(data) - rest)
        escaped = _ABOVE_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], data[:cut])
        return escaped + data[cut:]

    def _refuse(self, status: int) -> None:
        if not self._closed:
            self._send_error_response(status, "")
            self._close_transport()

    def _send_error_response(
        self, status: int, message: str, extra_headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        # gunicorn's message quotes the request, which may hold a key.
        more = tuple((name.encode(), value.encode("latin-1")) for name, value in extra_headers)
        self._safe_write(self._refusal(status, "", more))

    def _begins(self) -> bytes:
        """The bytes of the unfinished head."""
        return self._head

    def _told_head(self) -> unreadable.Head:
        """The head of the request that is refused, as far as it can be read."""
        request = self._current_request
        if request is None:
            return unreadable.head_of(self._begins())
        headers = dict(request.headers_bytes)
        return unreadable.Head(request.raw_path, request.query.encode("latin-1"), headers)

    def _refusal(self, status: int, why: str, more: Headers = ()) -> bytes:
        head = self._told_head()
        in_body = self._current_request is not None
        why = why or unreadable.reason(status, self._head, in_body=in_body)
        return self._admission.refusal(status, why, head, more)

    def _on_headers_complete(self) -> Any:
        head = _HEAD.match(self._head)
        if not head:
            raise ValueError
        hosts = _HOST.findall(head[0])
        if len(hosts) > 1 or not (hosts or _NO_HOST.match(head[0].lstrip(b"\r\n"))):
            raise ValueError
        if hosts and not is_host(hosts[0]):
            raise ValueError
        self._around, self._pieces, self._head, self._in_body = 0, 0, b"", True
        return super()._on_headers_complete()

    def _on_body(self, chunk: bytes) -> None:
        self._around = 0
        self._pieces += 1
        if self._pieces > _MOST_PIECES:
            raise ValueError
        super()._on_body(chunk)

    def _on_message_complete(self) -> None:
        self._around, self._in_body = 0, False
        self._end_body()
        super()._on_message_complete()

    async def _handle_http_request(self, request: Any, *args: Any) -> Any:
        self.busy = True
        callers.is_now(self._caller(request.headers_bytes))
        try:
            keepalive = await super()._handle_http_request(request, *args)
            # gunicorn drops the bytes behind a request: a pipelined one would never be answered.
            return keepalive and not self._callback_parser.remaining()
        finally:
            self.busy = False
            self.idle_since = self.worker.loop.time()
            self._admission.answered(self)

    def _is_websocket_upgrade(self, request: object) -> bool:
        # No WebSockets here: the request is answered without the upgrade (RFC 9110, 7.8).
        return False


def _nobody_reads(data: bytes) -> None:
    """Drops data for a client that has had its answer."""
