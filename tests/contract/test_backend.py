"""What every Backend promises the faces: in process, over HTTP and by SOAP, on each database.

Whatever a reply says is compared with the rows that are stored.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select
from support import accounts as support
from support import databases, queued, whole_gateway
from support.backends import code
from support.serving import Server

from sms_gateway.accounts import Account, Rate
from sms_gateway.backend import (
    MOST_RECEIVED,
    Backend,
    DeliveryStatus,
    Inbox,
    MessageStatus,
    ReceivedMessage,
    Reply,
    Step,
    Submission,
)
from sms_gateway.codes import Code
from sms_gateway.remote.http_backend import HttpBackend
from sms_gateway.sms.ids import new_id
from sms_gateway.store import Store, accounts, history, inbox, queue, sealed, tables
from sms_gateway.store.bulk import insert_many
from soap_client import AsyncSmsClient, SmsError

BELGIAN = "0032494000000"
FRENCH = "+33612345678"
FOUR = "32494000000,32494000001,32494000002,32494000003"
FIVE = f"{FOUR},32494000004"
NOW = 1_800_014_400_123

_names = itertools.count()


class SoapBackend:
    """A Backend by SOAP, as far as its operations go."""

    def __init__(self, server: Server) -> None:
        self._address = f"{server.url}/sendsms/soap/"

    def _client(self, apikey: str) -> AsyncSmsClient:
        return AsyncSmsClient(apikey, address=self._address, retries=0)

    async def sendsms(self, submission: Submission) -> Reply:
        async with self._client(submission.apikey) as client:
            return await _reply(client.send(submission.recipients, submission.message))

    async def resendsms(self, apikey: str, id: str) -> Reply:
        async with self._client(apikey) as client:
            return await _reply(client.resend(id))

    async def getsms(self, apikey: str, *, after: int = 0, limit: int = 100) -> Inbox:
        async with self._client(apikey) as client:
            try:
                await client.received(after=after, limit=limit)
            except SmsError as error:
                return Inbox(Reply(code(error.code)))
        return Inbox(Reply(Code.SENT))

    async def status(self, apikey: str, id: str) -> MessageStatus:
        async with self._client(apikey) as client:
            return MessageStatus(await _reply(client.status(id)))


class InCompany(HttpBackend):
    """The Backend over HTTP, each message in one request with another one, which is refused."""

    async def sendsms(self, submission: Submission) -> Reply:
        send = super().sendsms
        _, reply, _ = await asyncio.gather(
            # While this one is under way the others wait.
            send(Submission("", "", "nobody")),
            send(submission),
            send(Submission("", "", "nobody")),
        )
        return reply


async def _reply(asked: Awaitable[Any]) -> Reply:
    try:
        result = await asked
    except SmsError as error:
        return Reply(code(error.code))
    return Reply(code(result.error), result.sent, result.id)


@asynccontextmanager
async def backend_by(way: str, config: Path, server: Callable[[], Server]) -> AsyncIterator[Any]:
    if way == "in process":
        async with whole_gateway.in_process(config) as backend:
            yield backend
    elif way == "over HTTP":
        remote = HttpBackend(server().url, timeout=60)
        yield remote
        await remote.aclose()
    elif way == "over HTTP, in company":
        remote = InCompany(server().url, timeout=60)
        # From its answer it knows that the server takes many at once.
        await remote.sendsms(Submission("", "", "nobody"))
        yield remote
        await remote.aclose()
    else:
        yield SoapBackend(server())


@pytest.fixture(
    scope="module", params=[*databases.KINDS, *(f"{kind}, encrypted" for kind in databases.KINDS)]
)
def config(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("gateway")
    kind, _, encrypted = request.param.partition(", ")
    with databases.fresh(kind, folder) as url:
        yield whole_gateway.settings_file(folder, url, encrypted=bool(encrypted))


@pytest.fixture(scope="module")
def server(config: Path) -> Iterator[Server]:
    # Each way of reading requests once; they know of no database.
    worker = "express" if "sqlite:" in config.read_text() else "asgi"
    with whole_gateway.served(config, worker) as running:
        yield running


@pytest.fixture(scope="module")
def store(config: Path) -> Iterator[Store]:
    opened = whole_gateway.store_of(config)
    yield opened
    opened.close()


@pytest.fixture(params=["in process", "over HTTP", "over HTTP, in company"])
async def backend(request: pytest.FixtureRequest, config: Path) -> AsyncIterator[Backend]:
    async with backend_by(
        request.param, config, lambda: request.getfixturevalue("server")
    ) as opened:
        yield opened


@pytest.fixture(params=["in process", "over HTTP", "over HTTP, in company", "by SOAP"])
async def any_backend(request: pytest.FixtureRequest, config: Path) -> AsyncIterator[Any]:
    async with backend_by(
        request.param, config, lambda: request.getfixturevalue("server")
    ) as opened:
        yield opened


# What is stored.


def everything(store: Store) -> list[Any]:
    """All rows that a request can write."""
    written = (tables.message, tables.delivery, tables.step, tables.idempotency, tables.received)
    with store.read() as connection:
        rows = [connection.execute(select(table)).all() for table in written]
        limits = select(tables.account.c.id, tables.account.c.next_free)
        return [sorted(map(tuple, each)) for each in (*rows, connection.execute(limits).all())]


class Sent(NamedTuple):
    """A message and one of its deliveries."""

    id: str
    text: str
    recipient: str
    state: str


def sent_by(store: Store, account: Account) -> list[Sent]:
    """The messages of an account, with each of their deliveries."""
    with store.read() as connection:
        rows = connection.execute(
            select(
                tables.message.c.id,
                tables.message.c.text,
                tables.delivery.c.recipient,
                queue.STATE.label("state"),
            )
            .select_from(queue.IN_QUEUE.join(tables.message))
            .where(tables.message.c.account_id == account.id)
            .order_by(tables.delivery.c.id)
        )
        return [
            Sent(id, sealed.opened(connection, "message.text", text, id), recipient, state)
            for id, text, recipient, state in rows
        ]


def new_account(store: Store, **options: Any) -> tuple[str, Account]:
    return support.create(store, f"account {next(_names)}", **({"rate": None} | options))


def settle(store: Store, id: str, *states: str) -> None:
    """Bring the deliveries of a message to these states."""
    with store.write() as connection:
        theirs = select(tables.delivery.c.id).where(tables.delivery.c.message_id == id)
        ids = connection.execute(theirs.order_by(tables.delivery.c.id)).scalars().all()
        for number, state in zip(ids, states, strict=True):
            queued.bring_to(connection, number, state)


def receive(store: Store, account: Account, *texts: str) -> None:
    with store.write() as connection:
        inbox.take_turns(connection)
        inbox.add_received(
            connection,
            [
                {
                    "account_id": account.id,
                    "upstream": "default",
                    "sender": "+32494000001",
                    "recipient": "8850",
                    "text": text,
                    "received_at": NOW + number,
                }
                for number, text in enumerate(texts)
            ],
        )


# Refusals.


@dataclass(frozen=True, slots=True)
class Scene:
    """An account with a message that failed and one that was delivered; and another one's."""

    key: str
    failed: str
    delivered: str
    others: str


Ask = Callable[[Any, Scene], Awaitable[Reply | Inbox | MessageStatus]]

DISABLED = {"enabled": False}
FREE = {"rate": Rate(1, 60_000)}
REFUSALS: list[tuple[str, Code, dict[str, Any], Ask]] = [
    ("no key", Code.KEY_MISSING, {}, lambda b, s: b.sendsms(Submission(BELGIAN, "hi", ""))),
    ("wrong key", Code.KEY_WRONG, {}, lambda b, s: b.sendsms(Submission(BELGIAN, "hi", "x" * 40))),
    ("disabled", Code.KEY_DISABLED, DISABLED, lambda b, s: b.sendsms(Submission("", "", s.key))),
    ("no number", Code.NOT_SENT, {}, lambda b, s: b.sendsms(Submission("", "hi", s.key))),
    ("no text", Code.NOT_SENT, {}, lambda b, s: b.sendsms(Submission(BELGIAN, "", s.key))),
    ("blank text", Code.NOT_SENT, {}, lambda b, s: b.sendsms(Submission(BELGIAN, " \n ", s.key))),
    ("no such number", Code.NOT_SENT, {}, lambda b, s: b.sendsms(Submission("12", "hi", s.key))),
    ("too long", Code.NOT_SENT, {}, lambda b, s: b.sendsms(Submission(BELGIAN, "a" * 460, s.key))),
    ("two numbers", Code.NOT_MULTIPLE, {}, lambda b, s: b.sendsms(Submission(FOUR, "hi", s.key))),
    ("five", Code.TOO_MANY, {"multi": True}, lambda b, s: b.sendsms(Submission(FIVE, "hi", s.key))),
    ("closed route", Code.UNREACHABLE, {}, lambda b, s: b.sendsms(Submission(FRENCH, "hi", s.key))),
    (
        "closed country",
        Code.UNREACHABLE,
        {"countries": frozenset({"IT"})},
        lambda b, s: b.sendsms(Submission(BELGIAN, "hi", s.key)),
    ),
    (
        "one of two is closed",
        Code.UNREACHABLE,
        {"multi": True},
        lambda b, s: b.sendsms(Submission(f"{BELGIAN},{FRENCH}", "hi", s.key)),
    ),
    (
        "second in a minute",
        Code.TOO_FAST,
        FREE,
        lambda b, s: b.sendsms(Submission(BELGIAN, "hi", s.key)),
    ),
    ("resend: no key", Code.KEY_MISSING, {}, lambda b, s: b.resendsms("", s.failed)),
    ("resend: wrong key", Code.KEY_WRONG, {}, lambda b, s: b.resendsms("x", s.failed)),
    (
        "resend: disabled",
        Code.KEY_DISABLED,
        DISABLED,
        lambda b, s: b.resendsms(s.key, s.failed),
    ),
    ("resend: no id", Code.ID_MISSING, {}, lambda b, s: b.resendsms(s.key, "")),
    ("resend: no such id", Code.ID_UNKNOWN, {}, lambda b, s: b.resendsms(s.key, "f" * 32)),
    ("resend: another's", Code.ID_UNKNOWN, {}, lambda b, s: b.resendsms(s.key, s.others)),
    ("resend: sent", Code.ALREADY_SENT, {}, lambda b, s: b.resendsms(s.key, s.delivered)),
    (
        "resend: closed country",
        Code.UNREACHABLE,
        {"countries": frozenset({"IT"})},
        lambda b, s: b.resendsms(s.key, s.failed),
    ),
    (
        "resend: second in a minute",
        Code.TOO_FAST,
        FREE,
        lambda b, s: b.resendsms(s.key, s.failed),
    ),
    ("inbox: no key", Code.KEY_MISSING, {}, lambda b, s: b.getsms("")),
    ("inbox: wrong key", Code.KEY_WRONG, {}, lambda b, s: b.getsms("x")),
    ("inbox: disabled", Code.KEY_DISABLED, DISABLED, lambda b, s: b.getsms(s.key)),
    ("status: no key", Code.KEY_MISSING, {}, lambda b, s: b.status("", s.failed)),
    ("status: wrong key", Code.KEY_WRONG, {}, lambda b, s: b.status("x", s.failed)),
    (
        "status: disabled",
        Code.KEY_DISABLED,
        DISABLED,
        lambda b, s: b.status(s.key, s.failed),
    ),
    ("status: no id", Code.ID_MISSING, {}, lambda b, s: b.status(s.key, "")),
    ("status: no such id", Code.ID_UNKNOWN, {}, lambda b, s: b.status(s.key, "f" * 32)),
    ("status: another's", Code.ID_UNKNOWN, {}, lambda b, s: b.status(s.key, s.others)),
]
#: SOAP has no deletion, and takes any number for the nearest that it can mean.
NOT_BY_SOAP: list[tuple[str, Code, dict[str, Any], Ask]] = [
    ("inbox: after", Code.NOT_SENT, {}, lambda b, s: b.getsms(s.key, after=-1)),
    ("inbox: limit", Code.NOT_SENT, {}, lambda b, s: b.getsms(s.key, limit=-1)),
    ("inbox: much", Code.NOT_SENT, {}, lambda b, s: b.getsms(s.key, limit=MOST_RECEIVED + 1)),
    ("delete: no key", Code.KEY_MISSING, {}, lambda b, s: b.deletesms("")),
    ("delete: wrong key", Code.KEY_WRONG, {}, lambda b, s: b.deletesms("x")),
    ("delete: disabled", Code.KEY_DISABLED, DISABLED, lambda b, s: b.deletesms(s.key)),
    ("delete: empty id", Code.ID_MISSING, {}, lambda b, s: b.deletesms(s.key, id="")),
    ("delete: no such id", Code.ID_UNKNOWN, {}, lambda b, s: b.deletesms(s.key, id="f" * 32)),
    ("delete: another's", Code.ID_UNKNOWN, {}, lambda b, s: b.deletesms(s.key, id=s.others)),
    ("delete: no time", Code.NOT_SENT, {}, lambda b, s: b.deletesms(s.key, before=-1)),
    ("delete: never", Code.NOT_SENT, {}, lambda b, s: b.deletesms(s.key, before=2**50)),
]


def a_scene(store: Store, options: dict[str, Any]) -> Scene:
    key, account = new_account(store)
    _, other = new_account(store)
    scene = Scene(key, *(new_id(time.time_ns() // 1_000_000) for _ in range(3)))
    rows = [
        (scene.failed, account, "failed"),
        (scene.delivered, account, "delivered"),
        (scene.others, other, "failed"),
    ]
    with store.write() as connection:
        insert_many(
            connection,
            tables.message,
            [
                {
                    "id": id,
                    "account_id": owner.id,
                    "sender": "",
                    "text": f"this one {state}",
                    "encoding": "gsm7",
                    "parts": 1,
                    "accepted_at": NOW,
                }
                for id, owner, state in rows
            ],
        )
        insert_many(
            connection,
            tables.delivery,
            [
                {
                    "message_id": id,
                    "recipient": "+32494000000",
                    "route": "32",
                    "parts": 1,
                    "state": state,
                    "due_at": NOW,
                    "expires_at": NOW,
                    "attempts": 1,
                    "possible_duplicate": False,
                }
                for id, _, state in rows
            ],
        )
        if options:
            assert accounts.change(connection, account.name, **options)
        if "rate" in options:
            # As after a message of just now.
            accounts.charge(connection, {account.id: (time.time_ns() // 1_000) + 60_000_000})
    return scene


async def _is_refused(
    backend: Any, store: Store, options: dict[str, Any], ask: Ask, code: Code
) -> None:
    scene = a_scene(store, options)
    before = everything(store)
    answer = await ask(backend, scene)
    reply = _reply_in(answer)
    assert (reply.error, reply.sent, reply.id, reply.retry_after) == (code, 0, "", 0)
    assert everything(store) == before


@pytest.mark.parametrize(
    ("code", "options", "ask"), [pytest.param(*row[1:], id=row[0]) for row in REFUSALS]
)
async def test_a_refusal_has_its_code_and_writes_nothing(
    any_backend: Any, store: Store, code: Code, options: dict[str, Any], ask: Ask
) -> None:
    await _is_refused(any_backend, store, options, ask, code)


@pytest.mark.parametrize(
    ("code", "options", "ask"), [pytest.param(*row[1:], id=row[0]) for row in NOT_BY_SOAP]
)
async def test_a_refusal_elsewhere_has_its_code_and_writes_nothing(
    backend: Backend, store: Store, code: Code, options: dict[str, Any], ask: Ask
) -> None:
    await _is_refused(backend, store, options, ask, code)


def test_every_code_is_among_the_cases() -> None:
    reached = {code for _, code, _, _ in REFUSALS}
    # These three have tests of their own.
    assert reached | {Code.SENT, Code.TIMED_OUT, Code.INTERNAL} == set(Code)


# Sending, and sending again.


async def test_what_is_accepted_is_stored_under_the_id(any_backend: Any, store: Store) -> None:
    key, account = new_account(store)
    reply = await any_backend.sendsms(Submission(BELGIAN, "Grüße\n<&> €", key))
    assert (reply.error, reply.sent, reply.retry_after) == (Code.SENT, 1, 0)
    assert sent_by(store, account) == [(reply.id, "Grüße\n<&> €", "+32494000000", "queued")]


async def test_four_numbers_are_one_message(any_backend: Any, store: Store) -> None:
    key, account = new_account(store, multi=True)
    reply = await any_backend.sendsms(Submission(FOUR, "hi", key))
    assert (reply.error, reply.sent) == (Code.SENT, 4)
    assert [(row.id, row.recipient) for row in sent_by(store, account)] == [
        (reply.id, f"+{number}") for number in FOUR.split(",")
    ]


async def test_a_repeat_is_answered_as_before_and_writes_nothing(
    backend: Backend, store: Store
) -> None:
    key, account = new_account(store)
    first = await backend.sendsms(Submission(BELGIAN, "hi", key, idempotency_key="once"))
    before = everything(store)
    assert await backend.sendsms(Submission(BELGIAN, "hi", key, idempotency_key="once")) == first
    other = await backend.sendsms(Submission(BELGIAN, "ho", key, idempotency_key="once"))
    assert (other.error, other.sent) == (Code.NOT_SENT, 0)
    assert everything(store) == before
    assert len(sent_by(store, account)) == 1


async def test_a_sender_and_a_reference_come_through(backend: Backend, store: Store) -> None:
    key, _ = new_account(store, senders=frozenset({"ACME"}))
    submission = Submission(BELGIAN, "hi", key, sender="ACME", reference="order <4711> é\u00a0😀")
    reply = await backend.sendsms(submission)
    assert reply.error is Code.SENT
    assert (await backend.status(key, reply.id)).reference == submission.reference
    with store.read() as connection:
        found = history.of_message(connection, reply.id)
    assert found is not None
    assert (found.sender, found.reference) == (submission.sender, submission.reference)
    refused = await backend.sendsms(submission._replace(sender="Other"))
    assert (refused.error, refused.sent) == (Code.NOT_SENT, 0)


@pytest.mark.parametrize("state", ["queued", "failed", "expired", "uncertain", "undeliverable"])
async def test_only_what_is_not_sent_is_sent_again(
    any_backend: Any, store: Store, state: str
) -> None:
    key, account = new_account(store, multi=True)
    first = await any_backend.sendsms(Submission(FOUR, "hi", key))
    settle(store, first.id, "delivered", state, "submitted", state)
    again = await any_backend.resendsms(key, first.id)
    assert (again.error, again.sent, again.id) == (Code.SENT, 2, first.id)
    states = [row.state for row in sent_by(store, account)]
    assert states == ["delivered", "queued", "submitted", "queued"]


# Received messages.

TEXTS = [
    "Hello",
    " \n around \n ",
    "a\r\nb\rc",
    "<b>&amp;</b> ]]> \"'",
    "",
    "😀 Zoë €",
    "\t",
    "{[|]}~",
]


async def test_received_messages_come_as_they_were_sent(backend: Backend, store: Store) -> None:
    key, account = new_account(store)
    receive(store, account, *TEXTS)
    received = await backend.getsms(key)
    assert received.reply.error is Code.SENT
    first = received.messages[0].id
    assert received.messages == tuple(
        ReceivedMessage(first + number, "+32494000001", "8850", text, NOW + number)
        for number, text in enumerate(TEXTS)
    )
    assert received.next == received.messages[-1].id


async def test_an_empty_inbox_keeps_the_place(backend: Backend, store: Store) -> None:
    key, _ = new_account(store)
    assert await backend.getsms(key) == Inbox(Reply(Code.SENT), (), 0)
    assert await backend.getsms(key, after=2**62) == Inbox(Reply(Code.SENT), (), 2**62)


async def test_another_accounts_messages_are_not_received(backend: Backend, store: Store) -> None:
    key, _ = new_account(store)
    _, other = new_account(store)
    receive(store, other, "not for you")
    assert (await backend.getsms(key)).messages == ()


async def test_reading_on_misses_and_repeats_nothing(backend: Backend, store: Store) -> None:
    key, account = new_account(store)
    _, other = new_account(store)
    read: list[str] = []
    place = 0
    for number in range(20):
        receive(store, account, f"{number} a", f"{number} b", f"{number} c")
        receive(store, other, "between")
        page = await backend.getsms(key, after=place, limit=2)
        assert len(page.messages) == 2
        read += [message.text for message in page.messages]
        place = page.next
    while (page := await backend.getsms(key, after=place, limit=7)).messages:
        read += [message.text for message in page.messages]
        place = page.next
    assert read == [f"{number} {letter}" for number in range(20) for letter in "abc"]
    assert (await backend.getsms(key, after=place - 1, limit=0)).messages == ()


async def test_a_page_of_long_texts_ends_early(backend: Backend, store: Store) -> None:
    key, account = new_account(store)
    texts = [f"{number}" + "é" * 300_000 for number in range(6)]
    receive(store, account, *texts)
    page = await backend.getsms(key)
    assert 1 <= len(page.messages) < 6
    read: list[ReceivedMessage] = []
    while page.messages:
        read += page.messages
        page = await backend.getsms(key, after=page.next)
    assert [m.text for m in read] == texts


# What became of a message.


async def test_the_status_tells_every_step(backend: Backend, store: Store) -> None:
    key, _ = new_account(store, multi=True)
    sent = await backend.sendsms(Submission(f"{BELGIAN},32494000001", "hi " * 60, key))
    settle(store, sent.id, "failed", "queued")
    with store.write() as connection:
        one = connection.execute(
            select(tables.delivery.c.id).where(tables.delivery.c.message_id == sent.id)
        ).scalars()
        id = min(one)
        queue.record_steps(
            connection, [(id, NOW, 2, "refused", "0x0B <&> é"), (id, NOW, 0, "failed", "")]
        )
        accepted_at = connection.execute(
            select(tables.message.c.accepted_at).where(tables.message.c.id == sent.id)
        ).scalar_one()
    status = await backend.status(key, sent.id)
    assert status == MessageStatus(
        Reply(Code.SENT, 2, sent.id),
        state="queued",
        accepted_at=accepted_at,
        parts=2,
        deliveries=(
            DeliveryStatus(
                "+32494000000",
                "failed",
                (Step(NOW, 2, "refused", "0x0B <&> é"), Step(NOW, 0, "failed", "")),
            ),
            DeliveryStatus("+32494000001", "queued", ()),
        ),
    )


# Deleting.


async def sent_and_settled(backend: Backend, store: Store, key: str, *states: str) -> list[str]:
    ids = []
    for number, state in enumerate(states):
        reply = await backend.sendsms(Submission(BELGIAN, f"message {number}", key))
        settle(store, reply.id, state)
        ids.append(reply.id)
    return ids


async def test_all_history_is_deleted_but_not_what_waits(backend: Backend, store: Store) -> None:
    key, account = new_account(store)
    other_key, other = new_account(store)
    await sent_and_settled(backend, store, other_key, "delivered")
    ids = await sent_and_settled(backend, store, key, "delivered", "failed", "queued", "submitting")
    reply = await backend.deletesms(key)
    assert (reply.error, reply.sent) == (Code.SENT, 2)
    assert [(row.id, row.text) for row in sent_by(store, account)] == [
        (ids[0], ""),
        (ids[1], ""),
        (ids[2], "message 2"),
        (ids[3], "message 3"),
    ]
    assert [row.recipient for row in sent_by(store, account)][:2] == ["", ""]
    assert sent_by(store, other)[0].text == "message 0"
    assert (await backend.deletesms(key)).sent == 0


async def test_one_message_is_deleted(backend: Backend, store: Store) -> None:
    key, account = new_account(store)
    ids = await sent_and_settled(backend, store, key, "delivered", "delivered")
    assert (await backend.deletesms(key, id=ids[0])).sent == 1
    assert [row.text for row in sent_by(store, account)] == ["", "message 1"]
    assert (await backend.status(key, ids[0])).reply.error is Code.ID_UNKNOWN
    assert (await backend.resendsms(key, ids[0])).error is Code.ID_UNKNOWN
    assert (await backend.deletesms(key, id=ids[0])).error is Code.ID_UNKNOWN


async def test_history_before_a_time_is_deleted(backend: Backend, store: Store) -> None:
    key, account = new_account(store)
    ids = await sent_and_settled(backend, store, key, "delivered", "delivered", "delivered")
    times = [(await backend.status(key, id)).accepted_at for id in ids]
    before = times[1] if times[0] < times[1] else times[1] + 1
    expected = sum(time < before for time in times)
    assert (await backend.deletesms(key, before=before)).sent == expected
    assert [row.text == "" for row in sent_by(store, account)] == [time < before for time in times]
    assert (await backend.deletesms(key, before=2**47)).sent == 3 - expected


# A store that is slow, or gone.


@contextmanager
def stalled(store: Store) -> Iterator[None]:
    with store.write() as connection:
        if not store.is_sqlite:
            connection.exec_driver_sql("LOCK TABLE account, message IN ACCESS EXCLUSIVE MODE")
        yield


def destroy(store: Store) -> None:
    with store.write() as connection:
        if store.is_sqlite:
            connection.exec_driver_sql("ALTER TABLE account RENAME TO elsewhere")
        else:
            connection.exec_driver_sql("DROP TABLE account CASCADE")


async def test_a_store_that_stalls_is_code_6_and_one_that_is_gone_code_30(
    tmp_path: Path, database: str
) -> None:
    config = whole_gateway.settings_file(tmp_path, database, timeout=2)
    store = whole_gateway.store_of(config)
    key, account = new_account(store)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(whole_gateway.served(config))
        ways = ("in process", "over HTTP", "over HTTP, in company", "by SOAP")
        backends = [
            await stack.enter_async_context(backend_by(way, config, lambda: server)) for way in ways
        ]
        id = (await backends[0].sendsms(Submission(BELGIAN, "hi", key))).id
        writing, reading = [], []
        for way, backend in zip(ways, backends, strict=True):
            writing += [
                partial(backend.sendsms, Submission(BELGIAN, "hi", key)),
                partial(backend.resendsms, key, id),
            ]
            reading += [partial(backend.getsms, key), partial(backend.status, key, id)]
            if way != "by SOAP":
                writing.append(partial(backend.deletesms, key))
        # Who only reads waits for nobody in SQLite.
        slow = writing if store.is_sqlite else writing + reading
        with stalled(store):
            answers = await asyncio.gather(*(ask() for ask in slow))
        assert [_reply_in(answer).error for answer in answers] == [Code.TIMED_OUT] * len(slow)
        # What was answered for is not stored when the store goes on again.
        later = await backends[0].sendsms(Submission(BELGIAN, "later", key))
        assert later.error is Code.SENT
        assert [row.id for row in sent_by(store, account)] == [id, later.id]
        destroy(store)
        before = len(sent_by(store, account))
        replies = [_reply_in(await ask()) for ask in (*writing, *reading)]
        assert {(reply.error, reply.sent, reply.id) for reply in replies} == {
            (Code.INTERNAL, 0, "")
        }
        # HTTP says by 503 and Retry-After that it is worth another try; SOAP's client drops that.
        assert [bool(reply.retry_after) for reply in replies].count(False) == 4
        assert len(sent_by(store, account)) == before
    store.close()


def _reply_in(answer: Reply | Inbox | MessageStatus) -> Reply:
    return answer if isinstance(answer, Reply) else answer.reply
