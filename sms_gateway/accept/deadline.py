"""A Backend that answers in time."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from ..backend import Backend, Inbox, MessageStatus, Reply, SendSoon, Submission, never_soon
from ..codes import Code

_Answer = TypeVar("_Answer")


class Deadline:
    """Answers for a backend that takes too long: code 6, and the outcome is not known."""

    def __init__(
        self, backend: Backend, limit: timedelta, *, send_soon: SendSoon = never_soon
    ) -> None:
        self._backend = backend
        self._send_soon = send_soon
        self._seconds = limit.total_seconds()
        self._loop: asyncio.AbstractEventLoop | None = None
        # One timer for all: those of `asyncio.timeout` cost as much as checking a request does.
        self._calls: _Calls = {}
        self._timer: asyncio.TimerHandle | None = None

    def sendsms(self, submission: Submission) -> Coroutine[None, None, Reply]:
        """See `Backend.sendsms`."""
        return self._within(self._backend.sendsms(submission), _TOO_LATE)

    def sendsms_soon(self, submission: Submission, then: Callable[[Reply], None]) -> bool:
        """See `SendSoon`."""
        call = _Promise(then, self._calls)
        self._begin(call)
        if self._send_soon(submission, call.keep):
            return True
        del self._calls[call]
        return False

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
        call = _Wait(task)
        self._begin(call)
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

    def _begin(self, call: "_Wait | _Promise") -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._calls[call] = ends = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(ends, self._end)

    def _end(self) -> None:
        """End the calls whose time is over; they stand in the order in which that comes."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._calls:
            call, ends = next(iter(self._calls.items()))
            if ends > now:
                self._timer = asyncio.get_running_loop().call_at(ends, self._end)
                break
            del self._calls[call]
            call.end()


class _Wait:
    """A task that waits for its answer."""

    __slots__ = ("cancelling", "ended", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        #: How often the task had been cancelled before.
        self.cancelling = task.cancelling()
        self.ended = False

    def end(self) -> None:
        self.ended = True
        self.task.cancel()


class _Promise:
    """A reply that somebody is to be called with."""

    __slots__ = ("calls", "then")

    def __init__(self, then: Callable[[Reply], None], calls: "_Calls") -> None:
        self.then = then
        self.calls = calls

    def keep(self, reply: Reply) -> None:
        """The reply is here, and too late when the call has ended."""
        if self in self.calls:
            del self.calls[self]
            self.then(reply)

    def end(self) -> None:
        self.then(_TOO_LATE)


#: The calls that are under way, and when their time is over, by the loop's clock.
_Calls = dict[_Wait | _Promise, float]

_TOO_LATE = Reply(Code.TIMED_OUT)
