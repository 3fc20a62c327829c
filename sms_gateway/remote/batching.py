"""Calls that wait at the same time share one request, as messages share one commit."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from json.encoder import encode_basestring_ascii as quoted
from math import inf
from typing import Any, NamedTuple

from ..backend import Reply, Submission
from ..codes import Code

#: A JSON list of calls, as the server's `Accept-Post` names it.
MEDIA_TYPE = "application/vnd.sendsmsnow.calls+json"
#: The most calls of one request.
MOST_CALLS = 100
#: The most bytes of one request: what the short way of our own web server takes.
MOST_BYTES = 64 * 1024
#: Seconds that a call waits for the request before it, which may have got stuck.
PATIENCE = 0.05
#: Rounds of the event loop between the answer to a shared request and the next request, less than
#: a millisecond: who was answered in them may have called again. Otherwise one half of the clients
#: always waits for the other.
ROUNDS = 12


class Call(NamedTuple):
    """A submission, and the key under which it may be repeated."""

    submission: Submission
    #: That of the submission as a header may carry it, or one of ours.
    key: str
    #: When it is to have its reply, by the loop's clock.
    deadline: float

    def as_json(self) -> str:
        # In a sixth of the time of json.dumps.
        sent = self.submission
        more = ""
        if sent.sender or sent.reference:
            more = f',"sender":{quoted(sent.sender)},"reference":{quoted(sent.reference)}'
        return (
            f'{{"recipients":{quoted(sent.recipients)},"message":{quoted(sent.message)},'
            f'"apikey":{quoted(sent.apikey)},"idempotency_key":{quoted(self.key)}{more}}}'
        )


class BatchedCalls:
    """Sends calls, one after the other or many in one request.

    A single call is sent at once: nobody waits for company. What comes while a request is under
    way shares the next, which is sent when that one is answered, or it is full, or PATIENCE is
    over.
    """

    def __init__(
        self,
        alone: Callable[[Call], Awaitable[Reply]],
        together: Callable[[int, bytes, float], Awaitable[Sequence[Reply | None]]],
    ) -> None:
        """`alone` sends a call; `together` sends a body of so many until a deadline, and has a
        reply for each, or None for those that are to be sent alone. Neither raises.
        """
        self._alone = alone
        self._together = together
        #: Whether the server takes calls together; until then each is sent by itself.
        self.is_possible = False
        #: The request that was sent last, until it is answered.
        self._latest: object = None
        #: When nobody waits for it any more, by the loop's clock.
        self._waited_for = 0.0
        self._waiting: dict[_Place, Call] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, call: Call) -> Reply:
        """The reply to a call; what shares a request has its reply when the first of them is to
        have it."""
        if self.may_share():
            reply = await self._in_company(call)
            if reply is not None:
                return reply
        return await self._by_itself(call)

    def share(self, call: Call, then: Callable[[Reply], None]) -> None:
        """Send a call in company, while that `may_share`, and call `then` with the reply."""
        self._join(_Promise(self, call, then), call)

    def may_share(self) -> bool:
        """Whether a request is under way that is worth waiting for, and the next may be shared."""
        return self.is_possible and self._latest is not None and self.now() < self._waited_for

    def now(self) -> float:
        """The time by the loop's clock."""
        # To ask for the loop is a call of the system, for each message, up to Python 3.11.
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop.time()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do work in a task that `aclose` ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _by_itself(self, call: Call) -> Reply:
        latest = self._sent()
        try:
            return await self._alone(call)
        finally:
            self._answered(latest)

    async def aclose(self) -> None:
        """Give up what is under way; it is answered with code 6, as it may have arrived."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _in_company(self, call: Call) -> Reply | None:
        place: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self._join(place, call)
        try:
            return await place
        finally:
            self._waiting.pop(place, None)

    def _join(self, place: "_Place", call: Call) -> None:
        self._waiting[place] = call
        if len(self._waiting) >= MOST_CALLS:
            self._send_next()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._waited_for, self._send_next)

    async def tell(self, call: Call, then: Callable[[Reply], None]) -> None:
        """Send a call by itself, and call `then` with the reply."""
        then(await self._by_itself(call))

    def _sent(self) -> object:
        self._latest = latest = object()
        self._waited_for = self.now() + PATIENCE
        return latest

    def _answered(self, latest: object) -> None:
        if latest is self._latest:
            self._latest = None
            self._send_next()

    def _send_next(self) -> None:
        """Send what waits, as much of it as goes into one request."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        places, body, deadline = self._take()
        if len(places) == 1:
            places[0].set_result(None)
        elif places:
            self.begin(self._send(self._sent(), places, body, deadline))
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._waited_for, self._send_next)

    def _take(self) -> "tuple[list[_Place], bytes, float]":
        """The calls of the next request, its body, and the first one's deadline."""
        places: list[_Place] = []
        written: list[str] = []
        size, deadline, now = 1, inf, self.now()
        while self._waiting and len(places) < MOST_CALLS:
            place, call = next(iter(self._waiting.items()))
            text = call.as_json()
            size += len(text) + 1
            if places and size > MOST_BYTES:
                break
            del self._waiting[place]
            if place.done():  # by a caller that has given up
                continue
            if call.deadline <= now:
                place.set_result(Reply(Code.INTERNAL))  # nothing of it was written
            else:
                places.append(place)
                written.append(text)
                deadline = min(deadline, call.deadline)
        return places, f"[{','.join(written)}]".encode("ascii"), deadline

    async def _send(
        self, latest: object, places: "Sequence[_Place]", body: bytes, deadline: float
    ) -> None:
        replies: Sequence[Reply | None] = [Reply(Code.TIMED_OUT)] * len(places)
        try:
            replies = await self._together(len(places), body, deadline)
        finally:
            for place, reply in zip(places, replies, strict=True):
                if not place.done():
                    place.set_result(reply)
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            self._answered(latest)


class _Promise:
    """The place of a call for whose reply nobody waits in a task."""

    __slots__ = ("call", "calls", "then")

    def __init__(self, calls: BatchedCalls, call: Call, then: Callable[[Reply], None]) -> None:
        self.calls = calls
        self.call = call
        self.then = then

    def done(self) -> bool:
        """Nobody gives it up."""
        return False

    def set_result(self, reply: Reply | None) -> None:
        if reply is not None:
            self.then(reply)
        else:
            self.calls.begin(self.calls.tell(self.call, self.then))


#: Takes the reply to a call, or None: it is to be sent by itself.
_Place = asyncio.Future[Reply | None] | _Promise
