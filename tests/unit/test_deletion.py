"""A deleted key is nobody's at once, and its history goes in steps that may be interrupted."""

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import func, select, update
from support import accounts as support
from support.accepting import BELGIAN, ROUTES
from support.books import HOUR, NOW, Books, late, submitted
from support.clock import Clock
from support.forgetting import forget

from sms_gateway.accept.gateway import Gateway
from sms_gateway.accounts import Account
from sms_gateway.backend import Submission
from sms_gateway.cli.deleting import erase_closed
from sms_gateway.codes import Code
from sms_gateway.deliver.retention import finish_deletions
from sms_gateway.signup.sessions import Sessions
from sms_gateway.sms.ids import new_id
from sms_gateway.sms.message import State
from sms_gateway.store import Store, accounts, deletion, erase, inbox, stops, tables
from sms_gateway.store.bulk import insert_many
from sms_gateway.upstream import Outcome


def close(store: Store, name: str = "acme", now: int = NOW) -> int:
    with store.write() as connection:
        account_id = deletion.close(connection, name, now)
    assert account_id is not None
    return account_id


def run_steps(store: Store, account_id: int, most: int = 10**6) -> deletion.Deletion:
    """Erase, and be interrupted after so many steps."""
    ending = deletion.Deletion(account_id)
    for number, step in enumerate(ending.steps(NOW)):
        if number == most:
            break
        with store.write() as connection:
            step(connection)
    return ending


def count(store: Store, table: Any, *where: Any) -> int:
    with store.read() as connection:
        counting = select(func.count()).select_from(table).where(*where)
        return int(connection.execute(counting).scalar_one())


def filled(store: Store, messages: int, state: str = "delivered", name: str = "acme") -> Account:
    """A key with a history of each kind, a third of each."""
    _, account = support.create(store, name, rate=None)
    ids = [new_id(NOW) for _ in range(messages)]
    with store.write() as c:
        of_message = {"sender": "", "encoding": "gsm7", "parts": 1, "accepted_at": NOW}
        insert_many(
            c,
            tables.message,
            [of_message | {"id": id, "account_id": account.id, "text": "secret"} for id in ids],
        )
        of_delivery = {"route": "32", "parts": 1, "due_at": NOW, "expires_at": NOW + HOUR}
        rest = {"attempts": 0, "possible_duplicate": False, "recipient": "+32494000000"}
        insert_many(
            c,
            tables.delivery,
            [of_delivery | rest | {"message_id": id, "state": state} for id in ids],
        )
        row = {"account_id": account.id, "upstream": "a", "sender": "+32494000000"}
        rest = {"recipient": "8850", "text": "secret", "received_at": NOW}
        inbox.add_received(c, [row | rest] * messages)
        for n in range(messages):
            stops.add(c, account.id, f"+3249400{n:04}", NOW)
        c.execute(
            tables.number.insert().values(digits="8850", account_id=account.id, assigned_at=NOW)
        )
    return account


def is_gone(store: Store, account_id: int, messages: int) -> None:
    """Nothing but empty rows is left."""
    assert count(store, tables.message, tables.message.c.text != "") == 0
    assert count(store, tables.delivery, tables.delivery.c.recipient != "") == 0
    assert count(store, tables.message) == messages
    for table in (tables.received, tables.stop, tables.event, tables.number, tables.session):
        assert count(store, table) == 0
    with store.read() as connection:
        row = connection.execute(
            select(tables.account).where(tables.account.c.id == account_id)
        ).one()
    assert row.name == f"\x7f{account_id}"
    assert (row.key_hint, row.sender, row.callback_secret) == ("", "", "")


async def test_a_deleted_key_is_unknown_at_once_in_every_process(
    gateway: Any, store: Store, clock: Clock
) -> None:
    key, account = support.create(store, rate=None)
    other = Gateway(store, ROUTES, clock=clock)
    await other.start()
    session = Sessions(store, clock=clock).sign_in(key)
    assert isinstance(session, tuple)
    with store.write() as connection:
        younger = accounts.rotate(connection, "acme", now=clock.now, valid_until=clock.now + HOUR)
    assert younger is not None
    session = Sessions(store, clock=clock).sign_in(younger)
    assert isinstance(session, tuple)
    for process in (gateway, other):
        for each in (key, younger):
            assert (await process.sendsms(Submission(BELGIAN, "hi", each))).error is Code.SENT
    close(store, now=clock.now)
    for process in (gateway, other):
        for each in (key, younger):
            reply = await process.sendsms(Submission(BELGIAN, "hi", each))
            assert reply == await process.sendsms(Submission(BELGIAN, "hi", "nobody's"))
            assert reply.error is Code.KEY_WRONG
            assert (await process.getsms(each)).reply.error is Code.KEY_WRONG
        mail = await process.sendmail(account.mail_address, "a@b.c", Submission(BELGIAN, "hi", ""))
        assert mail.error is Code.KEY_WRONG
        of_nobody = f"{deletion.NAMELESS}{account.id}"
        assert await process.knows(of_nobody) is None
        assert (await process.resend_for(account.id, "0" * 32)).error is Code.KEY_WRONG
    assert Sessions(store, clock=clock).account(session[0]) is None
    assert Sessions(store, clock=clock).rotate(account, 0) is None
    await other.aclose()


def test_a_name_is_free_again_when_the_history_is_gone(store: Store) -> None:
    account_id = filled(store, 3).id
    assert close(store) == account_id
    with store.read() as connection:
        assert accounts.by_name(connection, "acme") is None
        assert accounts.everyone(connection) == []
    run_steps(store, account_id)
    _, again = support.create(store)
    assert again.id != account_id
    with store.write() as connection:
        assert deletion.close(connection, "nobody", NOW) is None


def test_a_deletion_may_be_interrupted_anywhere_and_is_finished_by_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase, "AT_ONCE", 2)
    account_id = filled(store, 7, state="queued").id
    for _ in range(6):
        # As the command does it: by its name, from the beginning.
        assert close(store) == account_id
        run_steps(store, account_id, most=3)
    assert close(store) == account_id
    run_steps(store, account_id)
    is_gone(store, account_id, 7)
    assert count(store, tables.delivery, tables.delivery.c.state == State.FAILED) == 7
    assert count(store, tables.step, tables.step.c.detail == deletion.DELETED) == 7


async def test_a_worker_finishes_what_the_command_began(store: Store) -> None:
    now = time.time_ns() // 1_000_000
    account_id = filled(store, 5).id
    assert close(store, now=now) == account_id
    run_steps(store, account_id, most=1)
    await finish_deletions(store)
    is_gone(store, account_id, 5)
    # Somebody had read the account before, and writes now.
    with store.write() as connection:
        connection.execute(
            tables.message.insert().values(
                id=new_id(now),
                account_id=account_id,
                sender="",
                text="late",
                encoding="gsm7",
                parts=1,
                accepted_at=now,
            )
        )
    await finish_deletions(store)
    is_gone(store, account_id, 6)


def test_what_others_have_stays(store: Store) -> None:
    filled(store, 3)
    kept = filled_without_number(store)
    erase_closed(store, close(store))
    assert count(store, tables.message, tables.message.c.text != "") == 3
    assert count(store, tables.stop, tables.stop.c.account_id == kept) == 3
    assert count(store, tables.received, tables.received.c.account_id == kept) == 3


def filled_without_number(store: Store) -> int:
    with store.write() as connection:
        connection.execute(update(tables.number).values(digits="8851"))
    return filled(store, 3, name="other").id


def test_what_is_with_a_worker_keeps_its_text_until_the_carrier_has_answered(books: Books) -> None:
    waits, sent = books.accept(at=NOW), books.accept(at=NOW - 1)
    (delivery,) = books.claim(parts=1)
    assert delivery.message_id == sent
    account_id = close(books.store, books.account.name)
    ending = run_steps(books.store, account_id)
    assert (ending.sent, ending.cancelled, ending.submitting) == (1, 1, 1)
    assert books.delivery(waits).state is State.FAILED
    assert books.delivery(sent).recipient == "+32494000000"
    # Put off by the carrier it would be sent later; now it is not.
    books.settle(delivery, Outcome.RETRY)
    assert books.state(sent) is State.QUEUED
    ending = run_steps(books.store, account_id)
    assert (ending.sent, ending.cancelled, ending.submitting) == (1, 1, 0)
    assert books.claim(now=NOW + HOUR) == []
    assert books.delivery(sent).recipient == ""


def test_a_late_receipt_for_a_deleted_key_harms_nobody(books: Books) -> None:
    id = submitted(books, "abc")
    run_steps(books.store, close(books.store, books.account.name))
    assert books.delivery(id).recipient == ""
    books.receipt("abc")
    assert books.state(id) is State.DELIVERED
    assert books.early() == 0
    books.receipt("abc")  # once more, as carriers do
    assert books.early() == 0


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.REFUSED, Outcome.ACCEPTED])
def test_a_late_answer_does_not_have_an_erased_text_sent_once_more(
    books: Books, outcome: Outcome
) -> None:
    id = books.accept()
    (delivery,) = books.claim()
    books.settle(delivery, Outcome.UNANSWERED)
    assert books.state(id) is State.UNCERTAIN
    run_steps(books.store, close(books.store, books.account.name))
    assert books.state(id) is State.UNKNOWN
    books.write(late(delivery, outcome, "abc" if outcome is Outcome.ACCEPTED else ""))
    assert books.claim(now=NOW + HOUR) == []
    assert books.state(id) is not State.QUEUED


def test_a_person_is_not_forgotten_of_what_is_with_a_worker_until_it_is_done(
    books: Books,
) -> None:
    id = books.accept()
    (delivery,) = books.claim()
    with books.store.write() as connection:
        gone = forget(connection, "+32494000000", NOW)
    assert (gone.sent, gone.submitting) == (0, 1)
    assert books.delivery(id).recipient == "+32494000000"
    books.settle(delivery, Outcome.RETRY)
    with books.store.write() as connection:
        gone = forget(connection, "+32494000000", NOW)
    assert (gone.sent, gone.cancelled, gone.submitting) == (1, 1, 0)
    assert books.delivery(id).recipient == ""


async def test_others_are_accepted_between_the_steps(store: Store, clock: Clock) -> None:
    account_id = filled(store, 3_000).id
    key, _ = support.create(store, "other", rate=None)
    gateway = Gateway(store, ROUTES, clock=clock)
    await gateway.start()
    close(store)
    deleting = asyncio.create_task(asyncio.to_thread(erase_closed, store, account_id))
    between = 0
    while not deleting.done():
        reply = await gateway.sendsms(Submission(BELGIAN, f"number {between}", key))
        assert reply.error is Code.SENT
        between += not deleting.done()
    ended = await deleting
    await gateway.aclose()
    assert ended.sent == ended.received == 3_000
    # One at least in each pause: six steps of each of messages, received ones and stops.
    assert between >= 12


def test_a_mail_address_is_taken_off_lists_and_an_empty_list_is_nobody(store: Store) -> None:
    alice, bob = "alice@example.com", "bob@example.com"
    support.create(store, "one", mail_senders=frozenset({alice}))
    support.create(store, "two", mail_senders=frozenset({alice, bob}))
    support.create(store, "three", mail_senders=frozenset({"@example.com"}))
    support.create(store, "Alice@Example.com", rate=None)
    with store.write() as connection:
        gone = deletion.forget_address(connection, alice, NOW)
    assert (gone.requests, gone.lists, len(gone.accounts)) == (0, 2, 1)
    with store.read() as connection:
        writers = {a.name: a.mail_senders for a in accounts.everyone(connection)}
    assert writers == {
        "one": frozenset(),
        "two": frozenset({bob}),
        "three": frozenset({"@example.com"}),
    }


async def test_nobody_writes_to_an_empty_list(gateway: Any, store: Store) -> None:
    _, account = support.create(store, mail_senders=frozenset({"alice@example.com"}))
    with store.write() as connection:
        deletion.forget_address(connection, "alice@example.com", NOW)
    for writer in ("", "alice@example.com", "@"):
        reply = await gateway.sendmail(account.mail_address, writer, Submission(BELGIAN, "hi", ""))
        assert reply.error is Code.NOT_SENT
