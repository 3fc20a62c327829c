"""The e-mail face in front of a real gateway, on a loop of its own, and clients for it."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from email_gateway import MailServer
from sms_gateway.accept.gateway import Gateway
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.store import Store

from .clock import LoopClock

DOMAIN = "sms.example.com"
ROUTES = Routes(
    [
        Route(prefix="", upstreams=("default",)),
        Route(prefix="31", upstreams=(), closed=True),
    ]
)


class MailFace:
    """A running e-mail face."""

    def __init__(
        self, port: int, server: MailServer, loop: asyncio.AbstractEventLoop, clock: LoopClock
    ) -> None:
        self.port = port
        self._server = server
        self._loop = loop
        self._clock = clock

    def connections(self) -> int:
        """How many connections it has."""
        return len(self._server.connections)

    def pass_(self, seconds: float) -> None:
        """Let so much time pass for its clients."""
        self._loop.call_soon_threadsafe(self._clock.pass_, seconds)

    def stop(self, grace: float = 10) -> "threading.Thread":
        """Ask it to stop; the thread ends when it has."""

        def wait() -> None:
            asyncio.run_coroutine_threadsafe(self._server.stop(grace), self._loop).result(30)

        thread = threading.Thread(target=wait)
        thread.start()
        return thread


@contextmanager
def serve(store: Store, **options: Any) -> Iterator[MailFace]:
    """The face in front of a gateway with this store; `options` are those of MailServer."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    async def of_loop() -> LoopClock:
        return LoopClock()

    clock = run(of_loop())
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    gateway = Gateway(store, ROUTES, default_region="BE")
    server = MailServer(gateway, domain=DOMAIN, **options)
    try:
        run(gateway.start())
        run(server.start(listener))
        yield MailFace(port, server, loop, clock)
    finally:
        run(server.stop(1))
        run(gateway.aclose())
        run(asyncio.sleep(0.01))  # for what is closed to be told so
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Client:
    """An SMTP client that says what it is told, byte for byte."""

    def __init__(self, port: int, *, greet: bool = True) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._file = self.socket.makefile("rb")
        if greet:
            self.answer()
            self.say("EHLO client.example.org")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def answer(self) -> str:
        """The next answer, its lines joined by newlines; empty at the end of the connection."""
        lines = []
        try:
            while line := self._file.readline():
                lines.append(line.decode("utf-8").rstrip("\r\n"))
                if line[3:4] != b"-":
                    break
        except ConnectionError:
            pass
        return "\n".join(lines)

    def say(self, line: str) -> str:
        self.send(line.encode() + b"\r\n")
        return self.answer()

    def begin(self, address: str, sender: str = "jean@example.org") -> str:
        """Up to DATA's answer, which is returned, or the first that refuses."""
        for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{address}@{DOMAIN}>", "DATA"):
            answer = self.say(line)
            if answer[0] not in "23":
                break
        return answer

    def mail(self, address: str, content: bytes, sender: str = "jean@example.org") -> str:
        """A whole mail; the answer to it, or the first that refuses."""
        answer = self.begin(address, sender)
        if not answer.startswith("354"):
            self.say("RSET")
            return answer
        self.send(content + b"\r\n.\r\n")
        return self.answer()

    def start_tls(self, cafile: str) -> None:
        assert self.say("STARTTLS").startswith("220")
        context = ssl.create_default_context(cafile=cafile)
        self.socket = context.wrap_socket(self.socket, server_hostname=DOMAIN)
        self._file = self.socket.makefile("rb")
        self.say("EHLO client.example.org")

    def is_closed(self) -> bool:
        """Waits for the server to close the connection; what it still says is passed over."""
        try:
            while self.socket.recv(65_536):
                pass
        except ConnectionError:
            pass
        return True
