"""A way to a server on which things go wrong as told: a TCP relay for one request a connection."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Relay:
    """Takes one line of the plan for each connection; "pass" when the plan is at its end.

    "drop" closes without reading; "lose" passes the request on and closes without its answer;
    "hang" reads and never answers; "503" answers as a proxy whose server is away; anything else but
    "pass" is itself the answer's body.
    """

    def __init__(self, port: int, plan: Sequence[str]) -> None:
        self._server = ("127.0.0.1", port)
        self._plan = list(plan)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        #: How many connections there were.
        self.connections = 0

    def run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            deed = self._plan.pop(0) if self._plan else "pass"
            threading.Thread(target=self._serve, args=(client, deed)).start()

    def stop(self) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, client: socket.socket, deed: str) -> None:
        with client:
            if deed == "drop":
                return
            request = _request(client)
            if deed == "hang":
                self._ended.wait()
            elif deed in ("pass", "lose"):
                answer = self._ask(request)
                if deed == "pass":
                    client.sendall(answer)
            elif deed == "503":
                client.sendall(
                    b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
            else:
                head = (
                    f"HTTP/1.1 200 OK\r\nContent-Length: {len(deed)}\r\nConnection: close\r\n\r\n"
                )
                client.sendall((head + deed).encode())

    def _ask(self, request: bytes) -> bytes:
        """The server's answer, with the connection closed after it."""
        closing = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        answer = b""
        with socket.create_connection(self._server) as server:
            server.sendall(closing)
            while received := server.recv(65536):
                answer += received
        return answer


def _request(client: socket.socket) -> bytes:
    """One request as it came, without a word about keeping the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    length = 0
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += client.recv(65536)
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    return b"\r\n".join(kept) + b"\r\n\r\n" + body


@contextmanager
def relay(port: int, *plan: str) -> Iterator[Relay]:
    """A relay to a port of this machine, with what is to happen to the first connections."""
    running = Relay(port, plan)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        yield running
    finally:
        running.stop()
        thread.join()
