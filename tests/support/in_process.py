"""Gateway and worker in the test's own process, for what needs neither web nor kills."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.deliver.worker import Worker
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.store import Store
from sms_gateway.upstream.smpp import SmppUpstream
from sms_gateway.upstream.smpp_options import options_from_url

from . import accounts, queued

ROUTES = Routes([Route(prefix="", upstreams=("carrier",))])
#: How many requests wait for a commit at a time.
_AT_ONCE = 500


async def accept(store: Store, messages: Iterable[tuple[str, str]], *, name: str = "acme") -> None:
    """Accept (recipient, text) pairs, all of which have to be acceptable."""
    key, _ = accounts.create(store, name=name, rate=None)
    gateway = Gateway(store, ROUTES)
    await gateway.start()
    work = iter(messages)

    async def client() -> None:
        for recipient, text in work:
            reply = await gateway.sendsms(Submission(recipient, text, key))
            assert reply.error == 0, reply

    await asyncio.gather(*(client() for _ in range(_AT_ONCE)))
    await gateway.aclose()


@contextlib.asynccontextmanager
async def working(store: Store, url: str) -> AsyncIterator[None]:
    """A worker with one carrier at this URL."""
    carrier = SmppUpstream("carrier", options_from_url(url))
    task = asyncio.create_task(Worker(store, {"carrier": carrier}, ROUTES).run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def states(store: Store) -> Counter[str]:
    """How many deliveries are in which state."""
    with store.read() as connection:
        return Counter(queued.states(connection))
