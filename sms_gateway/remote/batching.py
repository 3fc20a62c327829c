"""Batches calls: calls that wait at the same time share one request."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from json.encoder import encode_basestring_ascii as quoted
from math import inf
from typing import Any, NamedTuple

from ..backend import OnReply, Reply, Submission
from ..codes import Code

#: The media type of a JSON list of calls, named in the server's `Accept-Post`.
MEDIA_TYPE = "application/vnd.sendsmsnow.calls+json"
#: The most calls of one request.
MOST_CALLS = 100
#: The most bytes of one request: the limit for express at our own web server.
MOST_BYTES = 64 * 1024
#: Seconds that a call waits for the answer to the request before it, which may be stuck.
PATIENCE = 0.05
#: Rounds of the event loop between the answer to a shared request and the next request; less than a
#: millisecond. They give clients that were just answered a chance to join this batch; without them
#: the clients split into two halves that alternate.
ROUNDS = 12


class Call(NamedTuple):
    """A submission, and the idempotency key under which it may be repeated."""

    submission: Submission
    #: The submission's own key in a form that a header may carry, or one of ours.
    key: str
    #: When the caller has to have the reply, by the loop's clock.
    deadline: float

    def as_json(self) -> str:
        # This takes a sixth of the time of json.dumps.
        sent = self.submission
        more = ""
        if sent.sender or sent.reference:
            more = f',"sender":{quoted(sent.sender)},"reference":{quoted(sent.reference)}'
        return (
            f'{{"recipients":{quoted(sent.recipients)},"message":{quoted(sent.message)},'
            f'"apikey":{quoted(sent.apikey)},"idempotency_key":{quoted(self.key)}{more}}}'
        )


#: A call that waits for the next batch, and the callback that takes its reply.
_Waiting = tuple[Call, OnReply]


class BatchedCalls:
    """Sends calls, one by one or many in one request.

    Without a request under way, a call is sent at once. Calls that come while a request is under
    way share the next. The next is sent when the one before is answered, or the batch is full, or
    PATIENCE is over.
    """

    def __init__(
        self,
        alone: Callable[[Call], Awaitable[Reply]],
        together: Callable[[int, bytes, float], Awaitable[Sequence[Reply | None]]],
    ) -> None:
        """`alone` sends a call. `together` takes the number of calls, their body and a deadline; it
        returns a reply for each call, or None where the call has to be sent alone. Neither raises.
        """
        self._alone = alone
        self._together = together
        #: Whether the server takes batches; otherwise each call is sent alone.
        self.is_possible = False
        #: The latest request, until it is answered.
        self._latest: object = None
        #: When calls stop waiting for its answer, by the loop's clock.
        self._waited_for = 0.0
        self._waiting: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, call: Call, on_reply: OnReply) -> None:
        """Send a call, and call `on_reply` with its reply.

        The earliest deadline in a batch is the deadline of the whole batch.
        """
        # A request is under way that is worth waiting for, and the server takes batches. The header
        # of a relayed call would be for all calls of a batch.
        is_worth_it = self._latest is not None and self.now() < self._waited_for
        if self.is_possible and is_worth_it and not call.submission.hops:
            self._waiting.append((call, on_reply))
            if len(self._waiting) >= MOST_CALLS:
                self._send_next()
            elif self._timer is None:
                self._set_timer()
        else:
            self._begin(self._send_alone(self._sent(), call, on_reply))

    def now(self) -> float:
        """The time by the loop's clock."""
        # Up to Python 3.11 get_running_loop makes a system call, here for each message.
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop.time()

    async def aclose(self) -> None:
        """Give up all calls.

        Calls under way get code 6, as they may have arrived; waiting calls get code 30.
        """
        while self._waiting:
            _, on_reply = self._waiting.popleft()
            on_reply(Reply(Code.INTERNAL))
        await asyncio.sleep(0)  # a task that is cancelled before it began would give no reply
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_alone(self, latest: object, call: Call, on_reply: OnReply) -> None:
        reply = Reply(Code.TIMED_OUT)
        try:
            reply = await self._alone(call)
        finally:
            self._answered(latest)
            on_reply(reply)

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_at(self._waited_for, self._send_next)

    def _sent(self) -> object:
        self._latest = latest = object()
        self._waited_for = self.now() + PATIENCE
        return latest

    def _answered(self, latest: object) -> None:
        if latest is self._latest:
            self._latest = None
            self._send_next()

    def _send_next(self) -> None:
        """Send the waiting calls, as many as go into one request."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        taken, body, deadline = self._take()
        if len(taken) == 1:
            ((call, on_reply),) = taken
            self._begin(self._send_alone(self._sent(), call, on_reply))
        elif taken:
            self._begin(self._send_together(self._sent(), taken, body, deadline))
        if self._waiting:
            self._set_timer()

    def _take(self) -> tuple[list[_Waiting], bytes, float]:
        """The calls of the next request, its body, and the earliest of their deadlines."""
        taken: list[_Waiting] = []
        written: list[str] = []
        size, deadline, now = 1, inf, self.now()
        while self._waiting and len(taken) < MOST_CALLS:
            call, on_reply = self._waiting[0]
            text = call.as_json()
            size += len(text) + 1
            if taken and size > MOST_BYTES:
                break
            self._waiting.popleft()
            if call.deadline <= now:
                on_reply(Reply(Code.INTERNAL))  # the call was never sent
            else:
                taken.append((call, on_reply))
                written.append(text)
                deadline = min(deadline, call.deadline)
        return taken, f"[{','.join(written)}]".encode("ascii"), deadline

    async def _send_together(
        self, latest: object, taken: Sequence[_Waiting], body: bytes, deadline: float
    ) -> None:
        replies: Sequence[Reply | None] = [Reply(Code.TIMED_OUT)] * len(taken)
        try:
            replies = await self._together(len(taken), body, deadline)
        finally:
            for (call, on_reply), reply in zip(taken, replies, strict=True):
                if reply is not None:
                    on_reply(reply)
                else:
                    self._begin(self._send_alone(self._sent(), call, on_reply))
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            self._answered(latest)
