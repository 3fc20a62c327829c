"""The worker with the short way for what `express` can read, and the plain way for all else."""

import asyncio
from collections.abc import Coroutine, Mapping
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

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        # Nobody will read the rest; who waits for that need not.
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._answering is not None:
            self._behind += data
            self._flow_control.pause_reading()
            return
        # Between requests, and nothing has come of the next one.
        if self._current_request is None and not self._head:
            request = express.read(data)
            asked = request and self._ask(request)
            if request and asked:
                self.busy = True
                self._cancel_keepalive_timer()
                self._answering = self.worker.loop.create_task(self._answer(request, asked))
                return
        super().data_received(data)

    def _ask(self, request: express.Request) -> Coroutine[None, None, express.Response] | None:
        quick: express.Quick | None = self.worker.quick.get(request.what)
        if quick is None:
            return None
        try:
            return quick(request.query, request.headers, request.body)
        except Exception as error:
            report(error)
            return None

    async def _answer(
        self, request: express.Request, asked: Coroutine[None, None, express.Response]
    ) -> None:
        try:
            response = await asked
        except Exception as error:
            response = api.failed(report(error), request.query, request.headers)
        if not self._closed:
            self._safe_write(_written(response))
            await self._flow_control.drain()
        self._answering = None
        self.busy = False
        self.idle_since = self.worker.loop.time()
        self.worker.answered(self)
        if self._closed:
            return
        if not (self.worker.alive and self.cfg.keepalive):
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


def _written(response: express.Response) -> bytes:
    """A response as gunicorn writes it."""
    status, headers, body = response
    return b"".join((
        _status_line(status),
        *[b"%b: %b\r\n" % header for header in headers],
        protocol._CACHED_SERVER_HEADER,
        protocol._get_cached_date_header(),
        b"\r\n",
        body,
    ))  # fmt: skip


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    reason = ASGIProtocol._get_reason_phrase(None, status)
    return f"HTTP/1.1 {status} {reason}\r\n".encode("ascii")
