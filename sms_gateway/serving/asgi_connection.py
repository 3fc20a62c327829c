"""A connection by gunicorn's asgi worker, made fit for strangers.

It adds to gunicorn 27 what that does not do: heads, and what is between the pieces of a body, have
an end; a head has to have the one form that everybody reads alike; bytes above ASCII in a request
line, as curl, PHP and Java send them, are read; a request has a least rate at which it has to come;
and what cannot be read is answered in the application's terms, with nothing of the request in it.
Which private names of gunicorn all this needs is told in docs/work/http-server.md.
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

# The most bytes of a head, and of what stands around the pieces of a chunked body: sizes, their
# extensions, trailers. gunicorn has limits for lines, and looks at them when a line is complete.
_MOST_AROUND = 64 * 1024
# The most pieces of a body, each of which costs as much as a few hundred bytes of a large one. The
# applications take half of that, and say so when they get to it.
_MOST_PIECES = 8 * 1024
# The most bytes that gunicorn's parser in C is given at once. Behind each piece of a chunked body
# it moves all that it has to the front: a megabyte in pieces of one byte took two seconds.
_AT_ONCE = 4 * 1024
# A head by RFC 9112 without what it lets a server put right. gunicorn's parsers are lenient, each
# in its own way; where a message ends must be no matter of opinion (section 11.2).
_HEAD = re.compile(
    rb"(?:\r\n)*[^\r\n\0]++\r\n"
    rb"(?:content-length:[ \t]*+[0-9]{1,18}[ \t]*+\r\n"
    rb"|transfer-encoding:[ \t]*+chunked[ \t]*+\r\n"
    rb"|(?!content-length:|transfer-encoding:)[!#$%&'*+.^_`|~0-9a-z-]++:[\t -~\x80-\xff]*+\r\n)*"
    rb"\r\n",
    re.IGNORECASE,
)
# RFC 9112, section 3.2: who speaks HTTP/1.1 says once which host is meant.
_HOST = re.compile(rb"\nhost:([^\r]*)", re.IGNORECASE)
_NO_HOST = re.compile(rb"[^\r\n]* HTTP/1\.0\r")
_ABOVE_ASCII = re.compile(rb"[\x80-\xff]")
# What no method begins with (RFC 9110, section 5.6.2), so no request either: TLS, mostly.
_NO_METHOD = re.compile(rb"(?:\r\n)*+[^\r\n!#$%&'*+.^_`|~0-9A-Za-z-]")


class Connection(ASGIProtocol):  # type: ignore[misc]
    """One client's connection, which knows whether a request of it is being handled."""

    def __init__(self, worker: Any) -> None:
        super().__init__(worker)
        self._admission: Admission = worker.admission
        self.busy = False
        #: Bytes since the last that the application was given, or since the request before.
        self._around = 0
        self._pieces = 0
        #: What came since then while it was no body: the head, with what follows it.
        self._head = b""
        self._in_body = False
        #: When it was opened or last answered a request, by the loop's clock.
        self.idle_since = worker.loop.time()
        #: Since when its client leaves more of an answer unread than is kept for it.
        self.unread_since = inf
        #: When it was opened, and when the request that is coming began.
        self._opened = self._begun_at = self.idle_since
        #: How much of that request has come.
        self._octets = 0
        self.peer = ""
        #: The networks by which it and its body are counted; None when they are not.
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
        """Whether no request on it was answered yet."""
        return bool(self.idle_since == self._opened)

    @property
    def idle(self) -> bool:
        """Whether there is no request on it, and none has begun to come."""
        return not self.busy and not self._head and self._current_request is None

    def unfinished_since(self) -> float:
        """When the request began that is still coming; never, when there is none."""
        coming = self._in_body or (self._head and not self.busy)
        return self._begun_at if coming else inf

    def look(self, now: float) -> None:
        """Wait no longer for a request that comes too slowly."""
        since = self.unfinished_since()
        # Where we ourselves stopped reading the client is not slow.
        ours = self._reading_paused or self._flow_control.read_paused
        if not ours and self._admission.crowd.limits.too_slow(self._octets, now - since):
            self.turn_away(408)

    def _caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """The client of a request, for whom things are done."""
        network = partial(self._admission.crowd.whence, self.peer, headers)
        return Caller(face=Face.API, network=network, hold=partial(self._admission.hold, self))

    def turn_away(self, status: int, why: str = "") -> None:
        """Answer the request that is coming with a refusal, and hear no more of it."""
        if not self._closed:
            self._admission.part(self).tell(self._refusal(status, why))

    def let_go(self) -> asyncio.Transport:
        """Have nothing more to do with the transport, as if it were lost, and give it away."""
        transport: asyncio.Transport = self.transport
        self._flow_control.resume_reading()
        self._resume_reading()
        # What the application still says is not for the one who has been answered.
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
            # Who speaks another protocol may wait for an answer without ever ending a line.
            if begins and self._current_request is None and _NO_METHOD.match(self._head):
                self._refuse(400)
                return
        try:
            super().data_received(data)
        except ValueError:  # what gunicorn_h1c raises for ill-formed requests
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
        """The same, with what belongs to the request line written as it should have been: bytes
        above ASCII as % and two digits (RFC 3986, section 2.1)."""
        line = (self._head + data).lstrip(b"\r\n")
        if not line or line[0] > 0x7F:  # TLS, and what else is no HTTP
            return data
        rest = len(line) - (line.find(b"\n") + 1 or len(line))  # what is behind the line
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
        # gunicorn's words quote the request, which may hold a key.
        more = tuple((name.encode(), value.encode("latin-1")) for name, value in extra_headers)
        self._safe_write(self._refusal(status, "", more))

    def _begins(self) -> bytes:
        """What has come of the head of a request."""
        return self._head

    def _told_head(self) -> unreadable.Head:
        """The head of the request that is not served, as far as it can be told."""
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
            # gunicorn drops what came behind a request, so that it would never be answered.
            return keepalive and not self._callback_parser.remaining()
        finally:
            self.busy = False
            self.idle_since = self.worker.loop.time()
            self._admission.answered(self)

    def _is_websocket_upgrade(self, request: object) -> bool:
        # There is nothing to upgrade to; the request is answered as it stands (RFC 9110, 7.8).
        return False


def _nobody_reads(data: bytes) -> None:
    """What is written to a client that has had its answer."""
