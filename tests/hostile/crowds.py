"""Many clients at once, from an address of their choice, that send a little and then wait."""

import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from .cases import FORM, GOOD_FORM, request

#: What came of a client: an answer by its status, or none and the end of its connection.
CLOSED, WAITING = "closed silently", "waiting"


class Client:
    """One of them, and what it was told."""

    def __init__(self, port: int, address: str, sends: bytes) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.bind((address, 0))
        self.socket.connect_ex(("127.0.0.1", port))
        self.sends = sends
        self.told = b""
        self.ended = False

    @property
    def outcome(self) -> str:
        if self.told:
            return self.told[9:12].decode()
        return CLOSED if self.ended else WAITING


class Crowd:
    def __init__(self, port: int, address: str, count: int, sends: bytes) -> None:
        self._selector = selectors.DefaultSelector()
        self.clients = [Client(port, address, sends) for _ in range(count)]
        for client in self.clients:
            events = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.register(client.socket, events, client)

    def watch(self, seconds: float) -> None:
        """Let them send and listen for so long, or until all of them are told or gone."""
        deadline = time.monotonic() + seconds
        while self._selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, ready in self._selector.select(left):
                self._serve(key.data, ready)

    def _serve(self, client: Client, ready: int) -> None:
        try:
            if ready & selectors.EVENT_READ:
                heard = client.socket.recv(65536)
                client.told += heard
                client.ended = not heard
            elif client.sends:
                client.sends = client.sends[client.socket.send(client.sends) :]
        except ConnectionError:
            client.ended = True
        if client.ended or b"</result>" in client.told or b"Envelope>" in client.told:
            self._selector.unregister(client.socket)
        elif not client.sends:
            self._selector.modify(client.socket, selectors.EVENT_READ, client)

    def outcomes(self) -> Counter[str]:
        return Counter(client.outcome for client in self.clients)

    def close(self) -> None:
        self._selector.close()
        for client in self.clients:
            client.socket.close()


@contextmanager
def crowd(port: int, address: str, count: int, sends: bytes) -> Iterator[Crowd]:
    """So many clients of one address that all send the same."""
    come = Crowd(port, address, count, sends)
    try:
        yield come
    finally:
        come.close()


def served(port: int, address: str) -> float:
    """Send a good request from an address; the seconds until its answer. AssertionError when it is
    not accepted."""
    began = time.monotonic()
    with socket.socket() as connection:
        connection.settimeout(60)
        connection.bind((address, 0))
        connection.connect(("127.0.0.1", port))
        connection.sendall(request(GOOD_FORM, FORM, Connection="close"))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"<error>0</error>" in answer, answer[:300]
    return time.monotonic() - began
