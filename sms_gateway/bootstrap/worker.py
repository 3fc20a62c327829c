"""Builds the worker that hands messages to the upstreams."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from ..callbacks.networks import networks, ports
from ..callbacks.operator import OperatorTeller
from ..callbacks.sender import Push
from ..deliver.retention import keep_house, keep_trail
from ..deliver.worker import Worker
from ..settings import Settings, milliseconds
from ..signup.confirmation_mails import Postman, Relay
from ..sms.stop_words import StopWords
from ..store import Store
from ..store.wakes import Topic, Wakes
from .upstreams import routes, upstreams


async def work(settings: Settings, store: Store) -> None:
    """Work until cancelled, and stand aside while this machine's clock is wrong.

    A worker that stands aside has stopped cleanly: it is unbound from its carriers, has written
    down what they answered, and holds no claims.
    """
    async with store.clock.kept():
        while True:
            await store.clock.until_right()
            working = asyncio.create_task(make_worker(settings, store).run())
            wrong = asyncio.create_task(store.clock.until_wrong())
            try:
                await asyncio.wait({working, wrong}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                wrong.cancel()
                working.cancel()
                await asyncio.wait({working})
            if not working.cancelled():
                working.result()


def make_worker(settings: Settings, store: Store) -> Worker:
    """The worker that hands messages to the upstreams; `run` it."""
    trail = milliseconds(timedelta(days=settings.audit_days))
    allowed = networks(settings.callback_allow_private)
    to_ports = ports(settings.callback_ports)
    callback = settings.operator_callback
    url = None if callback is None else callback.get_secret_value()
    wakes = Wakes(store, poll=settings.poll_interval.total_seconds())
    aside: list[Callable[[], Awaitable[None]]] = [
        partial(keep_house, store, settings.history_days),
        partial(keep_trail, store, trail),
        Push(store, allowed=allowed, ports=to_ports, waiter=wakes.waiter(Topic.EVENT)).run,
        OperatorTeller(store, url, allowed=allowed, ports=to_ports).run,
    ]
    if settings.smtp_relay is not None:
        postman = Postman(
            store,
            Relay.from_url(settings.smtp_relay.get_secret_value()),
            sender=settings.mail_from or "",
            public_url=settings.external_url(),
            fold_plus=settings.free_key_fold_plus,
        )
        aside.append(postman.run)
    return Worker(
        store,
        upstreams(settings),
        routes(settings),
        lease=milliseconds(settings.lease),
        wakes=wakes,
        failover_after=settings.failover_after.total_seconds(),
        stop_words=StopWords(settings.stop_words, settings.start_words),
        aside=aside,
    )
