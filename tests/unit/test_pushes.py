"""What providers push: who is let in, and what becomes of it on both databases."""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from sqlalchemy import func, select, text
from support.asgi_server import free_port, serving
from support.books import Books
from support.courier import Courier, CourierOptions
from support.courier_peer import MINE, TOKEN, Peer, courier_peer, signature
from support.scripted import EverythingFormatter

from sms_gateway.deliver.arrivals import Arrivals
from sms_gateway.deliver.ledger import Beat
from sms_gateway.moments import now
from sms_gateway.network.asgi_body import MAX_BODY
from sms_gateway.sms.message import State
from sms_gateway.sms.stop_words import StopWords
from sms_gateway.store import accounts, inbox, tables
from sms_gateway.upstream import Outcome
from sms_gateway.upstream.push import Heard, Push
from sms_gateway.web.pushes import Door, Pushes, address

SECRET, OLD = "new-" * 8, "old_" * 8
NUMBER = "+32494000000"
MESSAGE = {"kind": "message", "id": "in-1", "from": NUMBER, "to": MINE, "text": "Grüße €"}


def report(id: str, status: str = "delivered", to: str = NUMBER) -> dict[str, str]:
    return {"kind": "receipt", "id": id, "to": to, "status": status, "code": "7"}


@dataclass
class Scene:
    books: Books
    peer: Peer
    arrivals: Arrivals
    #: Of the doors, without a slash at the end.
    url: str

    def submitted(self, id: str, parts: int = 1) -> str:
        """A message that the provider took under this id."""
        made = self.books.accept(NUMBER, parts=parts, at=now())
        (delivery,) = self.books.claim(now=now())
        ids = [id, *(f"{id}.{n}" for n in range(2, parts + 1))]
        self.books.settle(delivery, *[Outcome.ACCEPTED] * parts, ids=ids, now=now())
        return made

    def count(self, table: Any) -> int:
        with self.books.store.read() as connection:
            found: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
        return found

    def texts(self) -> list[str]:
        with self.books.store.read() as connection:
            return list(connection.execute(select(tables.received.c.text)).scalars())

    async def ask(self, path: str, body: Any = b"", method: str = "POST", **headers: str) -> Any:
        """Status and body of the answer to anything."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, data=body, headers=headers) as answer,
        ):
            return answer.status, await answer.read()

    async def signed(self, body: bytes, media_type: str = "application/json", **more: str) -> Any:
        url = address(self.url, "a", SECRET)
        headers = {"Content-Type": media_type, "X-Signature": signature(url, body), **more}
        return await self.ask(f"/upstream/a/{SECRET}", body, **headers)


@pytest.fixture
async def scene(books: Books) -> AsyncIterator[Scene]:
    options = CourierOptions(url="http://127.0.0.1:1", token=TOKEN, push_secret=f"{SECRET},{OLD}")
    provider = Courier(options)
    arrivals = Arrivals(
        books.store,
        stop_words=StopWords(),
        receipts_of={"a": provider.receipts_of},
        patience=1,
    )
    await arrivals.start()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    doors = {"a": Door(secrets=options.push_secrets(), hear=provider.hear)}
    pushes = Pushes(doors, arrivals.keep, public_url=url, patience=1)
    async with courier_peer() as peer, serving(pushes, port):
        peer.address = address(url, "a", SECRET)
        yield Scene(books, peer, arrivals, url)
    await arrivals.aclose()


async def test_a_receipt_ends_its_message_and_its_repeat_adds_nothing(scene: Scene) -> None:
    id = scene.submitted("Courier-0A")
    for _ in range(3):
        assert await scene.peer.push_once(report("Courier-0A")) == 200
    assert scene.books.state(id) is State.DELIVERED
    assert scene.books.steps(id) == ["claimed", "submitted", "receipt"]
    assert scene.books.early() == 0


async def test_one_receipt_is_for_all_parts_of_a_long_text(scene: Scene) -> None:
    id = scene.submitted("Courier-0B", parts=3)
    await scene.peer.push_once(report("Courier-0B"))
    assert scene.books.state(id) is State.DELIVERED


async def test_an_intermediate_receipt_is_noted_and_ends_nothing(scene: Scene) -> None:
    id = scene.submitted("Courier-0C")
    await scene.peer.push_once(report("Courier-0C", "sent"))
    assert scene.books.state(id) is State.SUBMITTED
    await scene.peer.push_once(report("Courier-0C", "timed_out"))
    assert scene.books.state(id) is State.EXPIRED


async def test_a_receipt_that_comes_before_the_answer_waits_for_it(scene: Scene) -> None:
    made = scene.books.accept(NUMBER, at=now())
    (delivery,) = scene.books.claim(now=now())
    assert await scene.peer.push_once(report("Courier-0D", "failed")) == 200
    assert (scene.books.early(), scene.books.state(made)) == (1, State.SUBMITTING)
    scene.books.settle(delivery, Outcome.ACCEPTED, ids=["Courier-0D"], now=now())
    scene.books.write(Beat(now=now()))
    assert (scene.books.early(), scene.books.state(made)) == (0, State.UNDELIVERABLE)


async def test_a_receipt_for_an_id_that_nobody_knows_is_kept_for_people(scene: Scene) -> None:
    assert await scene.peer.push_once(report("Courier-FF")) == 200
    scene.books.write(Beat(now=now() + 3_600_000))
    with scene.books.store.read() as connection:
        row = connection.execute(select(tables.early_receipt)).one()
    assert (row.smsc_id, row.given_up, row.recipient) == ("Courier-FF", True, NUMBER[1:])


async def test_a_message_is_stored_once_however_often_it_is_pushed(scene: Scene) -> None:
    with scene.books.store.write() as connection:
        inbox.assign(connection, MINE[1:], scene.books.account.id, now())
    answers = await asyncio.gather(*(scene.peer.push_once(MESSAGE) for _ in range(5)))
    assert set(answers) == {200}
    assert await scene.peer.push_once(MESSAGE) == 200
    assert scene.texts() == ["Grüße €"]
    await scene.peer.push_once(MESSAGE | {"id": "in-2"})
    assert len(scene.texts()) == 2
    with scene.books.store.read() as connection:
        (first, _) = inbox.page(connection, scene.books.account.id, after=0, most=10)
    assert (first.sender, first.recipient) == (NUMBER, MINE)


async def test_an_id_is_forgotten_a_day_after_it_was_pushed_last(scene: Scene) -> None:
    await scene.peer.push_once(MESSAGE)
    scene.books.write(Beat(now=now() + 23 * 3_600_000))
    await scene.peer.push_once(MESSAGE)
    assert len(scene.texts()) == 1
    scene.books.write(Beat(now=now() + 25 * 3_600_000))
    await scene.peer.push_once(MESSAGE)
    assert len(scene.texts()) == 2


async def test_callbacks_are_told_as_of_what_comes_by_smpp(scene: Scene) -> None:
    with scene.books.store.write() as connection:
        accounts.change(connection, "acme", callback_url="https://x.example", callback_secret="x")
        inbox.assign(connection, MINE[1:], scene.books.account.id, now())
    scene.submitted("Courier-0E")
    await scene.peer.push_once(report("Courier-0E"))
    await scene.peer.push_once(MESSAGE)
    with scene.books.store.read() as connection:
        query = select(tables.event.c.state, tables.event.c.received_id).order_by("id")
        told = [(row.state, row.received_id is not None) for row in connection.execute(query)]
    assert told == [("delivered", False), ("", True)]


async def test_stop_words_are_heeded(scene: Scene) -> None:
    with scene.books.store.write() as connection:
        inbox.assign(connection, MINE[1:], scene.books.account.id, now())
    await scene.peer.push_once(MESSAGE | {"text": "STOP"})
    assert scene.count(tables.stop) == 1


async def test_what_cannot_be_stored_is_not_acknowledged_and_comes_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    id = scene.submitted("Courier-0F")
    for table, pushed in (("received", MESSAGE), ("step", report("Courier-0F"))):
        with scene.books.store.write() as connection:
            connection.execute(text(f"ALTER TABLE {table} RENAME TO gone"))
        status, body = await scene.signed(json.dumps(pushed).encode())
        with scene.books.store.write() as connection:
            connection.execute(text(f"ALTER TABLE gone RENAME TO {table}"))
        assert (status, body) == (503, b"It could not be stored: try again later\n")
    assert scene.books.state(id) is State.SUBMITTED
    assert scene.texts() == []
    assert await scene.peer.push_once(report("Courier-0F")) == 200
    assert await scene.peer.push_once(MESSAGE) == 200
    assert scene.books.state(id) is State.DELIVERED
    assert scene.texts() == ["Grüße €"]
    assert "Grüße" not in caplog.text


async def test_a_database_that_does_not_answer_is_waited_for_as_long_as_is_said(
    scene: Scene,
) -> None:
    with scene.books.store.write() as connection:
        inbox.take_turns(connection)
        status = await scene.peer.push_once(MESSAGE)
    assert status == 503
    assert await scene.peer.push_once(MESSAGE) == 200
    assert scene.texts() == ["Grüße €"]


@pytest.mark.parametrize(
    "path",
    [
        f"/upstream/a/{SECRET[:-1]}",
        f"/upstream/a/{SECRET}x",
        f"/upstream/b/{SECRET}",
        "/upstream/a/",
        "/upstream/a",
        "/upstream/",
        f"/upstream//{SECRET}",
        f"/upstream/a/x/{SECRET}",
        "/upstream/a/%00",
        "/upstream/%ff/%ff",
        "/upstream/a/" + "0" * 64,
    ],
)
async def test_who_does_not_know_an_address_gets_404_whatever_is_asked(
    scene: Scene, path: str
) -> None:
    found = {await scene.ask(path, b"x" * 1000, method) for method in ("POST", "GET", "PUT")}
    assert found == {(404, b"Not Found\n")}


async def test_an_unknown_name_is_the_same_work_as_a_wrong_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[int, int]] = []
    true = hmac.compare_digest

    def counting(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return true(a, b)

    async def nothing_is_read() -> Any:
        raise AssertionError

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def keep(name: str, heard: Heard) -> None:
        raise AssertionError

    def hear(push: Push) -> Heard:
        raise AssertionError

    doors = {name: Door(secrets=[SECRET] * n, hear=hear) for n, name in enumerate("ab", 1)}
    pushes = Pushes(doors, keep, public_url="http://x", patience=1)
    monkeypatch.setattr(hmac, "compare_digest", counting)
    work = {}
    for name in ("a", "b", "unknown"):
        compared.clear()
        scope = {"type": "http", "method": "POST", "path": f"/upstream/{name}/{OLD}", "headers": []}
        await pushes(scope, nothing_is_read, send)
        work[name] = list(compared)
    assert work["a"] == work["b"] == work["unknown"] != []
    assert sent[:2] == sent[2:4] == sent[4:6]


async def test_the_old_secret_lets_in_until_it_is_taken_out(scene: Scene) -> None:
    url = address(scene.url, "a", OLD)
    assert await scene.peer.push_once(MESSAGE, url) == 200
    assert scene.texts() == ["Grüße €"]


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"9" * 100_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (json.dumps(report("x") | {"status": "who knows"}).encode(), "application/json", 400),
        (json.dumps(report("x") | {"id": 5}).encode(), "application/json", 400),
        (json.dumps(report("x") | {"id": "a b"}).encode(), "application/json", 400),
        (json.dumps(report("")).encode(), "application/json", 400),
        (json.dumps(MESSAGE | {"text": None}).encode(), "application/json", 400),
        (json.dumps(MESSAGE | {"from": "x" * 65}).encode(), "application/json", 400),
        (json.dumps(MESSAGE | {"id": "x" * 256}).encode(), "application/json", 400),
        (json.dumps(MESSAGE).encode(), "text/plain", 415),
        (json.dumps(MESSAGE).encode(), "application/x-www-form-urlencoded", 415),
        (b"x" * (MAX_BODY + 1), "application/json", 413),
    ],
)
async def test_what_is_not_understood_is_refused_and_nothing_of_it_kept(
    scene: Scene, body: bytes, media_type: str, status: int
) -> None:
    began = time.process_time()
    answered, _ = await scene.signed(body, media_type)
    assert answered == status
    # Of this process, which is client and server in one.
    assert time.process_time() - began < 0.5
    assert scene.count(tables.received) == scene.books.early() == 0


async def test_a_packed_body_is_not_unpacked(scene: Scene) -> None:
    status, _ = await scene.signed(b"", **{"Content-Encoding": "gzip"})
    assert status == 415


async def test_only_post_is_understood(scene: Scene) -> None:
    for method in ("GET", "PUT", "DELETE"):
        status, _ = await scene.ask(f"/upstream/a/{SECRET}", method=method)
        assert status == 405


async def test_a_wrong_signature_is_refused(scene: Scene) -> None:
    assert await scene.peer.push_once(MESSAGE, **{"X-Signature": "0" * 64}) == 403
    # It covers the address: what was signed for the old one is not for the new.
    body = json.dumps(MESSAGE).encode()
    signed = signature(address(scene.url, "a", OLD), body)
    assert (await scene.signed(body, **{"X-Signature": signed}))[0] == 403
    assert scene.texts() == []


@pytest.mark.parametrize("written", ["a\0b", "\ud83d", "\ude00 \ud83d"])
async def test_characters_that_no_database_keeps_do_not_come_again_for_ever(
    scene: Scene, written: str
) -> None:
    assert await scene.peer.push_once(MESSAGE | {"text": written}) == 200
    (stored,) = scene.texts()
    assert "\0" not in stored
    stored.encode()


async def test_neither_secrets_nor_texts_are_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "sms_gateway")
    await scene.peer.push_once(MESSAGE)
    await scene.peer.push_once(MESSAGE | {"text": 5})
    await scene.peer.push_once(MESSAGE, **{"X-Signature": "0"})
    await scene.ask(f"/upstream/a/{SECRET[:-1]}", "Grüße €".encode())
    records = [r for r in caplog.records if r.name.startswith("sms_gateway")]
    told = "\n".join(map(EverythingFormatter().format, records))
    assert "push refused" in told
    assert "was not let in" in told
    for hidden in (SECRET[:-1], OLD, TOKEN, "Grüße", NUMBER[1:], MINE[1:]):
        assert hidden not in told


async def test_strangers_fill_no_log(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        await scene.ask("/upstream/a/wrong")
    assert sum("was not let in" in each.getMessage() for each in caplog.records) == 1
