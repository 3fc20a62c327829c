"""One HTTP request at a time, with nothing between test and wire that would put it right."""

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from xml.etree import ElementTree


class Listening(Protocol):
    """A server on 127.0.0.1, however it was started."""

    port: int


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes

    @property
    def result(self) -> dict[str, Any]:
        """The fields of the reply, in whichever format it came; the values as text."""
        if self.headers["content-type"] == "application/json":
            fields = json.loads(self.body)["result"]
            return {name: str(value) for name, value in fields.items()}
        assert self.headers["content-type"] == "text/xml; charset=utf-8"
        root = ElementTree.fromstring(self.body)
        assert root.tag == "result"
        return {field.tag: field.text or "" for field in root}

    @property
    def error(self) -> int:
        return int(self.result["error"])


def ask(
    server: Listening,
    target: str,
    body: bytes | None = None,
    *,
    method: str = "",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request on a connection of its own; a body makes it a POST."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.putrequest(
            method or ("GET" if body is None else "POST"), target, skip_accept_encoding=True
        )
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())
    finally:
        connection.close()


def send_bytes(server: Listening, data: bytes) -> socket.socket:
    """A connection on which these bytes were written."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.sendall(data)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """All until the server closes the connection."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def read_one(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of the next answer, and nothing of what is behind it."""
    head, body = b"", bytearray()
    while not head.endswith(b"\r\n\r\n"):
        head += _received(connection, 1)
    length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r")[0])
    while len(body) < length:
        body += _received(connection, length - len(body))
    return head, bytes(body)


def _received(connection: socket.socket, most: int) -> bytes:
    piece = connection.recv(most)
    assert piece, "the connection was closed"
    return piece
