"""An ASGI application served by processes: gunicorn, with the limits that we want."""

import logging
import os
import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from . import garbage
from .settings import Settings

log = logging.getLogger(__name__)

#: Seconds that requests in flight have to be answered when the server stops.
GRACE = 15
# A client that pauses for longer has to connect again. Many pause for a minute, and those that
# find their connection closed do not repeat a POST.
_KEEPALIVE = 75
# A GET may carry a long text, each character of which may take nine bytes.
_LONGEST_LINE = 8190
#: gunicorn's worker class by the setting `web_worker`.
WORKERS = {
    "express": "sms_gateway.web.express_worker.ExpressWorker",
    "asgi": "sms_gateway.web.worker.Worker",
}
# Where the processes show that they live: that must not wait for a disk.
_MEMORY = "/dev/shm"  # noqa: S108 - gunicorn makes files of its own in it


def serve(settings: Settings, listener: socket.socket, make_app: Callable[[], Any]) -> NoReturn:
    """Serve until SIGTERM or SIGINT; `make_app` is called in each process, after the fork.

    Ends with SystemExit: 0 after a clean stop.
    """
    processes = settings.web_processes()
    facts = {"bind": settings.bind, "url": settings.external_url(), "processes": processes}
    options: dict[str, Any] = {
        "bind": f"fd://{listener.detach()}",  # which closes it, too
        "worker_class": WORKERS[settings.web_worker],
        "workers": processes,
        "keepalive": _KEEPALIVE,
        "graceful_timeout": GRACE,
        "limit_request_line": _LONGEST_LINE,
        "limit_request_fields": 100,
        "limit_request_field_size": 8190,
        "asgi_lifespan": "on",
        "control_socket_disable": True,
        # Request lines hold keys and texts.
        "accesslog": None,
        "logger_class": _Log,
        "when_ready": lambda _: log.info("listening", extra=facts),
    }
    if os.path.isdir(_MEMORY):
        options["worker_tmp_dir"] = _MEMORY
    tls = settings.tls_context()
    if tls is not None:
        # gunicorn would read the files in each process it starts, and where that fails serve
        # without TLS; a context that is made once cannot fail then.
        options |= {
            "certfile": str(settings.certfile),
            "keyfile": str(settings.keyfile),
            "ssl_context": lambda _config, _default: tls,
        }
    _Server(make_app, options).run()
    raise SystemExit(0)


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, make_app: Callable[[], Any], options: dict[str, Any]) -> None:
        self._make_app = make_app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        _Arbiter(self).run()

    def load(self) -> Any:
        with garbage.passed_over():
            return self._make_app()


class _Arbiter(Arbiter):  # type: ignore[misc]
    """What stops a process waits until its worker hears signals, and is not lost before."""

    def spawn_worker(self) -> Any:
        stops = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, stops)
        try:
            return super().spawn_worker()  # in the new process this does not return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Log(Logger):  # type: ignore[misc]
    """gunicorn's log lines by way of our own handler."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(logging.NOTSET)
