"""A client with a pace: requests leave when they are due, whether or not others were answered.

wrk waits for an answer before it asks again, and so asks least when a server is slowest. Here the
time of a request counts from when it was due, so that a pause of the server is in the figures of
all who would have come meanwhile.
"""

import asyncio
import gc
import itertools
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter  # uvloop's own clock has but milliseconds
from typing import Any

import uvloop

from .client import Request

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """What came of a run; times in seconds."""

    right: int
    wrong: int
    #: Of the time from when a request was due to its answer.
    p50: float
    p99: float
    longest: float


def drive(
    port: int, request: Request, *, per_second: float, seconds: float, connections: int = 64
) -> Paced:
    """Send so many requests a second; when all connections are busy the next ones wait."""
    return uvloop.run(_drive(port, request, per_second, seconds, connections))


async def _drive(
    port: int, request: Request, per_second: float, seconds: float, connections: int
) -> Paced:
    loop = asyncio.get_running_loop()
    crowd = _Crowd(request.right.encode())
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(crowd), "127.0.0.1", port)
    messages = _rendered(port, request)
    count = int(per_second * seconds)
    # The client's own garbage collection is no part of the server.
    gc.collect()
    gc.disable()
    try:
        began = perf_counter()
        for number in range(count):
            due = began + number / per_second
            if (pause := due - perf_counter()) > 0:
                await asyncio.sleep(pause)
            crowd.ask(due, next(messages))
        deadline = perf_counter() + 30
        while len(crowd.times) + crowd.wrong < count and perf_counter() < deadline:
            await asyncio.sleep(0.01)
    finally:
        gc.enable()
    times = sorted(crowd.times)
    if not times:
        raise RuntimeError("nothing was answered as it should be")
    return Paced(
        right=len(times),
        # What was never answered is wrong too.
        wrong=count - len(times),
        p50=times[len(times) // 2],
        p99=times[len(times) * 99 // 100],
        longest=times[-1],
    )


def _rendered(port: int, request: Request) -> Iterator[bytes]:
    """The requests as they go over the wire."""
    recipients, keys = itertools.cycle(request.recipients), itertools.cycle(request.keys)
    headers = {"Host": f"127.0.0.1:{port}", **request.headers}
    for number in itertools.count():
        values = (next(recipients), f"{request.text}{number}", next(keys))
        path, body = request.path, b""
        if request.body is None:
            path %= values
        else:
            body = (request.body % values).encode()
        lines = [f"{request.method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        yield "\r\n".join([*lines, "", ""]).encode() + body


class _Crowd:
    """The connections, those that are free, and the requests for which none was."""

    def __init__(self, right: bytes) -> None:
        self.right = right
        self.free: list[_Connection] = []
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.times: list[float] = []
        self.wrong = 0

    def ask(self, due: float, message: bytes) -> None:
        if self.free:
            self.free.pop().send(due, message)
        else:
            self.waiting.append((due, message))

    def answered(self, connection: "_Connection", answer: bytes) -> None:
        if answer.startswith(b"HTTP/1.1 200 ") and self.right in answer:
            self.times.append(perf_counter() - connection.due)
        else:
            self.wrong += 1
        if self.waiting:
            connection.send(*self.waiting.popleft())
        else:
            self.free.append(connection)


class _Connection(asyncio.Protocol):
    def __init__(self, crowd: _Crowd) -> None:
        self._crowd = crowd
        self._received = b""
        self.due = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport
        self._crowd.free.append(self)

    def send(self, due: float, message: bytes) -> None:
        self.due = due
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, mark, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head) if mark else None
        if length is not None and len(body) >= int(length[1]):
            answer, self._received = self._received, b""
            self._crowd.answered(self, answer)

    def connection_lost(self, error: Exception | None) -> None:
        # Whatever it carried stays without an answer.
        if self in self._crowd.free:
            self._crowd.free.remove(self)
