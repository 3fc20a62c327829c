"""Keeps the time of the database in this process, for all that is compared with stored times.

Machines whose clocks differ would expire each other's messages, take each other for dead, and count
limits anew. So on PostgreSQL `moments.now` follows the database: its clock is read at the start and
each minute, and the time since this machine was started counts on from there. Neither a step of
this machine's clock nor a sleep changes that.

How far this machine's own clock is off:

 less than 1 s ──► nothing is said
 1 to 30 s     ──► the log says so, once and after each change
 more          ──► the process stands aside: one of the two machines is in trouble, and other things
                   go by its clock too (certificates, the times of a carrier)

SQLite is on the same machine, and has the same clock.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .. import moments
from ..errors import GatewayError
from ..log import log_error

if TYPE_CHECKING:
    from .engine import Store

log = logging.getLogger(__name__)

#: How far clocks may differ before it is logged, and before the process stands aside, seconds.
TOLD, WRONG = 1.0, 30.0
#: Seconds between two readings, between two looks whether this machine's clock was set, and after a
#: reading that failed.
EVERY, LOOK = 60.0, 1.0
# The best of so many readings is taken: the one with the shortest round trip.
_READINGS = 3
_SECOND = 1_000_000_000
_READ = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000"


class ClockError(GatewayError):
    """This process stands aside, as its clock is wrong."""


class Clock:
    """The time of one store."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        #: How far this machine's clock was ahead of the database's, seconds; None: not known yet.
        self.ahead: float | None = None
        #: `moments.machine_ahead` then: it changes when this machine's clock is set.
        self._machine = moments.machine_ahead()
        #: What was last logged.
        self._told = 0.0
        self._is_followed = False
        #: Set while this process stands aside, and while it does not.
        self._is_wrong, self._is_right = asyncio.Event(), asyncio.Event()

    @property
    def trouble(self) -> str:
        """Why this process stands aside, and what to do about it; empty if it does not."""
        if self.ahead is None or abs(self.ahead) <= WRONG:
            return ""
        way = "ahead of" if self.ahead > 0 else "behind"
        return (
            f"the clock of this machine is {abs(self.ahead):.0f} seconds {way} that of the "
            "database: set the one that is wrong (NTP), and this process goes on by itself"
        )

    def now(self) -> int:
        """As `moments.now`; ClockError while this process stands aside."""
        if self.trouble:
            raise ClockError
        return moments.now()

    def read(self) -> None:
        """Read the database's clock, and follow it. Raises the errors of the database."""
        if self._store.is_sqlite:
            return
        readings = []
        with self._store.engine.connect() as connection:
            for _ in range(_READINGS):
                began = moments.since_start()
                there = int(connection.exec_driver_sql(_READ).scalar_one())
                took = moments.since_start() - began
                # What the database said, it said in the middle of the round trip.
                readings.append((took, there - began - took // 2))
        _, ahead = min(readings)
        moments.follow(ahead)
        self._is_followed = True
        self._machine = moments.machine_ahead()
        self.ahead = (self._machine - ahead) / _SECOND
        self._tell(self.ahead)

    def _tell(self, ahead: float) -> None:
        """Log how far the clocks differ, if that has changed."""
        differs, differed = abs(ahead) > TOLD, abs(self._told) > TOLD
        if differs and abs(ahead - self._told) > TOLD:
            say = log.error if self.trouble else log.warning
            facts = {"ahead_seconds": round(ahead, 1)}
            say(self.trouble or "clock differs from the database's", extra=facts)
            self._told = ahead
        elif differed and not differs:
            log.info("clock agrees with the database's again")
            self._told = 0.0

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Read the clock now, each minute, and when this machine's clock was set."""
        if self._store.is_sqlite:
            yield
            return
        await self._read_again()
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def _keep(self) -> None:
        while True:
            read_at = moments.since_start()
            every = LOOK if self.ahead is None else EVERY
            while moments.since_start() - read_at < every * _SECOND:
                await asyncio.sleep(LOOK)
                if abs(moments.machine_ahead() - self._machine) > TOLD * _SECOND:
                    break
            await self._read_again()

    async def _read_again(self) -> None:
        try:
            await asyncio.to_thread(self.read)
        except Exception as error:
            # Nothing can be compared with its times either. What was read before still holds.
            log_error(log, "clock of the database not read", error)
        if self.trouble:
            self._is_right.clear()
            self._is_wrong.set()
        else:
            self._is_wrong.clear()
            self._is_right.set()

    async def until_right(self) -> None:
        """Wait until this process need not stand aside; within `kept`."""
        if not self._store.is_sqlite:
            await self._is_right.wait()

    async def until_wrong(self) -> None:
        """Wait until this process has to stand aside; within `kept`."""
        await self._is_wrong.wait()

    def close(self) -> None:
        """Follow this machine's own clock again."""
        if self._is_followed:
            moments.follow(None)
