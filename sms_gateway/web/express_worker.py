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
        #: Answers the requests that go the short way: one task for all, as a task costs as much as
        #: checking a request does.
        self._answering: asyncio.Task[None] | None = None
        #: The request that is being answered, and its way.
        self._taken: tuple[express.Quick, express.Request] | None = None
        #: Done when there is another one, or none will come.
        self._next: asyncio.Future[None] | None = None
        #: What came behind that request.
        self._behind = b""
        #: A request whose body is still to come.
        self._begun = b""

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        # Nobody will read the rest; who waits for that need not.
        self.resume_writing()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        if self._taken is not None:
            self._behind += data
            self._flow_control.pause_reading()
        elif self._current_request is not None or self._head or not self._take(data):
            # Of a request that goes the plain way, or is to.
            self._leave(data)

    def _take(self, data: bytes) -> bool:
        """Whether a request goes the short way, with these bytes for its beginning or its end."""
        request = express.read(self._begun + data)
        quick: express.Quick | None = request and self.worker.quick.get(request.what)
        if request is None or quick is None or (request.missing and self._begun):
            return False
        self.busy = True
        if request.missing:
            # Many clients send their body by itself; what comes in more pieces is no short way.
            self._begun = data
            return True
        self._begun = b""
        self._cancel_keepalive_timer()
        self._taken = quick, request
        if self._answering is None:
            self._answering = self.worker.loop.create_task(self._answer_all())
        else:
            self._go_on()
        return True

    def _go_on(self) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    def _leave(self, data: bytes) -> None:
        if self._begun:
            data, self._begun = self._begun + data, b""
            self.busy = False
        super().data_received(data)

    def wait_no_longer(self) -> None:
        """Leave a request whose body does not come to the plain way, which knows how to wait."""
        if self._begun:
            self._leave(b"")

    async def _answer_all(self) -> None:
        while not self._closed:
            if self._taken is None:
                self._next = self.worker.loop.create_future()
                await self._next
            else:
                await self._answer(*self._taken)

    async def _answer(self, quick: express.Quick, request: express.Request) -> None:
        try:
            response = await quick(request.query, request.headers, request.body)
        except Exception as error:
            response = api.failed(report(error), request.query, request.headers)
        closing = not (self.worker.alive and self.cfg.keepalive)
        if not self._closed:
            self._safe_write(_written(response, closing))
            if self._flow_control.write_paused:
                await self._flow_control.drain()
        self._taken = None
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
