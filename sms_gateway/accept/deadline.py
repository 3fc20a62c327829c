"""Answers in time for a backend that takes too long.

Each submission is answered once, by the backend or by the clock:

 submit ──► waiting ──the backend replies──► replied
               │
               └──────its time is over─────► replied with code 6 ──the backend replies──► (dropped)

One timer serves all submissions. They wait in the order of their deadlines, so the timer is always
set for the first.
"""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, TypeVar

from ..backend import Backend, Inbox, MessageStatus, OnReply, Reply, Submission
from ..codes import Code

_Answer = TypeVar("_Answer")


class Deadline(Backend):
    """Answers for a backend that takes too long: code 6, and the outcome is not known."""

    def __init__(self, backend: Backend, limit: timedelta) -> None:
        self._backend = backend
        self._seconds = limit.total_seconds()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers = count()
        #: The waiting submissions, by number: callback, and deadline by the clock of the loop.
        self._waiting: dict[int, tuple[OnReply, float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, submission: Submission, on_reply: OnReply) -> None:
        """See `Backend.submit`."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        number = next(self._numbers)
        ends = loop.time() + self._seconds
        self._waiting[number] = on_reply, ends
        if self._timer is None:
            self._timer = loop.call_at(ends, self._end)
        self._backend.submit(submission, partial(self._reply, number))

    def _reply(self, number: int, reply: Reply) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            on_reply, _ = waiting
            on_reply(reply)

    def _end(self) -> None:
        """Answer the submissions whose time is over."""
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waiting:
            number, (_, ends) = next(iter(self._waiting.items()))
            if ends > now:
                self._timer = loop.call_at(ends, self._end)
                break
            self._reply(number, _TOO_LATE)

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

    async def _within(self, work: Coroutine[Any, Any, _Answer], too_late: _Answer) -> _Answer:
        try:
            async with asyncio.timeout(self._seconds):
                return await work
        except TimeoutError:
            return too_late


_TOO_LATE = Reply(Code.TIMED_OUT)
