"""A gate before a server: TCP that can be slow, cut off, or gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """What connects to its port reaches the server's."""

    def __init__(self, target: int) -> None:
        self.port = 0
        #: Seconds for which what goes to the server is held up.
        self.lag = 0.0
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Let connections in."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Cut all connections off."""
        for writer in self._writers:
            writer.transport.abort()

    def die(self) -> None:
        """Cut all connections off, and let none in any more."""
        assert self._server is not None
        self._server.close()
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, other = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers |= {writer, other}
            pumps = [
                asyncio.create_task(self._pump(reader, other, slow=True)),
                asyncio.create_task(self._pump(there, writer)),
            ]
            self._tasks |= set(pumps)
            await asyncio.wait(pumps)
            self._tasks -= set(pumps)
            self._writers -= {writer, other}
            other.transport.abort()
        writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if slow and self.lag:
                    await asyncio.sleep(self.lag)
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def _end(self) -> None:
        self.die()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def gate_to(port: int) -> AsyncIterator[Gate]:
    """An open gate to a port of this machine."""
    gate = Gate(port)
    await gate.open()
    try:
        yield gate
    finally:
        await gate._end()
