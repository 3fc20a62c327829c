"""The worker with the short way for what `express` can read, and the plain way for all else."""

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gunicorn.asgi import protocol
from gunicorn.asgi.protocol import ASGIProtocol

from . import api, express
from .incident import report
from .worker import Connection, Worker


class ExpressConnection(Connection):
    """A connection whose requests go the short way, one after the other, when they can."""

    def __init__(self, worker: "ExpressWorker") -> None:
        super().__init__(worker)
        #: Is answering a request that went the short way.
        self._answering: asyncio.Task[None] | None = None
        #: What came behind that request.
        self._behind = b""
        #: A request whose body is still to come.
        self._begun = b""

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        # Nobody will read the rest; who waits for that need not.
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._answering is not None:
            self._behind += data
            self._flow_control.pause_reading()
        elif self._current_request is not None or self._head or not self._taken(data):
            # Of a request that goes the plain way, or is to.
            self._leave(data)

    def _taken(self, data: bytes) -> bool:
        """Whether a request goes the short way, with these bytes for its beginning or its end."""
        request = express.read(self._begun + data)
        quick: express.Quick | None = request and self.worker.quick.get(request.what)
        if request is None or quick is None or (request.missing and self._begun):
            return False
        if request.missing:
            # Many clients send their body by itself; what comes in more pieces is no short way.
            self._begun = data
            self.busy = True
            return True
        self._begun = b""
        self.busy = True
        self._cancel_keepalive_timer()
        self._answering = self.worker.loop.create_task(self._answer(quick, request))
        return True

    def _leave(self, data: bytes) -> None:
        if self._begun:
            data, self._begun = self._begun + data, b""
            self.busy = False
        super().data_received(data)

    def wait_no_longer(self) -> None:
        """Leave a request whose body does not come to the plain way, which knows how to wait."""
        if self._begun:
            self._leave(b"")

    async def _answer(self, quick: express.Quick, request: express.Request) -> None:
        try:
            response = await quick(request.query, request.headers, request.body)
        except Exception as error:
            response = api.failed(report(error), request.query, request.headers)
        closing = not (self.worker.alive and self.cfg.keepalive)
        if not self._closed:
            self._safe_write(_written(response, closing))
            await self._flow_control.drain()
        self._answering = None
        self.busy = False
        self.idle_since = self.worker.loop.time()
        self.worker.answered(self)
        if self._closed:
            return
        if closing or not self.worker.alive:
            self._close_transport()
        elif self._behind:
            behind, self._behind = self._behind, b""
            self._flow_control.resume_reading()
            self.data_received(behind)


class ExpressWorker(Worker):
    """The worker class to name in gunicorn's settings, for an `express.Application`."""

    connection = ExpressConnection

    def load_wsgi(self) -> Any:
        super().load_wsgi()
        #: The application's short ways.
        self.quick: Mapping[bytes, express.Quick] = getattr(self.asgi, "quick", {})

    def notify(self) -> None:
        """See `Worker.notify`; once a second, it is also the end of a wait for bodies."""
        super().notify()
        for connection in list(self.connections):
            connection.wait_no_longer()


def _written(response: express.Response, closing: bool) -> bytes:
    """A response as gunicorn writes it."""
    status, headers, body = response
    return b"".join((
        _status_line(status),
        *[b"%b: %b\r\n" % header for header in headers],
        protocol._CACHED_SERVER_HEADER,
        protocol._get_cached_date_header(),
        b"Connection: close\r\n\r\n" if closing else b"\r\n",
        body,
    ))  # fmt: skip


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    reason = ASGIProtocol._get_reason_phrase(None, status)
    return f"HTTP/1.1 {status} {reason}\r\n".encode("ascii")
