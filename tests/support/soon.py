"""A gateway, or a deadline, whose messages are sent without a task where that is possible."""

import asyncio
from typing import Any

from sms_gateway.backend import Reply, Submission


class Soon:
    """The same backend, but for `sendsms`, which goes by `sendsms_soon` first."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def sendsms(self, submission: Submission) -> Reply:
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def tell(told: Reply) -> None:
            if not reply.done():  # by a caller that has given up
                reply.set_result(told)

        if self._backend.sendsms_soon(submission, tell):
            return await reply
        return await self._backend.sendsms(submission)
