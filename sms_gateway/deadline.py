"""A Backend that answers in time."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from .backend import Backend, Inbox, MessageStatus, Reply
from .codes import Code

_Answer = TypeVar("_Answer")


class Deadline:
    """Answers for a backend that takes too long: code 6, and the outcome is not known."""

    def __init__(self, backend: Backend, limit: timedelta) -> None:
        self._backend = backend
        self._seconds = limit.total_seconds()
        # One timer for all: those of `asyncio.timeout` cost as much as checking a request does.
        self._calls: dict[_Call, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def sendsms(
        self, recipients: str, message: str, apikey: str, *, idempotency_key: str = ""
    ) -> Coroutine[None, None, Reply]:
        """See `Backend.sendsms`."""
        return self._within(
            self._backend.sendsms(recipients, message, apikey, idempotency_key=idempotency_key),
            _TOO_LATE,
        )

    async def resendsms(self, apikey: str, id: str) -> Reply:
        """See `Backend.resendsms`."""
        return await self._within(self._backend.resendsms(apikey, id), _TOO_LATE)

    async def getsms(self, apikey: str, *, after: int = 0, limit: int = 100) -> Inbox:
        """See `Backend.getsms`."""
        received = self._backend.getsms(apikey, after=after, limit=limit)
        return await self._within(received, Inbox(_TOO_LATE))

    async def status(self, apikey: str, id: str) -> MessageStatus:
        """See `Backend.status`."""
        return await self._within(self._backend.status(apikey, id), MessageStatus(_TOO_LATE))

    async def deletesms(
        self, apikey: str, *, id: str | None = None, before: int | None = None
    ) -> Reply:
        """See `Backend.deletesms`."""
        deleted = self._backend.deletesms(apikey, id=id, before=before)
        return await self._within(deleted, _TOO_LATE)

    async def _within(self, work: Coroutine[None, None, _Answer], too_late: _Answer) -> _Answer:
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        call = _Call(task, loop.time() + self._seconds)
        self._calls[call] = None
        if self._timer is None:
            self._timer = loop.call_at(call.ends, self._end)
        try:
            return await work
        except asyncio.CancelledError:
            # Somebody else may want the task to end, too.
            if not call.ended or task.cancelling() > call.cancelling + 1:
                raise
            return too_late
        finally:
            self._calls.pop(call, None)
            if call.ended:
                task.uncancel()

    def _end(self) -> None:
        """End the calls whose time is over; they stand in the order in which that comes."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._calls:
            call = next(iter(self._calls))
            if call.ends > now:
                self._timer = asyncio.get_running_loop().call_at(call.ends, self._end)
                break
            del self._calls[call]
            call.ended = True
            call.task.cancel()


class _Call:
    """A call that is under way."""

    __slots__ = ("cancelling", "ended", "ends", "task")

    def __init__(self, task: asyncio.Task[Any], ends: float) -> None:
        self.task = task
        #: How often the task had been cancelled before.
        self.cancelling = task.cancelling()
        #: When its time is over, by the loop's clock.
        self.ends = ends
        self.ended = False


_TOO_LATE = Reply(Code.TIMED_OUT)
