"""A Backend that answers in time."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import TypeVar

from .backend import Backend, Inbox, MessageStatus, Reply
from .codes import Code

_Answer = TypeVar("_Answer")


class Deadline:
    """Answers for a backend that takes too long: code 6, and the outcome is not known."""

    def __init__(self, backend: Backend, limit: timedelta) -> None:
        self._backend = backend
        self._seconds = limit.total_seconds()

    async def sendsms(
        self, recipients: str, message: str, apikey: str, *, idempotency_key: str = ""
    ) -> Reply:
        """See `Backend.sendsms`."""
        return await self._within(
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
        try:
            async with asyncio.timeout(self._seconds):
                return await work
        except TimeoutError:
            return too_late


_TOO_LATE = Reply(Code.TIMED_OUT)
