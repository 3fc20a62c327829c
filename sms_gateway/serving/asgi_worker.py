"""gunicorn's asgi worker, made fit for strangers and for a quick stop.

It adds to gunicorn 26 and 27 what neither does: a connection that sends no request is closed after
the keep-alive time, also when it never sent one; at the limit of connections the one that is idle
longest makes room, failing that the request that is unfinished longest; a network has limits for
connections and for bodies that are still to come, and a request a least rate at which it has to
come; who is not served is told so (503, or 408); a stop closes idle connections and waits for no
stalled one so long that the arbiter kills the worker before its lifespan shutdown ran; heads, and
what is between the pieces of a body, have an end; a head has to have the one form that everybody
reads alike; bytes above ASCII in a request line, as curl, PHP and Java send them, are read; and
what cannot be read is answered in the application's terms, with nothing of the request in it. And
to 26 what 27 does: keep-alive ends, and bytes that are no HTTP get status 400 and no traceback in
the log.
"""

import asyncio
import re
import signal
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from math import inf
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi

from ..web import unreadable
from ..web.crowd import DEFAULT_LIMITS, Crowd
from ..web.express import Headers
from ..web.refused import RefusedConnection

# How much of the graceful time-out requests under way may use; the rest is the application's, for
# the arbiter kills the worker when it is over.
_CLIENTS_SHARE = 0.7
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
_HOST = re.compile(rb"\nhost:", re.IGNORECASE)
_NO_HOST = re.compile(rb"[^\r\n]* HTTP/1\.0\r")
# Seconds for which a connection is left alone before it has to make room: its request may be on its
# way.
_SETTLED = 1.0
# Seconds in which nobody is looked for again who could make room, when there was nobody.
_LOOK_AGAIN = 0.1
# Seconds after which who was refused may try again.
_RETRY_AFTER = 5
# A client that connects and does not say hello, by TLS, is nobody whose network could be told.
_HANDSHAKE = 10.0
_ABOVE_ASCII = re.compile(rb"[\x80-\xff]")
# What no method begins with (RFC 9110, section 5.6.2), so no request either: TLS, mostly.
_NO_METHOD = re.compile(rb"(?:\r\n)*+[^\r\n!#$%&'*+.^_`|~0-9A-Za-z-]")


class Connection(ASGIProtocol):  # type: ignore[misc]
    """One client's connection, which knows whether a request of it is being handled."""

    def __init__(self, worker: "Worker") -> None:
        super().__init__(worker)
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
        if self.worker.admit(self, transport):
            super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.worker.gone(self)
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
        if not ours and self.worker.crowd.limits.too_slow(self._octets, now - since):
            self.turn_away(408)

    def turn_away(self, status: int, why: str = "") -> None:
        """Answer the request that is coming with a refusal, and hear no more of it."""
        if not self._closed:
            self.worker.refused_at(self).tell(self._refusal(status, why))

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
            self.worker.crowd.end_body(self._body_of)
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
        self._body_of = self.worker.crowd.begin_body(self.peer, headers)
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

    def _refusal(self, status: int, why: str, more: Headers = ()) -> bytes:
        request = self._current_request
        if request is None:
            head = unreadable.head_of(self._begins())
        else:
            headers = dict(request.headers_bytes)
            head = unreadable.Head(request.raw_path, request.query.encode("latin-1"), headers)
        why = why or unreadable.reason(status, self._head, in_body=request is not None)
        answer: bytes = self.worker.refusal(status, why, head, more)
        return answer

    def _on_headers_complete(self) -> Any:
        head = _HEAD.match(self._head)
        if not head:
            raise ValueError
        hosts = len(_HOST.findall(head[0]))
        if hosts > 1 or not (hosts or _NO_HOST.match(head[0].lstrip(b"\r\n"))):
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

    async def _handle_http_request(self, *args: Any) -> Any:
        self.busy = True
        try:
            keepalive = await super()._handle_http_request(*args)
            # gunicorn drops what came behind a request, so that it would never be answered.
            return keepalive and not self._callback_parser.remaining()
        finally:
            self.busy = False
            self.idle_since = self.worker.loop.time()
            self.worker.answered(self)

    def _is_websocket_upgrade(self, request: object) -> bool:
        # There is nothing to upgrade to; the request is answered as it stands (RFC 9110, 7.8).
        return False


class Worker(gasgi.ASGIWorker):  # type: ignore[misc]
    """The worker class to name in gunicorn's settings."""

    connection = Connection

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Those that are idle are in the order in which they became so.
        self.connections: dict[Connection, None] = {}
        self._serving: asyncio.Task[None] | None = None
        #: Who is being told that they are not served; those that came first are first.
        self.refused: dict[RefusedConnection, None] = {}
        self._full_until = -inf

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.crowd = Crowd(getattr(self.asgi, "limits", DEFAULT_LIMITS))

    def init_process(self) -> None:
        # The one place where gunicorn takes its protocol class from, in this very process.
        gasgi.ASGIProtocol = self.connection
        # What it finds out about its parser it looks for in the base class only.
        ASGIProtocol._check_h1c_protocol_available()
        super().init_process()

    def admit(self, connection: Connection, transport: asyncio.Transport) -> bool:
        """Whether a connection is taken in; one that is not is told so."""
        peer = transport.get_extra_info("peername")
        host = peer[0] if isinstance(peer, tuple) else ""
        why = ""
        network = self.crowd.enter(host)
        if network is None:
            why = unreadable.TOO_MANY_CONNECTIONS
        elif len(self.connections) >= self.cfg.worker_connections and not self._make_room():
            self.crowd.leave(network)
            why = unreadable.TOO_BUSY
        if why:
            self._part(transport).wait(partial(self._refusal_of, why), unasked=True)
            return False
        connection.peer, connection.network = host, network
        self.connections[connection] = None
        return True

    def gone(self, connection: Connection) -> None:
        """Take note that a connection has ended, once or more often."""
        self.connections.pop(connection, None)
        if connection.network is not None:
            self.crowd.leave(connection.network)
            connection.network = None

    def _make_room(self) -> bool:
        """Whether there is room for one more connection, at the expense of the one that is idle
        longest, failing that of the request that is unfinished longest."""
        now = self.loop.time()
        if now < self._full_until:
            return False
        settled = now - _SETTLED
        idle = next((known for known in self.connections if known.idle), None)
        if idle is not None and idle.idle_since <= settled:
            fresh = idle.fresh
            wait = partial(self._refusal_of, unreadable.TOO_BUSY)
            self.refused_at(idle).wait(wait, unasked=fresh)
            return True
        oldest = min(self.connections, key=Connection.unfinished_since, default=None)
        if oldest is not None and oldest.unfinished_since() <= settled:
            oldest.turn_away(503)
            return True
        self._full_until = now + _LOOK_AGAIN
        return False

    def refused_at(self, connection: Connection) -> RefusedConnection:
        """The one to tell the client of a connection, which ends here, that it is not served."""
        return self._part(connection.let_go())

    def _part(self, transport: asyncio.Transport) -> RefusedConnection:
        now = self.loop.time()
        if len(self.refused) >= self.cfg.worker_connections:
            next(iter(self.refused)).hurry(now)
        refused = RefusedConnection(transport, now, self._parted)
        self.refused[refused] = None
        transport.set_protocol(refused)
        return refused

    def _parted(self, refused: RefusedConnection) -> None:
        self.refused.pop(refused, None)

    def _refusal_of(self, why: str, written: bytes) -> bytes:
        return self.refusal(503, why, unreadable.head_of(written))

    def refusal(self, status: int, why: str, head: unreadable.Head, more: Headers = ()) -> bytes:
        """A whole answer that says why a request is not served, in the application's terms."""
        answer = getattr(self.asgi, "unreadable", None) or unreadable.plainly
        told, fields, body = answer(status, why, *head)
        if status == 503:
            more = (*more, (b"Retry-After", b"%d" % _RETRY_AFTER))
        lines = [
            f"HTTP/1.1 {told} {HTTPStatus(told).phrase}".encode(),
            *(b"%b: %b" % field for field in (*fields, *more)),
            b"Connection: close",
        ]
        return b"\r\n".join([*lines, b"", body])

    def answered(self, connection: Connection) -> None:
        """Take note that a connection is idle again."""
        if connection in self.connections:
            del self.connections[connection]
            self.connections[connection] = None

    def notify(self) -> None:
        """Show the arbiter that the worker lives, and close what is idle for too long."""
        super().notify()
        now = self.loop.time()
        since = now - self.cfg.keepalive
        self._close_idle(since)
        for connection in list(self.connections):
            if connection.unread_since <= since:
                connection.transport.abort()
            else:
                connection.look(now)
        for refused in list(self.refused):
            refused.look(now)

    def handle_exit_signal(self) -> None:
        super().handle_exit_signal()
        # Out of its sleep of a second: gunicorn goes on to its graceful shutdown.
        if self._serving and self.servers:
            self._serving.cancel()
            self._serving = None

    async def _serve(self) -> None:
        self._serving = asyncio.current_task()
        # A loop of uvloop that does not run yet drops what it hears, so stops were kept waiting.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # gunicorn leaves the backlog to the loop, which has 100 as its own idea of it.
        make = self.loop.create_server
        hello = _HANDSHAKE if self.cfg.is_ssl else None
        self.loop.create_server = partial(
            make, backlog=self.cfg.backlog, ssl_handshake_timeout=hello
        )
        await super()._serve()
        if not self.servers:
            # gunicorn 26 would start the worker again and again when its start failed.
            raise SystemExit(Arbiter.WORKER_BOOT_ERROR)

    async def _shutdown(self) -> None:
        self._serving = None
        # gunicorn closes the listeners before anything else can happen, and waits for connections.
        # The busy ones close themselves after their answer.
        self._close_idle(self.loop.time())
        self.loop.call_later(self.cfg.graceful_timeout * _CLIENTS_SHARE, self._abort)
        await super()._shutdown()

    def _abort(self) -> None:
        for connection in list(self.connections):
            connection.transport.abort()

    def _close_idle(self, since: float) -> None:
        for connection in list(self.connections):
            if connection.idle_since > since:
                continue
            if connection.idle:
                self._close(connection)
            elif not connection.busy and connection.unfinished_since() < inf:
                connection.turn_away(408)

    def _close(self, connection: Connection) -> None:
        self.gone(connection)
        connection.transport.close()


def _nobody_reads(data: bytes) -> None:
    """What is written to a client that has had its answer."""
