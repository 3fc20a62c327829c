"""The audit trail: what is written stays, on both databases."""

import asyncio
import contextvars
from collections.abc import Sequence

import pytest
import sqlalchemy
from sqlalchemy.exc import DBAPIError
from support.accounts import create
from support.clock import Clock

from sms_gateway import callers
from sms_gateway.accounts import Account
from sms_gateway.callers import Caller, Face
from sms_gateway.deliver.retention import keep_trail
from sms_gateway.signup.sessions import Sessions
from sms_gateway.store import Store, audit
from sms_gateway.store.audit import WORDS, Action, Entry, masked

DAY = 86_400_000
NOW = 1_800_000_000_000


def add(store: Store, action: Action, account: Account | None = None, *, at: int = NOW) -> None:
    with store.write() as connection:
        audit.record(connection, action, account, {"rate": "20/s", "none": None}, now=at)


def trail(store: Store, name: str | None = None) -> Sequence[Entry]:
    with store.read() as connection:
        return audit.listed(connection, since=0, name=name, most=1_000)


def test_every_action_has_words() -> None:
    assert WORDS.keys() == set(Action)


def test_an_entry_says_who_did_what_to_whom(store: Store) -> None:
    _, account = create(store)

    def act() -> None:
        callers.is_now(Caller(face=Face.COMMAND, operator="alice as sms@host"))
        add(store, Action.KEY_CHANGE, account)

    contextvars.copy_context().run(act)
    add(store, Action.AUDIT_PRUNE)
    (changed,) = trail(store, "acme")
    assert (changed.at, changed.action, changed.words) == (NOW, "key.change", "key changed")
    assert (changed.face, changed.operator) == (Face.COMMAND, "alice as sms@host")
    assert (changed.account, changed.network) == ("acme", "")
    assert changed.facts == {"rate": "20/s"}
    (_, other) = trail(store)
    assert (other.face, other.operator, other.account) == (Face.GATEWAY, "", "")


def test_what_is_undone_leaves_no_entry(store: Store) -> None:
    with store.write() as connection:
        audit.record(connection, Action.KEY_ROTATE, now=NOW)
        connection.rollback()
    assert trail(store) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET facts = '{}'",
        "UPDATE audit SET account = account",
        "DELETE FROM audit",
        # SQLite takes ON for a join, unless there is a WHERE.
        "INSERT INTO audit SELECT * FROM audit WHERE true"
        " ON CONFLICT (id) DO UPDATE SET facts = '{}'",
    ],
)
def test_nothing_is_changed_or_deleted(store: Store, statement: str) -> None:
    add(store, Action.KEY_CREATE)
    before = trail(store)
    with pytest.raises(DBAPIError, match="only added to"), store.write() as connection:
        connection.execute(sqlalchemy.text(statement))
    assert trail(store) == before
    assert len(before) == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nothing_is_replaced(store: Store) -> None:
    """SQLite deletes what it replaces without a word to triggers on DELETE."""
    test_nothing_is_changed_or_deleted(store, "INSERT OR REPLACE INTO audit SELECT * FROM audit")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_trail_is_not_emptied(store: Store) -> None:
    test_nothing_is_changed_or_deleted(store, "TRUNCATE audit")


def test_only_what_is_old_enough_is_removed_and_that_is_an_entry(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "AT_ONCE", 3)
    for days in (9, 8, 7, 6, 5, 1):
        add(store, Action.KEY_CHANGE, at=NOW - days * DAY)
    removed: list[int] = []
    while not removed or removed[-1]:
        with store.write() as connection:
            removed.append(audit.prune(connection, before=NOW - 4 * DAY, now=NOW))
    assert removed == [3, 2, 0]
    kept = trail(store)
    assert [entry.action for entry in kept] == ["key.change", "audit.prune", "audit.prune"]
    assert [entry.facts.get("entries") for entry in kept] == [None, 3, 2]
    with pytest.raises(DBAPIError, match="only added to"), store.write() as connection:
        connection.execute(sqlalchemy.text("DELETE FROM audit"))


def test_what_may_be_removed_is_not_said_for_longer_than_the_transaction(store: Store) -> None:
    add(store, Action.KEY_CHANGE, at=0)
    add(store, Action.KEY_CHANGE, at=NOW)
    with store.write() as connection:
        connection.execute(sqlalchemy.text(f"INSERT INTO audit_retention VALUES ({DAY})"))
        connection.execute(sqlalchemy.text("DELETE FROM audit WHERE at < 10"))
    with pytest.raises(DBAPIError, match="only added to"), store.write() as connection:
        connection.execute(sqlalchemy.text(f"DELETE FROM audit WHERE at = {NOW}"))
    assert len(trail(store)) == 1


async def test_the_worker_removes_what_is_too_old(store: Store) -> None:
    add(store, Action.KEY_CHANGE, at=0)
    keeping = asyncio.create_task(keep_trail(store, 365 * DAY))
    while [entry.action for entry in trail(store)] != ["audit.prune"]:
        await asyncio.sleep(0.01)
    keeping.cancel()


def test_an_account_sees_what_concerns_it_page_by_page(store: Store) -> None:
    _, mine = create(store, "mine")
    _, theirs = create(store, "theirs")
    for at in range(5):
        add(store, Action.KEY_CHANGE, mine, at=at)
        add(store, Action.KEY_CHANGE, theirs, at=at)
        add(store, Action.GATEWAY_START, at=at)
    with store.read() as connection:
        first = audit.page(connection, mine.id, before=2**62, most=3)
        rest = audit.page(connection, mine.id, before=first[-1].id, most=3)
    assert [entry.at for entry in (*first, *rest)] == [4, 3, 2, 1, 0]
    assert {entry.account for entry in (*first, *rest)} == {"mine"}


def test_signing_in_and_out_and_a_new_key_are_entries(store: Store) -> None:
    key, account = create(store)
    sessions = Sessions(store, clock=Clock())
    signed_in = sessions.sign_in(key)
    assert isinstance(signed_in, tuple)
    sessions.sign_out(signed_in[0])
    sessions.sign_out(signed_in[0])  # is over
    new = sessions.rotate(account, 0)
    assert new is not None
    assert [entry.action for entry in trail(store, "acme")] == [
        "session.begin", "session.end", "key.rotate",
    ]  # fmt: skip
    written = str(trail(store))
    assert key not in written
    assert new not in written
    assert new[-8:] not in written


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+32494123456", "…456"),
        ("32494123456", "…456"),
        ("8000", "…0"),
        ("112", "…2"),
        ("12", "…"),
        ("", "…"),
    ],
)
def test_no_number_is_whole(number: str, shown: str) -> None:
    assert masked(number) == shown


def test_a_fact_is_cut_short(store: Store) -> None:
    with store.write() as connection:
        facts = {"name": "x" * 10_000, "many": frozenset("ba"), "yes": True, "count": 7}
        audit.record(connection, Action.KEY_CHANGE, None, facts, now=NOW)
    (entry,) = trail(store)
    assert entry.facts == {"name": "x" * 500, "many": "a,b", "yes": True, "count": 7}
