"""Reads plain requests without gunicorn's parser, and leaves all others to gunicorn.

The states of a connection:

 idle ──a plain request, whole──► answering ──written──────────────────────────► idle | closed
  │ │                                 └──written, its client does not read──► unread ──it has──┘
  │ └──the head of one──► begun ──its body, in one piece──► answering
  │                         └──a piece of it, or a second without──► plain
  └──anything else──► plain ──gunicorn has answered it──► idle | closed

Bytes that come while a connection is answering wait in `_behind` until it is idle again.
"""

from collections.abc import Mapping
from functools import lru_cache

from gunicorn.asgi import protocol
from gunicorn.asgi.protocol import ASGIProtocol

from .. import callers
from ..callers import Caller
from ..web import api, express, unreadable
from ..web.incident import report
from .asgi_connection import Connection
from .asgi_worker import Worker


class ExpressConnection(Connection):
    """A connection whose requests go express, one after the other, when they can."""

    def __init__(self, worker: "ExpressWorker") -> None:
        super().__init__(worker)
        self._entries = worker.entries
        #: The head of the request that is being answered.
        self._taken: express.Head | None = None
        #: The caller of that request, made on first use; and the function that makes it.
        self._by: Caller | None = None
        self._source = self._current_caller
        #: Whether the answer is written, but the client has not read all of it yet.
        self._unread = False
        #: Bytes that came behind that request.
        self._behind = b""
        #: A request whose body is still to come.
        self._begun = b""

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        # The client will not read the rest of its answer: wait for that no longer.
        self.resume_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread:
            self._unread = False
            self._end(closing=self._is_last())

    def data_received(self, data: bytes) -> None:
        if self._taken is not None:
            self._behind += data
            self._flow_control.pause_reading()
        elif self._current_request is not None or self._head or not self._take(data):
            # Bytes of a request that gunicorn reads, or will read.
            self._leave(data)

    def unfinished_since(self) -> float:
        return self._begun_at if self._begun else super().unfinished_since()

    def _begins(self) -> bytes:
        return self._begun or super()._begins()

    def _take(self, data: bytes) -> bool:
        """Whether the request with these bytes, its first or its last, goes express."""
        request = express.read(self._begun + data)
        if request is None:
            return False
        head, body, missing = request
        entry = self._entries.get(head.what)
        if entry is None or (missing and self._begun):
            return False
        self.busy = True
        if missing:
            # Many clients send the body by itself. gunicorn reads a request in more pieces.
            self._begun, self._begun_at = data, self.worker.loop.time()
            return True
        self._begun = b""
        if self._keepalive_handle:
            self._cancel_keepalive_timer()
        self._taken = head
        self._by = None
        callers.will_say(self._source)
        try:
            entry(head.query, head.headers, body, self._answer)
        except Exception as error:
            self._answer(api.failed(report(error), head.query, head.headers))
        return True

    def _current_caller(self) -> Caller:
        if self._by is None:
            headers = () if self._taken is None else self._taken.headers.items()
            self._by = self._caller(headers)
        return self._by

    def _told_head(self) -> unreadable.Head:
        taken = self._taken
        if taken is None:
            return super()._told_head()
        return unreadable.Head(taken.what.partition(b" ")[2], taken.query, dict(taken.headers))

    def _leave(self, data: bytes) -> None:
        if self._begun:
            data, self._begun = self._begun + data, b""
            self.busy = False
        super().data_received(data)

    def wait_no_longer(self) -> None:
        """Hand a request whose body has not come over to gunicorn, which waits for the body."""
        if self._begun:
            self._leave(b"")

    def _answer(self, response: express.Response) -> None:
        closing = self._is_last()
        if not self._closed:
            self._safe_write(_written(response, closing=closing))
            if self._flow_control.write_paused:
                self._unread = True
                return
        self._end(closing=closing)

    def _is_last(self) -> bool:
        """Whether the connection closes after this request."""
        return not (self.worker.alive and self._keepalive)

    def _end(self, *, closing: bool) -> None:
        """Go on after an answered request: close, or read the bytes behind it."""
        self._taken = None
        self.busy = False
        self.idle_since = self.worker.loop.time()
        self._admission.answered(self)
        if self._closed:
            return
        if closing:
            self._close_transport()
        elif self._behind:
            behind, self._behind = self._behind, b""
            self._flow_control.resume_reading()
            self.data_received(behind)


class ExpressWorker(Worker):
    """The worker class to name in gunicorn's settings, for an `express.Application`."""

    connection = ExpressConnection

    def load_wsgi(self) -> None:
        super().load_wsgi()
        #: The application's entries, by method and path as a request line has them.
        self.entries: Mapping[bytes, express.Entry] = getattr(self.asgi, "express", {})

    def notify(self) -> None:
        """See `Worker.notify`; it also ends the wait for bodies, once a second."""
        super().notify()
        for connection in list(self.admission.connections):
            connection.wait_no_longer()


def _written(response: express.Response, *, closing: bool) -> bytes:
    """A response as gunicorn writes it."""
    status, headers, body = response
    end = b"Connection: close\r\n\r\n" if closing else b"\r\n"
    return b"".join((_head(status, headers), protocol._get_cached_date_header(), end, body))


# Nearly all answers have equal heads but for their dates.
@lru_cache(maxsize=256)
def _head(status: int, headers: express.Headers) -> bytes:
    reason = ASGIProtocol._get_reason_phrase(None, status)
    return b"".join((
        f"HTTP/1.1 {status} {reason}\r\n".encode("ascii"),
        *[b"%b: %b\r\n" % header for header in headers],
        protocol._CACHED_SERVER_HEADER,
    ))  # fmt: skip
