"""How full a worker keeps a carrier's window: python -m benchmarks.window [WINDOW ...]

The carrier answers each part after 20 ms. A window that is always full moves so many parts a second
as it holds in that time; the share of this is shown, by what the carrier itself measured.
"""

import asyncio
import multiprocessing
import struct
import sys
import tempfile
import time
from collections import deque
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from tests.support import databases

from . import ours
from .delivery import accept
from .processes import started

LATENCY = 0.02
WINDOWS = (10, 50, 200)
#: Seconds at the begin that are not counted, and those that are.
LEAD, SECONDS = 2.0, 4.0
_BIND_RESP = struct.Struct(">IIII")
_SUBMIT_SM, _SUBMIT_SM_RESP = 4, 0x80000004


class _Carrier(asyncio.Protocol):
    """Accepts every part after the latency; sends no receipts."""

    def __init__(self, taken: list[float], held: list[float]) -> None:
        self._taken, self._held = taken, held
        self._data = b""
        self._waiting: deque[tuple[float, int]] = deque()
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        now = time.monotonic()
        while len(self._data) >= 16:
            length, command, _, sequence = _BIND_RESP.unpack_from(self._data)
            if len(self._data) < length:
                break
            self._data = self._data[length:]
            if command == _SUBMIT_SM:
                self._taken.append(now)
                if not self._waiting:
                    self._loop.call_later(LATENCY, self._answer)
                self._waiting.append((now, sequence))
            elif command < 0x80000000:
                body = b"SMSC\0" if command in (1, 2, 9) else b""
                head = _BIND_RESP.pack(16 + len(body), command | 0x80000000, 0, sequence)
                self._transport.write(head + body)

    def _answer(self) -> None:
        now, answers = time.monotonic(), []
        while self._waiting and self._waiting[0][0] <= now - LATENCY + 0.0005:
            at, sequence = self._waiting.popleft()
            self._held.append(now - at)
            id = b"%x\0" % len(self._held)
            head = _BIND_RESP.pack(16 + len(id), _SUBMIT_SM_RESP, 0, sequence)
            answers.append(head + id)
        self._transport.write(b"".join(answers))
        if self._waiting:
            self._loop.call_later(self._waiting[0][0] + LATENCY - now, self._answer)


def _carry(pipe: Connection) -> None:
    """The carrier's process: says its port, then its figures when asked."""

    async def serve() -> None:
        taken: list[float] = []
        held: list[float] = []
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Carrier(taken, held), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        while not taken:
            await asyncio.sleep(0.01)
        await asyncio.sleep(LEAD + SECONDS)
        first = taken[0] + LEAD
        counted = [n for n, at in enumerate(taken) if first <= at < first + SECONDS]
        answered = [held[n] for n in counted if n < len(held)]
        pipe.send((len(counted) / SECONDS, sum(answered) / len(answered)))

    uvloop.run(serve())


def measure(url: str, folder: Path, window: int) -> tuple[float, float]:
    """The share of the window's limit, and parts per second."""
    (key,) = ours.prepared(url)
    asyncio.run(accept(url, key, int(window / LATENCY * (LEAD + SECONDS) * 1.05)))
    here, there = multiprocessing.Pipe()
    carrier = multiprocessing.get_context("spawn").Process(target=_carry, args=(there,))
    carrier.start()
    try:
        port = here.recv()
        upstream = f"smpp://a:b@127.0.0.1:{port}?window={window}"
        env = ours.environment(database_url=url, upstream=upstream)
        log = folder / "worker.log"
        with started(ours.command("worker"), log, env=env):
            per_second, latency = here.recv()
        return per_second / (window / latency), per_second
    finally:
        carrier.terminate()
        carrier.join()


def main() -> None:
    """Measure on both databases."""
    databases._SETTINGS = ()  # here a commit waits for the disk
    for kind in databases.KINDS:
        for window in map(int, sys.argv[1:] or WINDOWS):
            with (
                tempfile.TemporaryDirectory() as folder,
                databases.fresh(kind, Path(folder)) as url,
            ):
                share, per_second = measure(url, Path(folder), window)
                print(f"{kind:10} window {window:3}: {share:4.0%} of its limit, {per_second:.0f}/s")
    databases.remove_server()


if __name__ == "__main__":
    main()
