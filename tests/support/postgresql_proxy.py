"""Between a gateway and PostgreSQL: cuts connections, or lets them fall silent, at the worst of
moments."""

import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url

#: A message with this text is cut off before the server gets it, with the COMMIT behind it.
NEVER_ARRIVES = "never arrives"
#: After a message with this text the server's answer to COMMIT is kept back, and all is cut.
NEVER_ANSWERED = "never answered"

#: A backend's CommandComplete for COMMIT (PostgreSQL: Frontend/Backend Protocol, message formats).
_COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"


class Proxy:
    """A server's socket in another folder."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        folder = parsed.query["host"]
        assert isinstance(folder, str)
        name = f".s.PGSQL.{parsed.port or 5432}"
        self._server = str(Path(folder) / name)
        self._folder = tempfile.TemporaryDirectory(prefix="px")  # a socket's path has to be short
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(Path(self._folder.name) / name))
        self._listener.listen(50)
        self._open: list[socket.socket] = []
        self._keep_back = False
        #: Whether those who connect are let in.
        self.lets_in = True
        #: Whether a connection falls silent instead of being cut: both ends are held, and nothing
        #: is forwarded any more.
        self.hushes = False
        self._hushed: set[socket.socket] = set()
        #: How often it has cut.
        self.cuts = 0
        there = parsed.update_query_dict({"host": self._folder.name})
        self.url = there.render_as_string(hide_password=False)
        threading.Thread(target=self._accept, daemon=True).start()

    def hush(self) -> None:
        """Let all open connections fall silent; new ones are served."""
        self._hushed.update(self._open)

    def close(self) -> None:
        self._listener.close()
        self._cut()
        self._folder.cleanup()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self.lets_in:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._open += [client, server]
            for source, target, watch in (
                (client, server, self._asked),
                (server, client, self._answered),
            ):
                threading.Thread(
                    target=self._forward, args=(source, target, watch), daemon=True
                ).start()

    def _forward(self, source: socket.socket, target: socket.socket, watch: object) -> None:
        assert callable(watch)
        with contextlib.suppress(OSError):
            while data := source.recv(1_000_000):
                if source in self._hushed:
                    continue
                if not watch(data):
                    self.cuts += 1
                    if not self.hushes:
                        self._cut()
                        return
                    self.hush()
                    continue
                target.sendall(data)
            if source in self._hushed:
                return
        for end in (source, target):
            end.close()

    def _asked(self, data: bytes) -> bool:
        self._keep_back = self._keep_back or NEVER_ANSWERED.encode() in data
        return NEVER_ARRIVES.encode() not in data

    def _answered(self, data: bytes) -> bool:
        if self._keep_back and _COMMITTED in data:
            self._keep_back = False
            return False
        return True

    def _cut(self) -> None:
        while self._open:
            end = self._open.pop()
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    """A proxy before the server of a URL."""
    opened = Proxy(url)
    try:
        yield opened
    finally:
        opened.close()
