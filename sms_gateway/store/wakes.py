"""Wakes idle workers when there is something to do: at once, where they can be told.

 web, mail, commands                                      worker
 ring in a transaction ──COMMIT──► PostgreSQL: NOTIFY ──► Waiter.wait returns
                          └──────► SQLite: a datagram ──►

Who waits is told only while they wait: a busy worker looks for more by itself. So on PostgreSQL a
waiting worker holds an advisory lock, which a ring looks at before it notifies: a transaction with
NOTIFY holds up the commits of others that have one. Whoever cannot be told, such as a second worker
on SQLite or one behind PgBouncer, looks for work after `poll` seconds.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection

from ..backoff import spread
from ..log import error_facts
from .bulk import later

if TYPE_CHECKING:
    from .engine import Store

log = logging.getLogger(__name__)


class Topic(StrEnum):
    """What there is to do."""

    QUEUE = "queue"
    EVENT = "event"


# Arbitrary, but equal in all processes; the second number of a lock is that of the topic.
_LOCK = 7_353_769
_LOCKS = {topic: number for number, topic in enumerate(Topic, start=1)}
_CHANNEL = "sendsmsnow"
#: What the name of the socket adds to that of the SQLite file.
_SUFFIX = ".wake"
# To hold the lock alone, for a moment, is to know that nobody waits. CASE keeps the order.
_NOTIFY = {
    topic: f"""
        SELECT pg_notify('{_CHANNEL}', '{topic}') WHERE CASE
        WHEN pg_try_advisory_lock({_LOCK}, {number}) THEN NOT pg_advisory_unlock({_LOCK}, {number})
        ELSE true END
    """
    for topic, number in _LOCKS.items()
}
#: Seconds until listening is tried again.
_AGAIN = 5.0
#: A wait is announced when it is as long as this: until then a worker looks again soon. Seconds.
_ANNOUNCED = 0.03
#: The first pause of a worker that finds nothing, and the longest of one that can be woken.
_FIRST, _LONGEST = 0.01, 1.0


def ring(connection: Connection, topic: Topic) -> None:
    """Wake the workers when this transaction is committed."""
    bell = connection.info.get("bell")
    if bell is None:
        later(connection, _NOTIFY[topic], ())
    else:
        bell.topics.add(topic)


class Bell:
    """Tells the worker that listens at a SQLite file what a connection has committed."""

    def __init__(self, file: Path) -> None:
        self._address = _address(file)
        self._socket: socket.socket | None = None
        self.topics: set[Topic] = set()

    def committed(self) -> None:
        """Tell what was rung."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        for topic in self.topics:
            with suppress(OSError):  # nobody listens, or has been told often enough
                self._socket.sendto(topic.encode(), self._address)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


@contextmanager
def rung(connection: Connection) -> Iterator[None]:
    """Tell what is rung in the block, a transaction, when it ends without an error."""
    bell = connection.info.get("bell")
    if bell is None:
        yield
        return
    try:
        yield
        if bell.topics:
            bell.committed()
    finally:
        if bell.topics:
            bell.topics.clear()


def _address(file: Path) -> str:
    return f"{file}{_SUFFIX}"


class Waiter:
    """One who waits for something to do: looks, waits, looks again."""

    def __init__(self, wakes: "Wakes", topic: Topic) -> None:
        self._wakes = wakes
        self.topic = topic
        self._is_woken = asyncio.Event()
        self._pause = _FIRST

    def looking(self) -> None:
        """It looks for work now: what it was woken for until now it will find."""
        self._is_woken.clear()

    def found(self) -> None:
        """There was some: the next time it waits, it waits shortly at first."""
        self._pause = _FIRST

    async def wait(self) -> None:
        """Wait until woken, for longer each time: a worker looks again by itself."""
        pause = min(self._pause, self._wakes.longest)
        self._pause = min(self._pause * 2, _LONGEST)
        if pause >= _ANNOUNCED:
            self._wakes.announce(self.topic)
        try:
            async with asyncio.timeout(pause):
                await self._is_woken.wait()
            self._pause = _FIRST
        except TimeoutError:
            pass

    def wake(self) -> None:
        """There is something to do."""
        self._is_woken.set()


class _Ear(Protocol):
    """How a worker is told."""

    def announce(self, topic: Topic) -> None:
        """Somebody waits, until the topic is rung."""
        ...

    async def run(self) -> None:
        """Listen until cancelled."""
        ...


class Wakes:
    """Wakes the waiters of one worker process; `run` it beside them."""

    def __init__(self, store: "Store", *, poll: float) -> None:
        """`poll` (seconds): the longest pause of those who cannot be woken."""
        self._poll = poll
        self._waiters: list[Waiter] = []
        #: Whether rings are heard.
        self.is_heard = False
        self._ear: _Ear
        if store.file is not None:
            self._ear = _DatagramEar(self, store.file)
        else:
            self._ear = _NotificationEar(self, store)

    @property
    def longest(self) -> float:
        """The longest pause between two looks, seconds."""
        return _LONGEST if self.is_heard else self._poll

    def waiter(self, topic: Topic) -> Waiter:
        """A new waiter."""
        made = Waiter(self, topic)
        self._waiters.append(made)
        return made

    def announce(self, topic: Topic) -> None:
        """Somebody waits: from now on it is told of the topic."""
        self._ear.announce(topic)

    def wake(self, topic: Topic) -> None:
        """Wake all who wait for a topic."""
        for waiter in self._waiters:
            if waiter.topic is topic:
                waiter.wake()

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._ear.run()


class _DatagramEar:
    """Listens at a socket beside the SQLite file; one worker of those at the file."""

    def __init__(self, wakes: Wakes, file: Path) -> None:
        self._wakes = wakes
        self._address = _address(file)
        self._socket: socket.socket | None = None
        self._is_listening = False

    def announce(self, topic: Topic) -> None:
        if self._socket is not None and not self._is_listening:
            self._is_listening = True
            asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def _hear(self) -> None:
        assert self._socket is not None
        with suppress(BlockingIOError):
            while True:
                topic = Topic(self._socket.recv(16).decode())
                self._wakes.wake(topic)
        # Until somebody waits again.
        self._is_listening = False
        asyncio.get_running_loop().remove_reader(self._socket)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.setblocking(False)
            try:
                _bind(ear, self._address)
            except OSError as error:
                log.info("not told of work, so looks for it", extra=error_facts(error))
                await asyncio.Event().wait()
            self._socket = ear
            self._wakes.is_heard = True
            try:
                await asyncio.Event().wait()
            finally:
                self._wakes.is_heard = False
                self._socket = None
                loop.remove_reader(ear)
                with suppress(OSError):
                    os.unlink(self._address)


def _bind(ear: socket.socket, address: str) -> None:
    """Bind a socket; OSError when another process listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)
        except FileNotFoundError:
            pass
        except ConnectionRefusedError:
            os.unlink(address)  # of a process that was killed
        else:
            raise OSError("another worker listens")
    before = os.umask(0o177)
    try:
        ear.bind(address)
    finally:
        os.umask(before)
    # Whoever may write the file may tell of it.
    os.chmod(address, os.stat(address.removesuffix(_SUFFIX)).st_mode & 0o666)


class _NotificationEar:
    """Listens for notifications of PostgreSQL, by a connection of its own.

    Its statements are sent and their results read as the event loop finds time, so that a database
    that vanishes blocks nobody.
    """

    def __init__(self, wakes: Wakes, store: "Store") -> None:
        self._wakes = wakes
        self._store = store
        self._connection: Any = None
        self._lost: asyncio.Future[None] | None = None
        # The topics for which a lock should be held, and is.
        self._wanted: set[Topic] = set()
        self._held: set[Topic] = set()
        #: What the statement that was sent does: lock (True) or unlock a topic.
        self._sent: tuple[bool, Topic] | None = None

    def announce(self, topic: Topic) -> None:
        self._wanted.add(topic)
        self._send()

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:
                log.warning("not told of work, so looks for it", extra=error_facts(error))
            finally:
                self._wakes.is_heard = False
            await asyncio.sleep(spread(_AGAIN))

    async def _listen(self) -> None:
        """Listen until the connection is lost."""
        loop = asyncio.get_running_loop()
        connection = await asyncio.to_thread(self._connected)
        if connection is None:
            log.info("the database passes no notifications on: looks for work")
            await asyncio.Event().wait()
        self._held.clear()
        self._wanted.clear()
        self._sent = None
        lost = self._lost = loop.create_future()
        descriptor = connection.pgconn.socket
        loop.add_reader(descriptor, self._hear)
        self._connection = connection
        self._wakes.is_heard = True
        try:
            await lost
        finally:
            self._connection = None
            loop.remove_reader(descriptor)
            connection.close()

    def _connected(self) -> Any:
        """A connection that listens; None behind a pooler, which passes no notifications on."""
        pooled = self._store.engine.raw_connection()
        connection: Any = pooled.driver_connection
        if not pooled.info["is_direct"]:
            pooled.close()
            return None
        pooled.detach()
        connection.autocommit = True
        connection.execute(f"LISTEN {_CHANNEL}")
        return connection

    def _send(self) -> None:
        """Lock or unlock the next topic, if no other statement is under way."""
        if self._connection is None or self._sent is not None:
            return
        topic = next(iter(self._wanted ^ self._held), None)
        if topic is None:
            return
        locks = topic in self._wanted
        function = "pg_advisory_lock_shared" if locks else "pg_advisory_unlock_shared"
        self._sent = locks, topic
        try:
            statement = f"SELECT {function}({_LOCK}, {_LOCKS[topic]})"
            self._connection.pgconn.send_query(statement.encode())
        except Exception as error:
            self._end(error)

    def _hear(self) -> None:
        pgconn = self._connection.pgconn
        try:
            pgconn.consume_input()
            while not pgconn.is_busy() and pgconn.get_result() is not None:
                pass
            notifications = list(iter(pgconn.notifies, None))
        except Exception as error:
            self._end(error)
            return
        if self._sent is not None and not pgconn.is_busy():
            locked, topic = self._sent
            self._sent = None
            if locked:
                self._held.add(topic)
                # What was committed before the lock was held nobody has told.
                self._told(topic)
            else:
                self._held.discard(topic)
        for topic in {each.extra.decode() for each in notifications} & set(Topic):
            self._wanted.discard(Topic(topic))
            self._told(Topic(topic))
        self._send()

    def _told(self, topic: Topic) -> None:
        self._wakes.wake(topic)

    def _end(self, error: Exception) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_exception(error)
