"""What tests of upstreams need: a sink that remembers, deliveries, and a run that ends."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sms_gateway.sms.receipt import Receipt
from sms_gateway.sms.segments import count
from sms_gateway.upstream import Answer, Delivery, Incoming, Outcome, Upstream

_ids = itertools.count(1)


class RecordingSink:
    """Remembers what it is told, and can have its store away."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.receipts: list[Receipt] = []
        self.messages: list[Incoming] = []
        #: Receipts and messages are refused while this is set.
        self.is_down = False
        #: Receipts and messages wait while this is cleared.
        self.is_quick = asyncio.Event()
        self.is_quick.set()
        self.waiting = 0
        self._changed = asyncio.Event()

    def answered(self, answer: Answer) -> None:
        self.answers.append(answer)
        self._changed.set()

    async def received_receipt(self, receipt: Receipt) -> None:
        await self._store()
        self.receipts.append(receipt)
        self._changed.set()

    async def received_message(self, incoming: Incoming) -> None:
        await self._store()
        self.messages.append(incoming)
        self._changed.set()

    async def _store(self) -> None:
        self.waiting += 1
        self._changed.set()
        await self.is_quick.wait()
        self.waiting -= 1
        if self.is_down:
            raise OSError

    def of(self, delivery: Delivery) -> list[Answer]:
        """The answers for one delivery, in the order in which they came."""
        return [answer for answer in self.answers if answer.delivery_id == delivery.id]

    def outcomes(self, delivery: Delivery) -> list[Outcome]:
        return [answer.outcome for answer in self.of(delivery)]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Returns when something was told that makes the condition true."""
        async with asyncio.timeout(60):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def answers_to(self, delivery: Delivery, times: int = 1) -> list[Answer]:
        """The answers for one delivery once each of its parts has so many."""
        await self.until(lambda: len(self.of(delivery)) >= times * delivery.parts)
        return self.of(delivery)


def a_delivery(text: str = "Hello", **fields: Any) -> Delivery:
    """A delivery like no other, to a number of its own."""
    number = next(_ids)
    segments = count(text)
    given: dict[str, Any] = {
        "id": number,
        "message_id": f"{number:032x}",
        "sender": "Test",
        "recipient": f"+3249{number:07}",
        "text": text,
        "encoding": segments.encoding,
        "parts": segments.parts,
        "expires_at": int(time.time() * 1000) + 3_600_000,
    }
    return Delivery(**(given | fields))


@asynccontextmanager
async def running(upstream: Upstream, sink: RecordingSink) -> AsyncIterator[None]:
    """Runs an upstream; leaving stops it as a worker would."""
    run = asyncio.create_task(upstream.run(sink))
    try:
        yield
    finally:
        run.cancel()
        try:
            async with asyncio.timeout(60):
                await run
        except asyncio.CancelledError:
            pass


async def eventually(condition: Callable[[], Any]) -> None:
    """Returns when the condition is true; for what happens in another process."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def sent(upstream: Upstream, sink: RecordingSink, text: str) -> tuple[Outcome, str]:
    """What became of one message of one part, and why."""
    delivery = a_delivery(text)
    await upstream.ready()
    upstream.submit(delivery)
    answer = (await sink.answers_to(delivery))[0]
    return answer.outcome, answer.reason
