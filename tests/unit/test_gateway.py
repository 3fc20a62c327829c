"""The rules of accepting: codes in their order, limits, and what is stored."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from support import accounts as support
from support import queued
from support.accepting import BELGIAN, BRITISH, FOUR, FRENCH, ITALIAN, ROUTES, change, rows
from support.clock import Clock
from support.forgetting import forget

from sms_gateway.accept import known_accounts
from sms_gateway.accept.gateway import Gateway
from sms_gateway.accounts import Rate
from sms_gateway.backend import MailChoices, Reply, Submission
from sms_gateway.codes import Code
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.store import Store, sealed, tables
from sms_gateway.store import accounts as account_statements

pytestmark = pytest.mark.encrypted_too


def texts(store: Store) -> list[str]:
    """The texts of all messages."""
    rows = select(tables.message.c.id, tables.message.c.text).order_by(tables.message.c.id)
    with store.read() as connection:
        return [
            sealed.opened(connection, "message.text", t, id) for id, t in connection.execute(rows)
        ]


async def test_an_accepted_message_is_stored_with_its_delivery(
    gateway: Gateway, store: Store, clock: Clock
) -> None:
    key, account = support.create(store, sender="ACME")
    reply = await gateway.sendsms(Submission(BELGIAN, "Grüße €", key))
    assert (reply.error, reply.sent) == (Code.SENT, 1)
    with store.read() as connection:
        message = connection.execute(select(tables.message)).one()
        delivery = connection.execute(select(tables.delivery)).one()
    assert message.id == reply.id
    assert (message.account_id, message.sender) == (account.id, "ACME")
    assert texts(store) == ["Grüße €"]
    assert (message.encoding, message.parts, message.accepted_at) == ("gsm7", 1, clock.now)
    assert (delivery.message_id, delivery.recipient) == (reply.id, "+32494000000")
    assert (delivery.state, delivery.route, delivery.due_at) == ("submitting", "32", clock.now)
    with store.read() as connection:
        assert queued.states(connection) == ["queued"]


async def test_several_recipients_have_one_id_and_a_delivery_each(
    gateway: Gateway, store: Store
) -> None:
    key, _ = support.create(store, multi=True)
    reply = await gateway.sendsms(Submission(FOUR, "hello", key))
    assert (reply.error, reply.sent) == (Code.SENT, 4)
    assert rows(store) == (1, 4, 0)


# Each row breaks one rule and every rule after it, so that the order shows too.
EVERYTHING_WRONG = f"{FOUR},{FRENCH}"
REFUSALS = [
    ("no key", {}, "", BELGIAN, "hi", Code.KEY_MISSING),
    ("wrong key", {}, "x" * 40, "rubbish", "", Code.KEY_WRONG),
    ("disabled", {"enabled": False}, None, "rubbish", "", Code.KEY_DISABLED),
    ("no number", {}, None, "", "hi", Code.NOT_SENT),
    ("no text", {}, None, BELGIAN, "", Code.NOT_SENT),
    ("blank text", {}, None, BELGIAN, " \n ", Code.NOT_SENT),
    ("not a number", {}, None, "rubbish", "hi", Code.NOT_SENT),
    ("one bad of two", {"multi": True}, None, f"{BELGIAN},12", "hi", Code.NOT_SENT),
    ("too long", {}, None, BELGIAN, "a" * 460, Code.NOT_SENT),
    ("NUL", {}, None, BELGIAN, "a\0b", Code.NOT_SENT),
    ("lone surrogate", {}, None, BELGIAN, "a\ud800b", Code.NOT_SENT),
    ("PHP's array", {}, None, "Array", "hi", Code.NOT_SENT),
    ("not multiple", {}, None, EVERYTHING_WRONG, "hi", Code.NOT_MULTIPLE),
    ("five", {"multi": True}, None, EVERYTHING_WRONG, "hi", Code.TOO_MANY),
    ("hundreds", {"multi": True}, None, FOUR + ",32494000000" * 300, "hi", Code.TOO_MANY),
    ("no route", {}, None, BRITISH, "hi", Code.UNREACHABLE),
    ("closed route", {}, None, FRENCH, "hi", Code.UNREACHABLE),
    ("closed country", {"countries": frozenset({"IT"})}, None, BELGIAN, "hi", Code.UNREACHABLE),
    ("one unreachable", {"multi": True}, None, f"{BELGIAN},{FRENCH}", "hi", Code.UNREACHABLE),
]


@pytest.mark.parametrize(
    ("options", "key", "recipients", "text", "code"),
    [pytest.param(*row[1:], id=row[0]) for row in REFUSALS],
)
async def test_a_refusal_has_its_code_and_stores_nothing(
    gateway: Gateway,
    store: Store,
    options: dict[str, Any],
    key: str | None,
    recipients: str,
    text: str,
    code: Code,
) -> None:
    own, _ = support.create(store)
    if options:
        change(store, **options)
    reply = await gateway.sendsms(Submission(recipients, text, own if key is None else key))
    assert (reply.error, reply.sent, reply.id) == (code, 0, "")
    assert rows(store) == (0, 0, 0)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Menu:\r\nSoup\rBread", "Menu:\nSoup\nBread"),
        ("\ufeffZo\u00eb\r\n", "Zo\u00eb\n"),
        ("page\fbreak", "page\fbreak"),
    ],
)
async def test_a_text_is_stored_with_line_feeds_and_a_repeat_may_end_its_lines_otherwise(
    gateway: Gateway, store: Store, text: str, stored: str
) -> None:
    key, _ = support.create(store, rate=None)
    first = await gateway.sendsms(Submission(BELGIAN, text, key, idempotency_key="k"))
    assert first.error is Code.SENT
    for again in (text, stored):
        assert await gateway.sendsms(Submission(BELGIAN, again, key, idempotency_key="k")) == first
    assert rows(store) == (1, 1, 1)
    assert texts(store) == [stored]


@pytest.mark.parametrize("text", ["\ufeff", "\r\n", "\ufeff\r\f "])
async def test_a_text_of_nothing_but_marks_and_ends_of_lines_is_empty(
    gateway: Gateway, store: Store, text: str
) -> None:
    key, _ = support.create(store)
    assert (await gateway.sendsms(Submission(BELGIAN, text, key))).error is Code.NOT_SENT


async def test_the_second_message_within_a_minute_is_refused(
    gateway: Gateway, store: Store, clock: Clock
) -> None:
    key, _ = support.create(store)
    assert (await gateway.sendsms(Submission(BELGIAN, "one", key))).error is Code.SENT
    clock.pass_(seconds=59)
    refused = await gateway.sendsms(Submission(BELGIAN, "two", key))
    assert (refused.error, refused.sent, refused.id) == (Code.TOO_FAST, 0, "")
    assert rows(store) == (1, 1, 0)
    clock.pass_(seconds=1)
    assert (await gateway.sendsms(Submission(BELGIAN, "three", key))).error is Code.SENT


async def test_a_refused_message_does_not_count_against_the_limit(
    gateway: Gateway, store: Store
) -> None:
    key, _ = support.create(store)
    assert (await gateway.sendsms(Submission(BRITISH, "one", key))).error is Code.UNREACHABLE
    assert (await gateway.sendsms(Submission(BELGIAN, "two", key))).error is Code.SENT


async def test_of_many_at_once_the_limit_lets_exactly_its_number_through(
    gateway: Gateway, store: Store
) -> None:
    key, _ = support.create(store, rate=Rate(7, 60_000))
    replies = await asyncio.gather(
        *(gateway.sendsms(Submission(BELGIAN, f"number {n}", key)) for n in range(40))
    )
    assert [r.error for r in replies].count(Code.SENT) == 7
    assert rows(store) == (7, 7, 0)
    refused = next(r for r in replies if r.error is Code.TOO_FAST)
    assert refused.sentence == "Exceeding the limit of 7/min"


async def test_two_processes_share_one_limit(
    store: Store, database: str, seal: sealed.Seal | None, clock: Clock
) -> None:
    key, _ = support.create(store, rate=Rate(10, 60_000))
    stores = [Store(database, seal), Store(database, seal)]
    gateways = [Gateway(opened, ROUTES, clock=clock) for opened in stores]
    for gateway in gateways:
        await gateway.start()
    replies = await asyncio.gather(
        *(gateways[n % 2].sendsms(Submission(BELGIAN, f"number {n}", key)) for n in range(60))
    )
    for gateway, opened in zip(gateways, stores, strict=True):
        await gateway.aclose()
        opened.close()
    assert [r.error for r in replies].count(Code.SENT) == 10
    assert rows(store) == (10, 10, 0)


async def test_changed_options_hold_from_the_next_request(gateway: Gateway, store: Store) -> None:
    key, _ = support.create(store, rate=None)
    assert (await gateway.sendsms(Submission(BELGIAN, "one", key))).error is Code.SENT
    change(store, enabled=False)
    assert (await gateway.sendsms(Submission(BELGIAN, "two", key))).error is Code.KEY_DISABLED
    change(store, enabled=True)
    assert (await gateway.sendsms(Submission(BELGIAN, "three", key))).error is Code.SENT
    assert (await gateway.sendsms(Submission(FOUR, "four", key))).error is Code.NOT_MULTIPLE
    change(store, multi=True)
    assert (await gateway.sendsms(Submission(FOUR, "five", key))).error is Code.SENT
    change(store, countries=frozenset({"IT"}))
    assert (await gateway.sendsms(Submission(BELGIAN, "six", key))).error is Code.UNREACHABLE


async def test_a_key_that_was_replaced_is_wrong(gateway: Gateway, store: Store) -> None:
    key, _ = support.create(store, rate=None)
    assert (await gateway.sendsms(Submission(BELGIAN, "one", key))).error is Code.SENT
    change(store, key_hash=b"x" * 32)
    assert (await gateway.sendsms(Submission(BELGIAN, "two", key))).error is Code.KEY_WRONG


async def test_a_test_key_goes_to_the_sandbox_wherever_the_number_is(
    gateway: Gateway, store: Store
) -> None:
    key, _ = support.create(store, test=True)
    assert (await gateway.sendsms(Submission(BRITISH, "hi", key))).error is Code.SENT
    with store.read() as connection:
        assert connection.execute(select(tables.delivery.c.route)).scalar_one() == "test"


async def test_a_full_queue_answers_at_once_and_says_when_to_come_back(store: Store) -> None:
    key, _ = support.create(store, rate=None)
    gateway = Gateway(store, ROUTES, queue_limit=5)
    await gateway.start()
    assert (
        await gateway.sendsms(Submission(BELGIAN, "so that the key is known", key))
    ).error is Code.SENT
    replies = await asyncio.gather(
        *(gateway.sendsms(Submission(BELGIAN, f"number {n}", key)) for n in range(200))
    )
    await gateway.aclose()
    refused = [r for r in replies if r.error is Code.INTERNAL]
    accepted = [r for r in replies if r.error is Code.SENT]
    assert refused
    assert accepted
    assert all(r.retry_after for r in refused)
    assert rows(store)[0] == 1 + len(accepted)


async def test_a_store_that_cannot_be_reached_is_an_internal_error(
    gateway: Gateway, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    key, _ = support.create(store, rate=None)
    assert (await gateway.sendsms(Submission(BELGIAN, "one", key))).error is Code.SENT
    with store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE delivery RENAME TO elsewhere")
    reply = await gateway.sendsms(Submission(BELGIAN, "secret words", key))
    assert (reply.error, reply.sent, reply.id) == (Code.INTERNAL, 0, "")
    assert rows_of(store, "message") == 1
    for secret in ("secret words", "494000000", key):
        assert secret not in caplog.text


def rows_of(store: Store, table: str) -> int:
    with store.read() as connection:
        count: int = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
    return count


async def test_whose_key_is_known_is_answered_without_a_task(store: Store) -> None:
    key, _ = support.create(store, rate=None)
    gateway = Gateway(store, ROUTES)
    await gateway.start()
    replies: asyncio.Queue[Reply] = asyncio.Queue()

    def tasks_of(recipients: str) -> int:
        before = len(asyncio.all_tasks())
        gateway.submit(Submission(recipients, "hi", key), replies.put_nowait)
        return len(asyncio.all_tasks()) - before

    assert tasks_of(BELGIAN) == 1
    assert (await replies.get()).error is Code.SENT
    assert tasks_of(BELGIAN) == 0
    assert (await replies.get()).error is Code.SENT
    # What is refused is looked at again, by what is stored of its account.
    assert tasks_of(BRITISH) == 1
    assert (await replies.get()).error is Code.UNREACHABLE
    await gateway.aclose()
    assert rows(store)[0] == 2


async def test_an_account_that_changes_while_its_message_waits_is_read_again(store: Store) -> None:
    key, _ = support.create(store, rate=None)
    gateway = Gateway(store, ROUTES)
    await gateway.start()
    replies: asyncio.Queue[Reply] = asyncio.Queue()
    gateway.submit(Submission(BELGIAN, "known from here on", key), replies.put_nowait)
    assert (await replies.get()).error is Code.SENT
    change(store, countries=frozenset({"BE"}))
    gateway.submit(Submission(BELGIAN, "two", key), replies.put_nowait)
    gateway.submit(Submission(ITALIAN, "three", key), replies.put_nowait)
    assert {(await replies.get()).error for _ in range(2)} == {Code.SENT, Code.UNREACHABLE}
    change(store, enabled=False)
    gateway.submit(Submission(BELGIAN, "four", key), replies.put_nowait)
    assert (await replies.get()).error is Code.KEY_DISABLED
    await gateway.aclose()
    assert replies.empty()  # each is answered once
    assert rows(store)[0] == 2


async def test_what_nobody_waits_for_is_not_begun_when_its_account_comes_late(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = support.create(store, rate=None)
    gateway = Gateway(store, ROUTES, patience=0.05)
    await gateway.start()
    read = account_statements.by_keys

    def slow(*asked: Any) -> Any:
        time.sleep(0.3)
        return read(*asked)

    monkeypatch.setattr(account_statements, "by_keys", slow)
    reply = await gateway.sendsms(Submission(BELGIAN, "hi", key))
    assert reply.error is Code.TIMED_OUT
    await asyncio.sleep(0.5)
    await gateway.aclose()
    assert rows(store)[0] == 0


async def test_what_memory_keeps_of_accounts_is_bounded(
    gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_accounts, "MOST_IN_MEMORY", 3)
    for number in range(6):
        key, _ = support.create(store, f"account {number}")
        assert (await gateway.sendsms(Submission(BELGIAN, "hi", key))).error is Code.SENT
    assert len(gateway._accounts._cached) == 3


async def test_accounts_that_are_asked_for_at_the_same_time_are_read_at_once(
    gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [support.create(store, f"account {number}", rate=None)[0] for number in range(20)]
    reads: list[int] = []
    find = account_statements.by_keys

    def counted(connection: Any, hashes: Any, now: int) -> Any:
        reads.append(len(hashes))
        return find(connection, hashes, now)

    monkeypatch.setattr(account_statements, "by_keys", counted)
    asked = [gateway.sendsms(Submission(BELGIAN, "hi", key)) for key in [*keys, "wrong", *keys]]
    replies = await asyncio.gather(*asked)
    assert [reply.error for reply in replies] == [
        *[Code.SENT] * 20,
        Code.KEY_WRONG,
        *[Code.SENT] * 20,
    ]
    assert sum(reads) == 21  # each key once, however many ask with it
    assert len(reads) <= 3


def test_replies_without_a_note_speak_in_the_words_of_the_table() -> None:
    assert Reply(Code.NOT_SENT).sentence == "The message is not sent"
    assert Reply(Code.NOT_SENT, note="why").sentence == "why"


# -- resending --


def settle(store: Store, *states: str) -> None:
    """Bring the stored deliveries, in their order, to these states."""
    with store.write() as connection:
        ids = connection.execute(select(tables.delivery.c.id).order_by(tables.delivery.c.id))
        for id, state in zip(ids.scalars().all(), states, strict=True):
            queued.bring_to(connection, id, state, due_at=10**15)


def deliveries(store: Store) -> list[Any]:
    with store.read() as connection:
        return list(connection.execute(select(tables.delivery).order_by(tables.delivery.c.id)))


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("queued", Code.SENT),
        ("submitting", Code.SENT),
        ("failed", Code.SENT),
        ("expired", Code.SENT),
        ("uncertain", Code.SENT),
        ("undeliverable", Code.SENT),
        ("submitted", Code.ALREADY_SENT),
        ("delivered", Code.ALREADY_SENT),
        ("unknown", Code.ALREADY_SENT),
    ],
)
async def test_what_is_not_sent_is_queued_again(
    gateway: Gateway, store: Store, clock: Clock, state: str, code: Code
) -> None:
    key, _ = support.create(store)
    first = await gateway.sendsms(Submission(BELGIAN, "hi", key))
    settle(store, state)
    clock.pass_(hours=1)
    reply = await gateway.resendsms(key, first.id)
    assert (reply.error, reply.sent) == (code, 1 if code is Code.SENT else 0)
    with store.read() as connection:
        (told,) = queued.states(connection)
        waiting = connection.execute(select(tables.queue)).one_or_none()
    if code is Code.SENT and state != "submitting":
        assert told == "queued"
        assert waiting is not None
        assert waiting.due_at == clock.now
        assert waiting.possible_duplicate == (state == "uncertain")
    else:
        assert (told, waiting) == (state, None)


async def test_only_the_undelivered_recipients_are_sent_to_again(
    gateway: Gateway, store: Store, clock: Clock
) -> None:
    key, _ = support.create(store, multi=True)
    first = await gateway.sendsms(Submission(FOUR, "hi", key))
    settle(store, "delivered", "failed", "submitted", "expired")
    clock.pass_(hours=60)
    reply = await gateway.resendsms(key, first.id)
    assert (reply.error, reply.sent, reply.id) == (Code.SENT, 2, first.id)
    with store.read() as connection:
        states = queued.states(connection)
    assert states == ["delivered", "queued", "submitted", "queued"]
    assert deliveries(store)[1].expires_at > clock.now


@pytest.mark.parametrize(
    ("key", "id", "code"),
    [
        ("", "x", Code.KEY_MISSING),
        ("wrong", "x", Code.KEY_WRONG),
        (None, "", Code.ID_MISSING),
        (None, "x", Code.ID_UNKNOWN),
    ],
)
async def test_a_refused_resend_has_its_code(
    gateway: Gateway, store: Store, key: str | None, id: str, code: Code
) -> None:
    own, _ = support.create(store)
    for reply in (
        await gateway.resendsms(own if key is None else key, id),
        (await gateway.status(own if key is None else key, id)).reply,
    ):
        assert (reply.error, reply.sent, reply.id) == (code, 0, "")


async def test_a_disabled_key_resends_reads_and_deletes_nothing(
    gateway: Gateway, store: Store
) -> None:
    key, _ = support.create(store)
    first = await gateway.sendsms(Submission(BELGIAN, "hi", key))
    change(store, enabled=False)
    assert (await gateway.resendsms(key, first.id)).error is Code.KEY_DISABLED
    assert (await gateway.getsms(key)).reply.error is Code.KEY_DISABLED
    assert (await gateway.status(key, first.id)).reply.error is Code.KEY_DISABLED
    assert (await gateway.deletesms(key)).error is Code.KEY_DISABLED


async def test_another_accounts_message_is_unknown(gateway: Gateway, store: Store) -> None:
    owner, _ = support.create(store, "owner")
    other, _ = support.create(store, "other")
    first = await gateway.sendsms(Submission(BELGIAN, "hi", owner))
    assert (await gateway.resendsms(other, first.id)).error is Code.ID_UNKNOWN
    assert (await gateway.status(other, first.id)).reply.error is Code.ID_UNKNOWN
    assert (await gateway.deletesms(other, id=first.id)).error is Code.ID_UNKNOWN


async def test_resending_counts_against_the_limit(
    gateway: Gateway, store: Store, clock: Clock
) -> None:
    key, _ = support.create(store)
    first = await gateway.sendsms(Submission(BELGIAN, "hi", key))
    assert (await gateway.resendsms(key, first.id)).error is Code.TOO_FAST
    clock.pass_(minutes=1)
    assert (await gateway.resendsms(key, first.id)).error is Code.SENT
    assert (await gateway.sendsms(Submission(BELGIAN, "hi", key))).error is Code.TOO_FAST


# -- status and history --


async def test_the_status_tells_the_way_of_a_message(gateway: Gateway, store: Store) -> None:
    key, _ = support.create(store)
    first = await gateway.sendsms(Submission(BELGIAN, "hi", key))
    status = await gateway.status(key, first.id)
    assert (status.reply.error, status.state, status.parts) == (Code.SENT, "queued", 1)
    assert [(d.recipient, d.state) for d in status.deliveries] == [("+32494000000", "queued")]


def bytes_of(database: str) -> bytes:
    """Everything that is on disk of an SQLite database."""
    path = Path(database.removeprefix("sqlite:///"))
    return b"".join(file.read_bytes() for file in path.parent.glob(path.name + "*"))


async def test_deleted_history_is_gone_and_the_counts_stay(
    gateway: Gateway, store: Store, database: str, seal: sealed.Seal | None
) -> None:
    key, _ = support.create(store, rate=None, sender="ACMECORP")
    for n in range(30):
        await gateway.sendsms(Submission(f"003249400{n:04}", f"very secret {n}", key))
    settle(store, *["delivered"] * 20, *["failed"] * 5, *["queued"] * 5)
    deleted = await gateway.deletesms(key)
    assert (deleted.error, deleted.sent) == (Code.SENT, 25)
    assert rows(store) == (30, 30, 0)
    with store.read() as connection:
        numbers = connection.execute(select(tables.delivery.c.recipient)).scalars().all()
    assert texts(store).count("") == numbers.count("") == 25
    if store.is_sqlite and seal is None:
        on_disk = bytes_of(database)
        for n in range(30):
            assert (f"very secret {n}".encode() in on_disk) == (n >= 25 or n == 2)
            assert (f"3249400{n:04}".encode() in on_disk) == (n >= 25)
    assert (await gateway.deletesms(key)).sent == 0


async def test_history_is_deleted_up_to_a_time_or_one_by_one(
    gateway: Gateway, store: Store, clock: Clock
) -> None:
    key, _ = support.create(store, rate=None)
    ids = []
    for n in range(4):
        ids.append((await gateway.sendsms(Submission(BELGIAN, f"number {n}", key))).id)
        clock.pass_(hours=1)
    settle(store, *["delivered"] * 4)
    assert (await gateway.deletesms(key, before=clock.now - 2 * 3_600_000)).sent == 2
    assert (await gateway.deletesms(key, id=ids[3])).sent == 1
    statuses = [(await gateway.status(key, id)).reply.error for id in ids]
    assert statuses == [Code.ID_UNKNOWN, Code.ID_UNKNOWN, Code.SENT, Code.ID_UNKNOWN]
    assert (await gateway.resendsms(key, ids[3])).error is Code.ID_UNKNOWN


async def test_a_forgotten_person_is_nowhere_and_gets_nothing(
    gateway: Gateway, store: Store, clock: Clock
) -> None:
    key, _ = support.create(store, multi=True, rate=None)
    await gateway.sendsms(Submission("32494000000,32494000001", "to both", key))
    await gateway.sendsms(Submission("32494000000", "to one", key))
    await gateway.sendsms(Submission("32494000000", "to one, later", key))
    settle(store, "delivered", "queued", "delivered", "queued")
    with store.write() as connection:
        forgotten = forget(connection, "+32494000000", clock.now)
    assert (forgotten.sent, forgotten.cancelled) == (3, 1)
    assert texts(store) == ["to both", "", ""]
    assert [(d.recipient, d.state) for d in deliveries(store)] == [
        ("", "delivered"),
        ("+32494000001", "submitting"),  # in the queue
        ("", "delivered"),
        ("", "failed"),
    ]


# -- the e-mail address of an account --


async def test_a_mail_is_sent_for_the_account_whose_address_it_is(
    gateway: Gateway, store: Store
) -> None:
    _, account = support.create(store)
    assert await gateway.knows(account.mail_address) == MailChoices()
    assert not await gateway.knows("1234567890123456")
    reply = await gateway.sendmail(
        account.mail_address, "ann@example.com", Submission(BELGIAN, "hi")
    )
    assert (reply.error, reply.sent) == (Code.SENT, 1)
    again = await gateway.sendmail(
        account.mail_address, "ann@example.com", Submission(BELGIAN, "ho")
    )
    assert again.error is Code.TOO_FAST
    assert (
        await gateway.sendsms(Submission(BELGIAN, "hi", account.mail_address))
    ).error is Code.KEY_WRONG
    change(store, enabled=False)
    assert not await gateway.knows(account.mail_address)


@pytest.mark.parametrize(
    ("options", "choices"),
    [
        ({}, MailChoices()),
        ({"mail_whole": True}, MailChoices(body_as_it_is=True)),
        ({"mail_machines": True}, MailChoices(machines=True)),
        ({"mail_senders": frozenset({"@a.example"})}, MailChoices(machines=True)),
        ({"mail_senders": frozenset({"@a.example"}), "mail_machines": False}, MailChoices()),
    ],
)
async def test_a_key_says_how_its_mails_are_read(
    gateway: Gateway, store: Store, options: dict[str, Any], choices: MailChoices
) -> None:
    _, account = support.create(store, **options)
    assert await gateway.knows(account.mail_address) == choices


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        ("Ann@Example.com", Code.SENT),
        ("bob@example.com", Code.NOT_SENT),
        ("bob@allowed.example", Code.SENT),
        ("bob@not-allowed.example", Code.NOT_SENT),
        ("", Code.NOT_SENT),
    ],
)
async def test_only_listed_senders_may_write_to_an_address(
    gateway: Gateway, store: Store, sender: str, code: Code
) -> None:
    _, account = support.create(
        store, mail_senders=frozenset({"ann@example.com", "@allowed.example"})
    )
    reply = await gateway.sendmail(account.mail_address, sender, Submission(BELGIAN, "hi"))
    assert reply.error is code


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 459, 3),
        # A route without this letter takes UCS-2, of which a part holds 67.
        ("à" + "a" * 200, 3),
        ("à" + "a" * 201, 4),
        ("à" + "a" * 458, 7),
    ],
)
async def test_a_text_has_as_many_parts_as_the_alphabet_of_its_route_makes_of_it(
    store: Store, text: str, parts: int
) -> None:
    key, _ = support.create(store, rate=None)
    routes = Routes(
        [
            Route(prefix="32", upstreams=("a",), alphabet="ascii"),
            Route(prefix="44", upstreams=("a",)),
        ]
    )
    gateway = Gateway(store, routes, max_parts=3)
    await gateway.start()
    reply = await gateway.sendsms(Submission(BELGIAN, text, key))
    elsewhere = await gateway.sendsms(Submission(BRITISH, text, key))
    await gateway.aclose()
    assert elsewhere.error is Code.SENT
    if parts <= 3:
        assert reply.error is Code.SENT
    else:
        assert (reply.error, reply.id) == (Code.NOT_SENT, "")
        assert reply.sentence.endswith(f"The message is too long: {parts} parts, at most 3")
    with store.read() as connection:
        stored = connection.execute(select(tables.delivery.c.route, tables.delivery.c.parts)).all()
    assert {route: parts for route, parts in stored if route == "32"} == (
        {"32": parts} if parts <= 3 else {}
    )
