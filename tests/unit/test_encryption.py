"""Encryption of a whole database: what it needs, changing its keys, what cannot be read."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update
from support import accounts as support
from support.accepting import ROUTES
from support.books import LEASE, NOW, Books, came
from support.clock import Clock
from support.encrypted import SECRETS
from support.forgetting import forget

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.codes import Code
from sms_gateway.deliver.ledger import Ledger, MessageCame
from sms_gateway.sms.message import State
from sms_gateway.store import (
    Store,
    encryption,
    events,
    history,
    inbox,
    receipts,
    stops,
    tables,
)
from sms_gateway.store.encryption import TABLES, EncryptionKeyError, encrypted
from sms_gateway.store.sealed import CANNOT_BE_DECRYPTED, UNREADABLE, Seal, Stored
from sms_gateway.upstream import Incoming

ONE, OTHER = SECRETS
TO, OWN, FROM = "+32494000000", "32470000001", "+32499999999"
TEXTS = ("a secret text", "a secret answer", "a secret half", "a secret receipt")


async def filled(store: Store, clock: Clock) -> str:
    """A database with a value in every column that may be encrypted; the message's id."""
    key, account = support.create(store, "sender", rate=None, sender="ACME")
    gateway = Gateway(store, ROUTES, clock=clock)
    await gateway.start()
    reply = await gateway.sendsms(
        Submission(TO, TEXTS[0], key, reference="a secret order", idempotency_key="k")
    )
    assert reply.error is Code.SENT
    await gateway.aclose()
    with store.write() as connection:
        inbox.assign(connection, OWN, account.id, NOW)
        inbox.assign_keyword(connection, OWN, "shop", account.id, NOW)
        stops.add(connection, account.id, FROM, NOW)
    ledger = Ledger(ROUTES, worker=1, lease=LEASE)
    whole = Incoming(sender=FROM, recipient=OWN, text=TEXTS[1])
    half = Incoming(sender=FROM, recipient=OWN, text=TEXTS[2], reference=7, total=2, number=1)
    receipt = came("unknown", recipient=FROM.removeprefix("+"))
    raw = f"id:unknown text:{TEXTS[3]}"
    with store.write() as connection:
        ledger.apply(
            connection,
            [
                MessageCame(upstream="a", incoming=whole, now=NOW),
                MessageCame(upstream="a", incoming=half, now=NOW),
                replace(receipt, receipt=replace(receipt.receipt, raw=raw)),
            ],
        )
    return reply.id


def stored(store: Store) -> dict[str, list[Any]]:
    """The values of all columns that may be encrypted, as they are stored."""
    with store.read() as connection:
        return {
            each.name: list(connection.execute(select(each.stored)).scalars())
            for table in TABLES
            for each in encrypted(table)
        }


def prefixes(store: Store) -> set[str]:
    """What the values begin with: the names of keys; empty for those in clear."""
    found = set()
    for values in stored(store).values():
        for value in filter(None, values):
            text = value if isinstance(value, str) else value.decode("latin-1")
            found.add(text[1:9] if text[:1] == text[9:10] == "~" else "")
    return found


def rekeyed(store: Store, seal: Seal) -> Counter[str]:
    """Rows that were changed, by table, and those that could not be read."""
    done: Counter[str] = Counter()
    for table in TABLES:
        last = None
        while True:
            with store.write() as connection:
                batch = encryption.rekey(connection, seal, table, last)
            done[table.name] += batch.changed
            done["unreadable"] += batch.unreadable
            if batch.last is None:
                break
            last = batch.last
    return +done


async def test_every_column_is_encrypted_and_by_nobody_else_read(
    database: str, clock: Clock
) -> None:
    seal = Seal([ONE])
    store = Store(database, seal)
    await filled(store, clock)
    values = stored(store)
    assert all(values.values()), values
    assert prefixes(store) == {seal.writes}
    with store.read() as connection:
        counts = list(encryption.counts(connection, seal.names))
        by_nobody = list(encryption.counts(connection, []))
    assert {count.key for count in counts} == {seal.writes}
    assert {count.column for count in counts} == set(values)
    assert {(each.column, each.key) for each in by_nobody} == {(name, "") for name in values}
    store.close()


# From these keys to those.
CHANGES = {
    "encrypt": (None, Seal([ONE])),
    "another key": (Seal([ONE]), Seal([OTHER, ONE])),
    "decrypt": (Seal([ONE]), Seal([ONE], in_clear=True)),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_all_is_stored_by_another_key_and_read_as_before(
    database: str, clock: Clock, change: str
) -> None:
    before, after = CHANGES[change]
    old = Store(database, before)
    encryption.check(old, before)
    id = await filled(old, clock)
    told = everything(old, id)
    old.close()
    store = Store(database, after)
    encryption.check(store, after)
    # Whether it is done yet or not.
    assert everything(store, id) == told
    changed = rekeyed(store, after)
    assert set(changed) == {table.name for table in TABLES}
    assert prefixes(store) == {after.writes}
    assert everything(store, id) == told
    assert not rekeyed(store, after)
    # Now the keys from before are not needed.
    with store.write() as connection:
        encryption.forget_keys(connection, but=after.writes)
    store.close()
    last = Seal([OTHER]) if change == "another key" else None if change == "decrypt" else after
    store = Store(database, last)
    encryption.check(store, last)
    assert everything(store, id) == told
    store.close()


def everything(store: Store, id: str) -> list[object]:
    """What all parts of the program tell of the database."""
    with store.read() as connection:
        message = history.of_message(connection, id)
        assert message is not None
        account = message.account_id
        found = [
            history.found_page(connection, account, search).messages
            for search in (TO, "secret", "494000", id, "not there")
        ]
        whole = ("a", FROM, OWN, 7, 2)
        parts = [(part.number, part.text) for part in inbox.parts_of(connection, whole)]
        blocked = stops.blocked(connection, [account], [FROM, TO])
        digits = [row.digits for row in inbox.numbers(connection)]
        owners = inbox.owners(connection, [OWN])
        page = inbox.page(connection, account, after=0, most=9)
        early = [(row.recipient, row.raw) for row in receipts.early(connection)]
    return [message, found, parts, blocked, digits, owners, page, early]


async def test_a_person_is_forgotten_whatever_key_they_are_stored_by(
    database: str, clock: Clock
) -> None:
    plain = Store(database)
    await filled(plain, clock)
    plain.close()
    seal = Seal([OTHER])
    store = Store(database, seal)
    # One more of everything, by a key.
    with store.write() as connection:
        rows = connection.execute(select(tables.received)).all()
        inbox.add_received(
            connection,
            [{k: v for k, v in row._asdict().items() if k != "id"} for row in rows],
        )
        gone = forget(connection, FROM, NOW)
        assert gone.received == 2
        sent = forget(connection, TO, NOW)
        assert (sent.sent, sent.cancelled) == (1, 1)
        assert connection.execute(select(tables.early_receipt)).all() == []
        assert connection.execute(select(tables.incoming_part)).all() == []
        delivery = connection.execute(select(tables.delivery)).one()
    assert (delivery.recipient, delivery.binding) == ("", None)
    store.close()


# -- what a database needs --


def test_a_database_is_not_opened_without_its_keys(database: str) -> None:
    seal = Seal([ONE])
    store = Store(database, seal)
    encryption.check(store, seal)
    encryption.check(store, seal)
    with pytest.raises(EncryptionKeyError, match="encryption_key_file is not set"):
        encryption.check(store, None)
    with pytest.raises(EncryptionKeyError, match=f"has not: {seal.writes}"):
        encryption.check(store, Seal([OTHER]))
    encryption.check(store, Seal([OTHER, ONE]))
    with pytest.raises(EncryptionKeyError, match="has not"):
        encryption.check(store, seal)
    with store.write() as connection:
        check = tables.encryption_key.c
        connection.execute(
            update(tables.encryption_key)
            .where(check.name == seal.writes)
            .values(check_value=seal.text("encryption_key.check_value", "another"))
        )
    with pytest.raises(EncryptionKeyError, match="check values"):
        encryption.check(store, Seal([OTHER, ONE]))
    store.close()


# -- what cannot be read --


def test_what_cannot_be_read_waits_and_keeps_nothing_else_from_going(database: str) -> None:
    theirs = Store(database, Seal([OTHER]))
    books = Books(theirs)
    hidden = books.accept("+32494000001")
    theirs.close()
    store = books.store = Store(database, Seal([ONE]))
    shown = books.accept("+32494000002")
    assert [d.message_id for d in books.claim()] == [shown]
    delivery = books.delivery(hidden)
    assert (delivery.state, delivery.recipient) == (State.QUEUED, UNREADABLE)
    assert [step.detail for step in delivery.steps] == [CANNOT_BE_DECRYPTED]
    store.close()
    # With its key it goes, once it is looked at again, for which the housekeeper wakes it.
    store = books.store = Store(database, Seal([ONE, OTHER]))
    books.keep_house(NOW)
    assert books.claim() == []
    again = NOW + 15 * 60_000
    books.keep_house(again)
    assert [d.message_id for d in books.claim(now=again)] == [hidden]
    store.close()


def test_a_worker_without_keys_sends_nothing_that_is_encrypted(database: str) -> None:
    encrypting = Store(database, Seal([ONE]))
    books = Books(encrypting)
    hidden = books.accept()
    books.store = Store(database)
    assert books.claim() == []
    assert books.steps(hidden) == ["put off"]
    books.store.close()
    encrypting.close()


@pytest.mark.parametrize("column", ["recipient", "text"])
def test_a_number_or_text_of_another_message_is_not_sent(database: str, column: str) -> None:
    store = Store(database, Seal([ONE]))
    books = Books(store)
    first, second = books.accept("+32494000001"), books.accept("+32494000002")
    table = tables.delivery if column == "recipient" else tables.message
    key = tables.delivery.c.message_id if column == "recipient" else tables.message.c.id
    swapped = next(each for each in encrypted(table) if each.column.name == column)
    with store.write() as connection:
        others = connection.execute(select(swapped.stored).where(key == first)).scalar_one()
        value = Stored(others) if column == "recipient" else others
        connection.execute(update(table).where(key == second).values({column: value}))
    assert [d.message_id for d in books.claim()] == [first]
    assert books.steps(second) == ["put off"]
    store.close()


async def test_a_resend_of_what_cannot_be_read_is_refused(database: str, clock: Clock) -> None:
    theirs = Store(database, Seal([OTHER]))
    key, _ = support.create(theirs, rate=None)
    gateway = Gateway(theirs, ROUTES, clock=clock)
    await gateway.start()
    accepted = await gateway.sendsms(Submission(TO, "Hi", key))
    await gateway.aclose()
    theirs.close()
    store = Store(database, Seal([ONE]))
    gateway = Gateway(store, ROUTES, clock=clock)
    reply = await gateway.resendsms(key, accepted.id)
    assert reply.error is Code.INTERNAL
    assert "decrypted" in reply.note
    store.close()


async def test_an_event_that_cannot_be_read_waits_and_the_others_are_told(
    database: str, clock: Clock
) -> None:
    theirs = Store(database, Seal([OTHER]))
    _, account = support.create(theirs, callback_url="https://example.com/", callback_secret="x")
    row = {
        "account_id": account.id,
        "upstream": "a",
        "sender": FROM,
        "recipient": OWN,
        "text": "Hi",
        "received_at": NOW,
    }
    with theirs.write() as connection:
        inbox.add_received(connection, [row])
    store = Store(database, Seal([ONE]))
    with store.write() as connection:
        inbox.add_received(connection, [row])
        events.add_received(connection, after=0, accounts=[account.id], now=NOW)
        due = events.claim(connection, now=NOW, lease=60_000, most=9)
        assert [each.text for each in due] == ["Hi"]
        waiting = [each.failure for each in events.listed(connection, most=9)]
    assert sorted(waiting) == ["", CANNOT_BE_DECRYPTED]
    theirs.close()
    store.close()


def test_an_interrupted_change_of_keys_goes_on(database: str) -> None:
    plain = Store(database)
    books = Books(plain)
    for n in range(7):
        books.accept(f"+3249400000{n}")
    plain.close()
    seal = Seal([ONE])
    store = Store(database, seal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encryption, "AT_ONCE", 3)
        with store.write() as connection:
            first = encryption.rekey(connection, seal, tables.delivery, None)
        assert (first.rows, first.changed) == (3, 3)
        assert rekeyed(store, seal) == {"message": 7, "delivery": 4}
    with store.read() as connection:
        counts = [count for count in encryption.counts(connection, seal.names) if not count.key]
    assert counts == []
    store.close()


@pytest.mark.parametrize("change", CHANGES)
def test_a_repeated_offer_is_known_whatever_key_the_first_is_stored_by(
    database: str, change: str
) -> None:
    before, after = CHANGES[change]
    offers = {("a", "one"): NOW, ("a", "two"): NOW}
    old = Store(database, before)
    with old.write() as connection:
        assert inbox.offered_before(connection, offers) == set()
    old.close()
    store = Store(database, after)
    for _ in range(2):
        with store.write() as connection:
            assert inbox.offered_before(connection, offers) == set(offers)
        assert rekeyed(store, after)["idempotency"] in (2, 0)
    assert prefixes(store) == {after.writes}
    store.close()
