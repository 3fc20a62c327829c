"""A new key beside the old one for a while, and a new mail address, in every process."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event, func, select
from support import accounts as support
from support.accepting import BELGIAN, ROUTES
from support.clock import Clock

from sms_gateway.accept.gateway import Gateway
from sms_gateway.backend import Submission
from sms_gateway.codes import Code
from sms_gateway.signup.sessions import Sessions
from sms_gateway.store import Store, accounts, tables

HOUR = 3_600_000


@pytest.fixture
async def elsewhere(store: Store, clock: Clock) -> AsyncIterator[Gateway]:
    """Another process."""
    gateway = Gateway(store, ROUTES, clock=clock)
    await gateway.start()
    yield gateway
    await gateway.aclose()


def rotate(store: Store, clock: Clock, overlap: int, name: str = "acme") -> str:
    with store.write() as connection:
        key = accounts.rotate(connection, name, now=clock.now, valid_until=clock.now + overlap)
    assert key is not None
    return key


async def codes(gateway: Any, *keys: str) -> list[Code]:
    """What a message by each of these keys is answered."""
    return [(await gateway.sendsms(Submission(BELGIAN, "hi", key))).error for key in keys]


def old(store: Store, now: int) -> list[tuple[str, int]]:
    with store.read() as connection:
        (found,) = accounts.old_keys(connection, now).values() or ([],)
    return [(each.hint, each.valid_until) for each in found]


async def test_two_keys_send_until_the_old_one_ends_as_if_it_had_never_been(
    gateway: Any, elsewhere: Any, store: Store, clock: Clock
) -> None:
    first, account = support.create(store, rate=None)
    # In memory from before.
    assert await codes(gateway, first) == await codes(elsewhere, first) == [Code.SENT]
    second = rotate(store, clock, 24 * HOUR)
    end = clock.now + 24 * HOUR
    for process in (gateway, elsewhere):
        for _ in range(2):
            assert await codes(process, first, second) == [Code.SENT, Code.SENT]
    assert old(store, clock.now) == [(first[-4:], end)]
    clock.now = end - 1
    assert await codes(gateway, first, second) == [Code.SENT, Code.SENT]
    clock.now = end
    for process in (gateway, elsewhere):
        assert await codes(process, first, "nobody's", second) == [
            Code.KEY_WRONG,
            Code.KEY_WRONG,
            Code.SENT,
        ]
        assert (await process.getsms(first)).reply.error is Code.KEY_WRONG
        assert (await process.status(first, "0" * 32)).reply.error is Code.KEY_WRONG
    assert old(store, clock.now) == []
    with store.read() as connection:
        of = select(tables.message.c.account_id).distinct()
        assert connection.execute(of).scalars().all() == [account.id]


async def test_keys_of_several_rotations_keep_their_own_ends(
    gateway: Any, store: Store, clock: Clock
) -> None:
    first, _ = support.create(store, rate=None)
    second = rotate(store, clock, 10 * HOUR)
    clock.pass_(hours=5)
    third = rotate(store, clock, 24 * HOUR)
    assert await codes(gateway, first, second, third) == [Code.SENT] * 3
    clock.pass_(hours=5)
    assert await codes(gateway, first, second, third) == [Code.KEY_WRONG, Code.SENT, Code.SENT]
    # A shorter overlap is nobody's reason to let an older key go on for longer.
    fourth = rotate(store, clock, HOUR)
    assert {end for _, end in old(store, clock.now)} == {clock.now + HOUR}
    clock.pass_(hours=1)
    expected = [Code.KEY_WRONG] * 3 + [Code.SENT]
    assert await codes(gateway, first, second, third, fourth) == expected


async def test_without_an_overlap_all_keys_before_end_at_once_everywhere(
    gateway: Any, elsewhere: Any, store: Store, clock: Clock
) -> None:
    first, _ = support.create(store, rate=None)
    second = rotate(store, clock, HOUR)
    for process in (gateway, elsewhere):
        assert await codes(process, first, second) == [Code.SENT, Code.SENT]
    third = rotate(store, clock, 0)
    for process in (gateway, elsewhere):
        assert await codes(process, first, second, third) == [
            Code.KEY_WRONG,
            Code.KEY_WRONG,
            Code.SENT,
        ]
    with store.read() as connection:
        left = connection.execute(select(func.count()).select_from(tables.old_key))
        assert left.scalar_one() == 0


async def test_the_limit_is_that_of_the_account_whichever_key_sends(
    gateway: Any, store: Store, clock: Clock
) -> None:
    first, _ = support.create(store)
    second = rotate(store, clock, HOUR)
    assert await codes(gateway, first, second) == [Code.SENT, Code.TOO_FAST]


async def test_a_disabled_account_is_disabled_by_either_key(
    gateway: Any, store: Store, clock: Clock
) -> None:
    first, _ = support.create(store)
    second = rotate(store, clock, HOUR)
    with store.write() as connection:
        accounts.change(connection, "acme", enabled=False)
    assert await codes(gateway, first, second) == [Code.KEY_DISABLED] * 2


def test_an_old_key_does_not_sign_in_where_it_could_make_a_new_one(
    store: Store, clock: Clock
) -> None:
    sessions = Sessions(store, clock=clock)
    first, account = support.create(store)
    before = sessions.sign_in(first)
    assert isinstance(before, tuple)
    second = sessions.rotate(account, HOUR)
    assert second is not None
    assert sessions.account(before[0]) is None
    refused = sessions.sign_in(first)
    assert not isinstance(refused, tuple)
    assert refused is not None
    assert refused.valid_until == clock.now + HOUR
    assert isinstance(sessions.sign_in(second), tuple)
    assert [each.hint for each in sessions.old_keys(account)] == [first[-4:]]
    clock.pass_(hours=1)
    assert sessions.sign_in(first) is None
    assert sessions.old_keys(account) == []


async def test_mails_to_the_old_address_are_nobodys_in_every_process(
    gateway: Any, elsewhere: Any, store: Store, clock: Clock
) -> None:
    _, account = support.create(store, rate=None)
    mail = Submission(BELGIAN, "hi", "")
    for process in (gateway, elsewhere):
        assert (await process.sendmail(account.mail_address, "a@b.c", mail)).error is Code.SENT
    Sessions(store, clock=clock).new_address(account)
    with store.read() as connection:
        changed = accounts.by_name(connection, "acme")
    assert changed is not None
    assert changed.mail_address != account.mail_address
    for process in (gateway, elsewhere):
        refused = await process.sendmail(account.mail_address, "a@b.c", mail)
        assert refused == await process.sendmail("1" * 16, "a@b.c", mail)
        assert refused.error is Code.KEY_WRONG
        assert await process.knows(account.mail_address) is None
        assert (await process.sendmail(changed.mail_address, "a@b.c", mail)).error is Code.SENT


def test_one_statement_finds_keys_by_two_indexes(store: Store) -> None:
    """The plan of the statement by which requests that are not in memory find their account."""
    support.create(store)
    ran: list[tuple[str, Any]] = []

    @event.listens_for(store.engine, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        ran.append((statement, given))

    explain = "EXPLAIN QUERY PLAN" if store.is_sqlite else "EXPLAIN"
    with store.read() as connection:
        assert accounts.by_keys(connection, [b"x" * 32, b"y" * 32], 0) == {}
        ((statement, given),) = ran
        if not store.is_sqlite:
            connection.exec_driver_sql("SET enable_seqscan = off")
        plan = str(connection.exec_driver_sql(f"{explain} {statement}", given).all())
    if store.is_sqlite:
        assert "SCAN account" not in plan
        assert "SCAN old_key" not in plan
    else:
        assert "Seq Scan" not in plan
