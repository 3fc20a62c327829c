"""Events: written with what they tell of, sent to real receivers until they are taken."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select
from standardwebhooks import Webhook
from support import accounts as support
from support import queued
from support.forgetting import forget

from sms_gateway.accounts import Account
from sms_gateway.callbacks.networks import networks
from sms_gateway.callbacks.sender import PAUSES, Push
from sms_gateway.callbacks.signature import new_secret
from sms_gateway.deliver.feeder import settle
from sms_gateway.deliver.ledger import Beat, Claim, Ledger, MessageCame, ReceiptCame
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.sms.message import State
from sms_gateway.sms.receipt import Receipt
from sms_gateway.store import Store, accounts, events, inbox, tables, workers
from sms_gateway.upstream import Answer, Incoming, Outcome

pytestmark = pytest.mark.encrypted_too

HERE = networks("127.0.0.0/8")
NUMBER = "+32494000000"


class Receiver:
    """A customer's server, on aiohttp's."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = new_secret()
        #: What it answers, the last one again and again.
        self.statuses = [204]
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.asked = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        event = Webhook(self.secret).verify(body, dict(request.headers))
        self.got.append((request.headers["webhook-id"], event))
        self.asked.set()
        status = self.statuses[0] if len(self.statuses) == 1 else self.statuses.pop(0)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    def types(self) -> list[str]:
        return [event["type"] for _, event in self.got]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    started = Receiver()
    app = web.Application()
    app.router.add_post("/hook", started.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    started.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield started
    await runner.cleanup()


class Books:
    """A store, a worker's ledger, and an account with a callback."""

    def __init__(self, store: Store, receiver: Receiver) -> None:
        self.store = store
        _, self.account = support.create(
            store, callback_url=receiver.url, callback_secret=receiver.secret
        )
        with store.write() as connection:
            worker = workers.enroll(connection, now=now(), lease=60_000)
            inbox.assign(connection, "8000", self.account.id, 0)
        self.ledger = Ledger(
            Routes([Route(prefix="", upstreams=("a",))]), worker=worker, lease=60_000
        )
        self.write(Beat(now=now()))

    def write(self, *written: Any) -> Any:
        with self.store.write() as connection:
            return self.ledger.apply(connection, written)[-1]

    def accept(self, account: Account | None = None) -> str:
        account_id = (account or self.account).id
        with self.store.write() as connection:
            return queued.accept(connection, account_id, NUMBER, lane="a", at=now())

    def deliver(self, account: Account | None = None) -> str:
        """Accept, submit and have a receipt for a message."""
        id = self.accept(account)
        for delivery in self.write(Claim(upstream="a", parts=10, now=now())):
            name = f"x{delivery.id}"
            answer = Answer(delivery_id=delivery.id, part=1, outcome=Outcome.ACCEPTED, smsc_id=name)
            self.write(settle(delivery, [answer], upstream="a", resend=False, now=now()))
            receipt = Receipt(
                smsc_id=name,
                state=State.DELIVERED,
                recipient=NUMBER[1:],
                error="",
                done_at=0,
                raw="",
            )
            # A receipt that comes twice is told once.
            for _ in range(2):
                self.write(ReceiptCame(upstream="a", receipt=receipt, now=now()))
        return id

    def receive(self, text: str = "hello") -> None:
        incoming = Incoming(sender=NUMBER, recipient="8000", text=text)
        self.write(MessageCame(upstream="a", incoming=incoming, now=now()))

    def waiting(self) -> list[Any]:
        with self.store.read() as connection:
            return list(events.listed(connection, most=100))

    def reloaded(self) -> Account:
        with self.store.read() as connection:
            found = accounts.by_name(connection, self.account.name)
        assert found is not None
        return found

    def steps(self) -> list[str]:
        with self.store.read() as connection:
            return list(connection.execute(select(tables.step.c.event)).scalars())


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def books(store: Store, receiver: Receiver) -> Books:
    return Books(store, receiver)


@asynccontextmanager
async def pushing(books: Books, **options: Any) -> AsyncIterator[None]:
    given = {"allowed": HERE, "poll": 0.01, "pauses": (20, 20), "timeout": 5, **options}
    task = asyncio.create_task(Push(books.store, **given).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_what_becomes_of_a_delivery_is_told_once_each_and_signed(books, receiver) -> None:
    id = books.deliver()
    async with pushing(books):
        await until(lambda: not books.waiting())
    assert sorted(receiver.types()) == ["delivery.delivered", "delivery.submitted"]
    for _, event in receiver.got:
        state = event["type"].removeprefix("delivery.")
        assert event["data"] == {
            "id": id,
            "recipient": NUMBER,
            "state": state,
            "parts": 1,
            "reference": "",
        }
        assert event["timestamp"].endswith("Z")
    assert books.steps().count("pushed") == 2


async def test_a_received_message_is_told(books, receiver) -> None:
    books.receive("Grüße 😀")
    async with pushing(books):
        await until(lambda: receiver.got and not books.waiting())
    ((_, event),) = receiver.got
    assert event["type"] == "message.received"
    data = event["data"]
    assert (data["from"], data["to"], data["message"]) == (NUMBER, "8000", "Grüße 😀")


async def test_accounts_without_a_callback_have_no_events(books) -> None:
    _, other = support.create(books.store, "other")
    books.deliver(other)
    assert books.waiting() == []


async def test_what_is_not_taken_is_sent_again_under_the_same_id(books, receiver) -> None:
    receiver.statuses = [500, 302, 200]
    books.receive()
    async with pushing(books):
        await until(lambda: len(receiver.got) == 3 and not books.waiting())
    assert len({id for id, _ in receiver.got}) == 1
    assert len({str(event) for _, event in receiver.got}) == 1


async def test_after_the_last_attempt_an_event_is_parked_until_it_is_replayed(
    books, receiver
) -> None:
    receiver.statuses = [503]
    books.deliver()
    async with pushing(books):
        await until(lambda: all(e.due_at is None for e in books.waiting()))
        assert {e.failure for e in books.waiting()} == {"HTTP status 503"}
        assert {e.attempts for e in books.waiting()} == {3}
        assert "not pushed" in books.steps()
        receiver.statuses = [200]
        with books.store.write() as connection:
            assert events.replay(connection, now(), name="acme") == 2
        await until(lambda: not books.waiting())


async def test_a_callback_that_keeps_failing_is_paused_and_its_owner_told(books, receiver) -> None:
    receiver.statuses = [500]
    before = books.account.version
    books.receive()
    async with pushing(books, patience=0):
        await until(lambda: books.reloaded().callback_paused_at)
        attempts = len(receiver.got)
        books.receive()
        await asyncio.sleep(0.1)
        assert len(receiver.got) == attempts  # nothing is sent while it is paused
        account = books.reloaded()
        assert account.callback_paused_reason == "HTTP status 500"
        assert account.version > before
        receiver.statuses = [200]
        with books.store.write() as connection:
            assert events.replay(connection, now()) == 2
        await until(lambda: not books.waiting())
    assert books.reloaded().callback_paused_at is None


async def test_a_receiver_that_is_gone_for_good_is_paused_at_once(books, receiver) -> None:
    receiver.statuses = [410]
    books.receive()
    async with pushing(books):
        await until(lambda: books.reloaded().callback_paused_at)
    assert len(receiver.got) == 1


async def test_nothing_is_sent_to_an_address_that_is_not_public(books, receiver) -> None:
    books.receive()
    async with pushing(books, allowed=()):
        await until(lambda: all(e.due_at is None for e in books.waiting()))
    assert receiver.got == []
    assert {e.failure for e in books.waiting()} == {"its address is not public"}


async def test_a_receiver_that_says_nothing_does_not_hold_others_up(books, receiver) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url, secret = f"http://127.0.0.1:{port}/", new_secret()
    _, other = support.create(books.store, "other", callback_url=url, callback_secret=secret)
    books.write(Beat(now=now()))
    books.deliver(other)
    books.receive()
    async with pushing(books, timeout=0.3, pauses=()):
        await until(lambda: receiver.got)
        await until(lambda: all(e.due_at is None for e in books.waiting()))
    assert {e.failure for e in books.waiting()} == {"no answer within 0.3 seconds"}
    server.close()


async def test_an_endless_answer_is_not_read(books, receiver) -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                sent += 65_536
                await writer.drain()
        except OSError:
            writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with books.store.write() as connection:
        accounts.change(connection, "acme", callback_url=f"http://127.0.0.1:{port}/")
    books.receive()
    async with pushing(books):
        await until(lambda: not books.waiting())
    assert sent < 20_000_000
    server.close()


async def test_events_hold_neither_texts_nor_numbers_of_their_own(books, receiver) -> None:
    books.receive()
    books.deliver()
    with books.store.write() as connection:
        forget(connection, NUMBER, now())
    async with pushing(books):
        await until(lambda: not books.waiting())
    assert sorted(receiver.types()) == ["delivery.delivered", "delivery.submitted"]
    assert {event["data"]["recipient"] for _, event in receiver.got} == {""}


async def test_two_workers_send_an_event_once(books, receiver) -> None:
    for _ in range(20):
        books.receive()
    async with pushing(books), pushing(books):
        await until(lambda: not books.waiting())
    assert len(receiver.got) == 20


def test_the_attempts_fill_a_day() -> None:
    assert 23 * 3_600_000 < sum(PAUSES) <= 24 * 3_600_000
    assert list(PAUSES) == sorted(PAUSES)
