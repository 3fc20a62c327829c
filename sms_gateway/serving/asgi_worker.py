"""Hardens gunicorn's asgi worker against idle clients, and makes it stop quickly.

It adds to gunicorn 27:
- A connection without a request is closed after the keep-alive time, also before its first request.
- A stop closes idle connections. It aborts stalled ones early enough for the lifespan shutdown to
  run before the arbiter kills the worker.

`admission` decides which clients may connect; `asgi_connection` reads their requests.
"""

import asyncio
import signal
from functools import partial
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi

from ..web.crowd import DEFAULT_LIMITS
from .admission import Admission
from .asgi_connection import Connection

# The share of the graceful time-out for requests under way. The rest is for the application's
# shutdown: at the end of the time-out the arbiter kills the worker.
_CLIENTS_SHARE = 0.7
# Seconds for a TLS handshake. Before its end a connection is not counted for any network.
_HANDSHAKE = 10.0


class Worker(gasgi.ASGIWorker):  # type: ignore[misc]
    """The worker class to name in gunicorn's settings."""

    connection = Connection

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._serving: asyncio.Task[None] | None = None

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.admission = Admission(
            getattr(self.asgi, "limits", DEFAULT_LIMITS),
            self.cfg.worker_connections,
            unreadable=getattr(self.asgi, "unreadable", None),
            clock=self.loop.time,
        )

    def init_process(self) -> None:
        # gunicorn takes its protocol class from this name; the change is for this process only.
        gasgi.ASGIProtocol = self.connection
        # gunicorn keeps the result of its parser check in the base class: run the check there.
        ASGIProtocol._check_h1c_protocol_available()
        super().init_process()

    def notify(self) -> None:
        """Send the arbiter a heartbeat, and close connections that are idle for too long."""
        super().notify()
        self.admission.look(self.cfg.keepalive)

    def handle_exit_signal(self) -> None:
        super().handle_exit_signal()
        # Wake gunicorn from its sleep of a second: it goes on to its graceful shutdown.
        if self._serving and self.servers:
            self._serving.cancel()
            self._serving = None

    async def _serve(self) -> None:
        self._serving = asyncio.current_task()
        # Before it runs, uvloop's loop drops signals. So stop signals were blocked until now.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # gunicorn does not pass its backlog to the loop, whose default is 100.
        make = self.loop.create_server
        hello = _HANDSHAKE if self.cfg.is_ssl else None
        self.loop.create_server = partial(
            make, backlog=self.cfg.backlog, ssl_handshake_timeout=hello
        )
        await super()._serve()
        if not self.servers:
            # gunicorn has logged the error, and would start the worker again and again.
            raise SystemExit(Arbiter.WORKER_BOOT_ERROR)

    async def _shutdown(self) -> None:
        self._serving = None
        # gunicorn closes the listeners before anything else can happen, and waits for connections.
        # The busy ones close themselves after their answer.
        self.admission.close_idle()
        self.loop.call_later(self.cfg.graceful_timeout * _CLIENTS_SHARE, self.admission.abort)
        await super()._shutdown()
