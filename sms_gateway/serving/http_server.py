"""Serves an ASGI application in several processes, by gunicorn with our own limits."""

import logging
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from .. import garbage
from ..settings import Settings

log = logging.getLogger(__name__)

#: Seconds that requests in flight have to be answered when the server stops.
GRACE = 15
# Seconds; a client that pauses for longer has to connect again. Many pause for a minute, and many
# do not repeat a POST when they find their connection closed.
_KEEPALIVE = 75
# Bytes; a GET may carry a long text, of which each character may take nine bytes.
_LONGEST_LINE = 8190
#: gunicorn's worker class by the setting `web_worker`.
WORKERS = {
    "express": "sms_gateway.serving.express_worker.ExpressWorker",
    "asgi": "sms_gateway.serving.asgi_worker.Worker",
}
#: How many connections the system queues until a process accepts them.
BACKLOG = 2048
# Files of a process beside clients' connections: the database, logs, calls to another gateway.
_OTHER_FILES = 200
# Files for each served connection: there may be as many refused connections as served ones.
_FILES_EACH = 2
# The system's limit for a backlog (listen(2)); only Linux has this file.
_MOST_BACKLOG = Path("/proc/sys/net/core/somaxconn")
# The folder of the workers' heartbeat files: a heartbeat must not wait for a disk.
_MEMORY = "/dev/shm"  # noqa: S108 - gunicorn makes files of its own in it


def serve(settings: Settings, listener: socket.socket, make_app: Callable[[], Any]) -> NoReturn:
    """Serve until SIGTERM or SIGINT; `make_app` is called in each process, after the fork.

    Ends with SystemExit: 0 after a clean stop.
    """
    processes = settings.web_processes()
    facts = {"bind": settings.bind, "url": settings.external_url(), "processes": processes}
    options: dict[str, Any] = {
        "bind": f"fd://{listener.detach()}",  # gunicorn also closes it
        "worker_class": WORKERS[settings.web_worker],
        "workers": processes,
        "worker_connections": connections_within(settings.connections, open_files()),
        "backlog": BACKLOG,
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
    _tell_of_short_backlog()
    if os.path.isdir(_MEMORY):
        options["worker_tmp_dir"] = _MEMORY
    tls = settings.tls_context()
    if tls is not None:
        # gunicorn would read the files in each process it starts, and where that fails serve
        # without TLS. A context that is made once, here, cannot fail there.
        options |= {
            "certfile": str(settings.certfile),
            "keyfile": str(settings.keyfile),
            "ssl_context": lambda _config, _default: tls,
        }
    _Server(make_app, options).run()
    raise SystemExit(0)


def open_files() -> int:
    """How many files the process may have open, after raising its soft limit to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # macOS says "unlimited", and allows less
            return soft
    return hard


def connections_within(wanted: int, files: int) -> int:
    """The wanted number of connections, or fewer where the process may open only so many files.

    Logs a warning when it is fewer.
    """
    needed = wanted * _FILES_EACH + _OTHER_FILES
    if files == resource.RLIM_INFINITY or files >= needed:
        return wanted
    possible = max(1, (files - _OTHER_FILES) // _FILES_EACH)
    facts = {"connections": possible, "asked": wanted, "open_files": files, "needed": needed}
    log.warning(
        "fewer connections than the setting says: raise the hard limit of open files "
        "(ulimit -Hn, LimitNOFILE= of systemd) or lower the setting connections",
        extra=facts,
    )
    return possible


def _tell_of_short_backlog() -> None:
    try:
        most = int(_MOST_BACKLOG.read_text())
    except (OSError, ValueError):
        return
    if most < BACKLOG:
        log.warning(
            "the system keeps fewer connections waiting than was asked for: raise "
            "net.core.somaxconn",
            extra={"backlog": most, "asked": BACKLOG},
        )


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
        with garbage.frozen():
            return self._make_app()


class _Arbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's arbiter; it blocks stop signals in a new process until the worker handles them.

    Without that a stop signal that comes too early is lost.
    """

    def spawn_worker(self) -> Any:
        stops = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, stops)
        try:
            return super().spawn_worker()  # in the new process this does not return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Log(Logger):  # type: ignore[misc]
    """Passes gunicorn's log lines to our own handler."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(logging.NOTSET)
