"""gunicorn's asgi worker, made fit for strangers and for a quick stop.

It adds to gunicorn 27 what that does not do: a connection that sends no request is closed after the
keep-alive time, also when it never sent one; a stop closes idle connections and waits for no
stalled one so long that the arbiter kills the worker before its lifespan shutdown ran. `admission`
has who may connect, `asgi_connection` how a request is read.
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

# How much of the graceful time-out requests under way may use; the rest is the application's, for
# the arbiter kills the worker when it is over.
_CLIENTS_SHARE = 0.7
# A client that connects and does not say hello, by TLS, is nobody whose network could be told.
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
        # The one place where gunicorn takes its protocol class from, in this very process.
        gasgi.ASGIProtocol = self.connection
        # What it finds out about its parser it looks for in the base class only.
        ASGIProtocol._check_h1c_protocol_available()
        super().init_process()

    def notify(self) -> None:
        """Show the arbiter that the worker lives, and close what is idle for too long."""
        super().notify()
        self.admission.look(self.cfg.keepalive)

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
            # gunicorn logs it, and would start the worker again and again.
            raise SystemExit(Arbiter.WORKER_BOOT_ERROR)

    async def _shutdown(self) -> None:
        self._serving = None
        # gunicorn closes the listeners before anything else can happen, and waits for connections.
        # The busy ones close themselves after their answer.
        self.admission.close_idle()
        self.loop.call_later(self.cfg.graceful_timeout * _CLIENTS_SHARE, self.admission.abort)
        await super()._shutdown()
