"""A carrier of each kind dies, and its queue goes over to the next."""

import asyncio
import contextlib
from collections import Counter

import pytest
from sqlalchemy import select
from support.in_process import accept
from support.upstreams import eventually
from support.ways import WAYS, WINDOW, RecordingSandbox

from sms_gateway.deliver.worker import Worker
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.sms.message import State
from sms_gateway.store import Store, tables

MESSAGES = 200
#: So many are taken before it dies.
BEFORE = 20


def digits(number: str) -> str:
    return "".join(sign for sign in number if sign.isdigit()).lstrip("0")


def states(store: Store) -> dict[str, str]:
    delivery = tables.delivery.c
    with store.read() as connection:
        rows = connection.execute(select(delivery.recipient, delivery.state))
        return {digits(recipient): state for recipient, state in rows}


class Reserve(RecordingSandbox):
    """A carrier that is there from a moment on: until then all waits for the first."""

    def __init__(self, name, **options):
        super().__init__(name, **options)
        self.opens = asyncio.Event()

    async def run(self, sink):
        await self.opens.wait()
        await super().run(sink)


@pytest.mark.once
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_the_queue_goes_over_with_nothing_lost_and_nothing_twice(way, store):
    numbers = [f"+3249400{number:04}" for number in range(1_000, 1_000 + MESSAGES)]
    await accept(store, [(number, "Hello") for number in numbers])
    following = Reserve("next", delay=0.02)
    async with way() as first:
        if first.gate is not None:
            # So that it does not take all of them before it dies.
            first.gate.lag = 0.005
        name = first.upstream.name
        routes = Routes([Route(prefix="", upstreams=(name, "next"), sender="Test")])
        upstreams = {name: first.upstream, "next": following}
        worker = Worker(store, upstreams, routes, failover_after=0.3, poll=0.01)
        running = asyncio.create_task(worker.run())
        try:
            await eventually(lambda: len(first.taken()) >= BEFORE)
            before = first.upstream.name, len(first.taken())
            first.die()
            following.opens.set()
            waiting = {State.QUEUED, State.SUBMITTING}
            await eventually(lambda: not waiting & set(states(store).values()))
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        copies = Counter(map(digits, (*first.taken(), *following.taken)))
    found = states(store)
    assert BEFORE <= before[1] < MESSAGES, before
    assert following.taken
    # Nothing twice.
    assert {number: times for number, times in copies.items() if times > 1} == {}
    # Nothing lost: what no carrier has is known to be uncertain, and no more than what was under
    # way when the carrier died.
    uncertain = {number for number, state in found.items() if state == State.UNCERTAIN}
    assert set(map(digits, numbers)) - set(copies) <= uncertain
    assert len(uncertain) <= WINDOW
    assert {state for number, state in found.items() if number not in uncertain} <= {
        State.SUBMITTED,
        State.DELIVERED,
    }
