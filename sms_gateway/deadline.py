"""A Backend that answers in time."""

import asyncio
from datetime import timedelta

from .backend import Backend, Reply
from .codes import Code


class Deadline:
    """Answers for a backend that takes too long: code 6, and the outcome is not known."""

    def __init__(self, backend: Backend, limit: timedelta) -> None:
        self._backend = backend
        self._seconds = limit.total_seconds()

    async def sendsms(
        self, recipients: str, message: str, apikey: str, *, idempotency_key: str = ""
    ) -> Reply:
        """See `Backend.sendsms`."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._backend.sendsms(
                    recipients, message, apikey, idempotency_key=idempotency_key
                )
        except TimeoutError:
            return Reply(Code.TIMED_OUT)
