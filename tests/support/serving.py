"""Runs an ASGI application as it is deployed: under gunicorn, in processes of its own."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sms_gateway.serving.http_server import WORKERS

ROOT = Path(__file__).resolve().parents[2]

STARTED = "ASGI server listening"


class Server:
    """A running server and what it wrote."""

    def __init__(self, url: str, port: int, process: subprocess.Popen[bytes], log: int) -> None:
        #: "http://127.0.0.1:PORT", or https; no slash at the end.
        self.url = url
        self.port = port
        #: gunicorn's arbiter, the parent of the workers.
        self.process = process
        self._log = log
        self._written = ""

    def stderr(self) -> str:
        """All that server and application wrote so far; also after the end."""
        if self._log >= 0:
            # pread: the server's processes write at this descriptor's own offset.
            size = os.fstat(self._log).st_size
            self._written = os.pread(self._log, size, 0).decode("utf-8", "replace")
        return self._written

    def _close_log(self) -> None:
        self.stderr()
        os.close(self._log)
        self._log = -1


@contextmanager
def serve(
    app: str,
    *,
    worker: str = "express",
    workers: int = 1,
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    certfile: str = "",
    keyfile: str = "",
    timeout: float = 60,
) -> Iterator[Server]:
    """Serve `app`, gunicorn's "module:name" or "module:factory('argument', option=1)".

    Modules of the checkout and of `tests` (as `support.…`) can be named; a factory is called in
    every worker, with literals as arguments. `worker` is one of the setting `web_worker`, `env`
    adds to the environment, and `options` are further gunicorn options. The port is free and on
    127.0.0.1. Yields once every worker accepts connections; on leaving, the server is stopped by
    SIGTERM (lifespan shutdown runs), and one that does not stop or that crashed is an error. A stop
    takes about a second, as gunicorn looks for signals that often: share servers between tests.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryFile() as log:
        port = listener.getsockname()[1]
        command = [
            sys.executable, "-m", "gunicorn", app,
            "--worker-class", WORKERS[worker], "--workers", str(workers),
            "--bind", f"fd://{listener.fileno()}",
            "--keep-alive", "75", "--graceful-timeout", "1", "--no-control-socket",
            "--asgi-lifespan", "on", "--limit-request-line", "8190",
            *(("--certfile", certfile, "--keyfile", keyfile) if certfile else ()),
            *options,
        ]  # fmt: skip
        environment = {**os.environ, **(env or {})}
        path = [str(ROOT / "tests"), str(ROOT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
        )
        scheme = "https" if certfile else "http"
        server = Server(f"{scheme}://127.0.0.1:{port}", port, process, os.dup(log.fileno()))
    end: int | str = ""
    try:
        _wait_until_listening(server, workers, time.monotonic() + timeout)
        yield server
    finally:
        process.terminate()
        try:
            end = process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            end = "killed: it did not stop"
        server._close_log()
    assert end == 0, f"the server's end was {end}:\n{server.stderr()}"


def _wait_until_listening(server: Server, workers: int, deadline: float) -> None:
    while server.stderr().count(STARTED) < workers:
        if server.process.poll() is not None:
            raise AssertionError("the server did not start:\n" + server.stderr())
        if time.monotonic() > deadline:
            raise AssertionError("the server is not listening:\n" + server.stderr())
        time.sleep(0.02)
