"""An HTTP server that answers as it is told, rightly or not, and remembers what it was asked."""

import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import parse_headers
from urllib.parse import parse_qs

#: What is done for a request; whether the connection is read from after that.
Answer = Callable[[socket.socket], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that came in whole."""

    path: str
    #: By name in small letters.
    headers: dict[str, str]
    body: bytes
    #: What the body says as a form.
    form: dict[str, list[str]]


class Remote:
    """Listens on 127.0.0.1. It answers with what `answers` holds, and then with `usual`."""

    def __init__(self, usual: Answer) -> None:
        self.answers: deque[Answer] = deque()
        self.asked: list[Asked] = []
        #: How many were accepted.
        self.connections = 0
        self._usual = usual
        self._listener = socket.socket()
        # Bound and not listening it refuses connections, and keeps its port.
        self._listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/sendsms/"

    def listen(self) -> None:
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # Closing it would wake nobody who waits for a connection.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._talk, args=[connection], daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as incoming:
            while line := incoming.readline():
                headers = {name.lower(): value for name, value in parse_headers(incoming).items()}
                body = incoming.read(int(headers["content-length"]))
                form = parse_qs(body.decode("ascii"), keep_blank_values=True)
                path = line.split()[1].decode()
                self.asked.append(Asked(path=path, headers=headers, body=body, form=form))
                answer = self.answers.popleft() if self.answers else self._usual
                if not answer(connection):
                    break


@contextlib.contextmanager
def remote(usual: Answer, *, listening: bool = True) -> Iterator[Remote]:
    """A remote while the block runs."""
    started = Remote(usual)
    try:
        if listening:
            started.listen()
        yield started
    finally:
        started.close()


def says(data: bytes, *, stays: bool = True) -> Answer:
    """These very bytes, and then the end of the connection unless it `stays`."""

    def answer(connection: socket.socket) -> bool:
        connection.sendall(data)
        return stays

    return answer


def http(body: bytes, status: str = "200 OK", *headers: str) -> Answer:
    """A response as it should be."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return says("\r\n".join(lines).encode() + body)


def cut(connection: socket.socket) -> bool:
    """No answer: the connection is closed."""
    return False


def reset(connection: socket.socket) -> bool:
    """No answer: the connection is broken (RST)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def silence(connection: socket.socket) -> bool:
    """No answer, until whoever asked goes away."""
    connection.recv(1)
    return False


def endless(connection: socket.socket) -> bool:
    """A response without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n<result>")
    while True:
        connection.sendall(b" " * 65536)
