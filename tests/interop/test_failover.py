"""Two SMSCs behind one route: when one goes, its queue goes over to the other, and comes back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest
from sqlalchemy import func, select
from support import accounts as support
from support.clock import LoopClock
from support.relay_peer import peer
from support.smsc import Smsc, start_smsc

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.codes import Code
from sms_gateway.deliver.worker import Worker
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.sms.message import State
from sms_gateway.store import Store, history, tables
from sms_gateway.upstream import Upstream
from sms_gateway.upstream.http import HttpUpstream
from sms_gateway.upstream.relay import provider
from sms_gateway.upstream.smpp import SmppUpstream
from sms_gateway.upstream.smpp_options import options_from_url

# Its outcome does not hang on the version of Python.
pytestmark = pytest.mark.once

# No answer is too late, however busy the machine is.
QUICK = "reconnect_delay=0.05&reconnect_delay_max=0.1&locked_out_delay=0.1&response_timeout=600"


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Smsc]:
    (tmp_path / "first").mkdir()
    with start_smsc(tmp_path / "first") as started:
        yield started


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Smsc]:
    (tmp_path / "second").mkdir()
    with start_smsc(tmp_path / "second") as started:
        yield started


def smpp(name: str, smsc: Smsc, options: str = "") -> SmppUpstream:
    chosen = {**dict(parse_qsl(QUICK)), **dict(parse_qsl(options))}
    return SmppUpstream(name, options_from_url(f"{smsc.url}?{urlencode(chosen)}"))


class Sending:
    """A gateway and a running worker."""

    def __init__(self, store: Store, gateway: Gateway, key: str) -> None:
        self.store, self.gateway, self.key = store, gateway, key
        self.ids: list[str] = []

    async def send(self, *texts: str) -> None:
        for text in texts:
            reply = await self.gateway.sendsms(
                Submission(f"+32494{len(self.ids):06}", text, self.key)
            )
            assert reply.error is Code.SENT
            self.ids.append(reply.id)

    def states(self) -> Counter[str]:
        delivery = tables.delivery.c
        with self.store.read() as connection:
            rows = connection.execute(select(delivery.state, func.count()).group_by(delivery.state))
            return Counter({row[0]: row[1] for row in rows})

    def deliveries(self) -> list[history.DeliveryHistory]:
        with self.store.read() as connection:
            found = [history.of_message(connection, id) for id in self.ids]
        return [message.deliveries[0] for message in found if message is not None]

    async def until(self, **states: int) -> None:
        async with asyncio.timeout(60):
            while any(self.states()[state] != number for state, number in states.items()):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def sending(
    store: Store, route: Route, *upstreams: Upstream, grace: float = 0.3
) -> AsyncIterator[Sending]:
    routes = Routes([route])
    gateway = Gateway(store, routes)
    await gateway.start()
    key, _ = support.create(store, rate=None)
    worker = Worker(
        store, {each.name: each for each in upstreams}, routes, poll=0.01, failover_after=grace
    )
    task = asyncio.create_task(worker.run())
    try:
        yield Sending(store, gateway, key)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await gateway.aclose()


def route(**options) -> Route:
    return Route(prefix="", upstreams=("first", "second"), **options)


def texts(smsc: Smsc, accepted: bool = True) -> list[str]:
    return [entry["text"] for entry in smsc.submits() if not accepted or not entry["status"]]


async def test_the_first_takes_everything_while_it_works(store, first, second) -> None:
    ways = smpp("first", first), smpp("second", second)
    async with sending(store, route(), *ways, grace=30) as sent:
        await sent.send(*(f"message {n}" for n in range(20)))
        await sent.until(delivered=20)
    assert (len(texts(first)), len(texts(second))) == (20, 0)


async def test_the_queue_of_one_that_lets_nobody_in_goes_to_the_next_and_comes_back(
    store, first, second
) -> None:
    first.set(bind_status=0x0D)
    async with sending(store, route(), smpp("first", first), smpp("second", second)) as sent:
        await sent.send(*(f"message {n}" for n in range(20)))
        await sent.until(delivered=20)
        assert (len(texts(first)), len(texts(second))) == (0, 20)
        first.set(bind_status=0)
        # One message shows that it works again; then it has all of them.
        async with asyncio.timeout(60):
            while not texts(first):
                await sent.send("is it back?")
                await asyncio.sleep(0.1)
        await sent.until(delivered=len(sent.ids))
        before = len(texts(second))
        await sent.send(*(f"message {n}" for n in range(20, 40)))
        await sent.until(delivered=len(sent.ids))
        assert len(texts(second)) == before
    assert set(Counter(t for t in texts(first) + texts(second) if "back" not in t).values()) == {1}


async def test_the_queue_of_one_that_refuses_everything_for_now_goes_to_the_next(
    store, first, second
) -> None:
    first.set(magic="#system-error")
    async with sending(store, route(), smpp("first", first), smpp("second", second)) as sent:
        await sent.send(*(f"message {n}" for n in range(30)))
        await sent.until(delivered=30)
        journal = [step.event for step in sent.deliveries()[0].steps]
    assert texts(first) == []
    assert sorted(texts(second)) == sorted(f"message {n}" for n in range(30))
    assert journal.count("claimed") >= 2
    assert "put off" in journal


async def test_what_is_uncertain_stays_where_it_is_when_the_queue_goes_over(
    store, first, second
) -> None:
    # It takes everything and answers nothing, and sends no receipts either.
    first.set(magic="#silent #no-receipt")
    slow = smpp("first", first, "window=5&response_timeout=0.4")
    async with sending(store, route(), slow, smpp("second", second)) as sent:
        await sent.send(*(f"message {n}" for n in range(60)))
        async with asyncio.timeout(60):
            while (now := sent.states())["delivered"] + now["uncertain"] < 60:
                await asyncio.sleep(0.02)
        final = sent.states()
        held = {d.recipient for d in sent.deliveries() if d.state is State.UNCERTAIN}
    assert final["uncertain"] == len(texts(first)) == len(held)
    # Ten in a row, those under way meanwhile and a trial or two.
    assert 10 <= len(texts(first)) <= 25
    assert not set(texts(first)) & set(texts(second))
    assert sorted(texts(first) + texts(second)) == sorted(f"message {n}" for n in range(60))


async def test_weights_divide_a_route_and_the_one_that_is_left_over_takes_all(
    loop_clock: LoopClock, store, first, second
) -> None:
    shared = route(weights=(3, 1))
    ways = smpp("first", first), smpp("second", second)
    grace = 30
    async with sending(store, shared, *ways, grace=grace) as sent:
        async with asyncio.timeout(60):
            while not all(way.is_bound() for way in ways):
                await asyncio.sleep(0.01)
        await sent.send(*(f"message {n}" for n in range(40)))
        await sent.until(delivered=40)
        assert (len(texts(first)), len(texts(second))) == (30, 10)
        first.process.kill()
        async with asyncio.timeout(60):
            while ways[0].is_bound():
                await asyncio.sleep(0.01)
        # A moment, in which the worker may see it, and then the rest of the time that it waits.
        await asyncio.sleep(0.5)
        loop_clock.pass_(grace)
        await sent.send(*(f"message {n}" for n in range(40, 60)))
        await sent.until(delivered=60)
    assert len(texts(second)) == 10 + 20
    assert set(Counter(texts(first) + texts(second)).values()) == {1}


async def test_a_relay_stands_in_for_an_smsc_with_its_receipts(store, first) -> None:
    first.set(bind_status=0x0D)
    async with peer() as other:
        relay_url = f"{other.url}&receipts=1&poll_interval=0.05"
        relay = HttpUpstream("second", provider(relay_url))
        async with sending(store, route(), smpp("first", first), relay) as sent:
            await sent.send("short", "Long enough for three parts. " * 15)
            await sent.until(delivered=2)
            assert {d.upstream for d in sent.deliveries()} == {"second"}
    assert len(other.requests) == 2


async def test_messages_wait_while_a_relay_refuses_the_key(store) -> None:
    async with peer() as other:
        other.code = 50
        relay_url = f"{other.url}&locked_out_delay=0.2"
        relay = HttpUpstream("first", provider(relay_url))
        only = Route(prefix="", upstreams=("first",))
        async with sending(store, only, relay) as sent:
            await sent.send(*(f"message {n}" for n in range(5)))
            async with asyncio.timeout(60):
                while not other.requests:
                    await asyncio.sleep(0.01)
            waiting = sent.states()
            assert waiting["queued"] + waiting["submitting"] == 5
            other.code = 0
            await sent.until(submitted=5)


async def test_a_routes_rate_is_kept_over_all_its_upstreams(store, first, second) -> None:
    rate, count = 40, 100
    limited = route(weights=(1, 1), rate=rate)
    async with sending(store, limited, smpp("first", first), smpp("second", second)) as sent:
        await sent.send(*(f"message {n}" for n in range(count)))
        await sent.until(delivered=count)
    submits = [entry for smsc in (first, second) for entry in smsc.submits()]
    assert len(submits) == count
    # As the worker says: to a carrier on a busy machine they come in clumps.
    at = sorted(step.at for d in sent.deliveries() for step in d.steps if step.event == "claimed")
    # A quarter of a second's worth may go at once.
    assert at[-1] - at[0] >= (count / rate - 0.25) * 1_000 - 50
