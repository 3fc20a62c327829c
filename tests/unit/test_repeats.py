"""Repeats: what has an idempotency key is accepted once, and answered as often as it comes."""

import asyncio
import hashlib
import secrets

import pytest
from sqlalchemy import select, update
from sqlalchemy import text as sql
from support import accounts as support
from support.accepting import BELGIAN, BRITISH, ITALIAN, NOW, ROUTES, change, rows
from support.clock import Clock
from support.forgetting import forget

from sms_gateway.accept.gateway import Gateway
from sms_gateway.accept.repeats import own_name
from sms_gateway.backend import ID_KEY, Reply, Submission
from sms_gateway.codes import Code
from sms_gateway.sms.ids import new_id
from sms_gateway.sms.message import State
from sms_gateway.store import Store, intake, sealed, tables
from sms_gateway.store.sealed import Seal

pytestmark = pytest.mark.encrypted_too


async def test_a_repeat_gets_the_first_reply_and_sends_nothing(
    gateway: Gateway, store: Store, clock: Clock
) -> None:
    key, _ = support.create(store)
    first = await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key="once"))
    clock.pass_(hours=23)
    again = await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key="once"))
    assert again == first
    assert rows(store) == (1, 1, 1)


async def test_a_repeat_at_once_is_not_counted_against_the_limit(
    gateway: Gateway, store: Store
) -> None:
    key, _ = support.create(store)
    replies = await asyncio.gather(
        *(
            gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key="once"))
            for _ in range(20)
        )
    )
    assert {r.error for r in replies} == {Code.SENT}
    assert len({r.id for r in replies}) == 1
    assert rows(store) == (1, 1, 1)


@pytest.mark.parametrize("named", [False, True], ids=["key", "id"])
async def test_two_processes_know_each_others_repeats(
    store: Store, database: str, seal: Seal | None, clock: Clock, named: bool
) -> None:
    key, _ = support.create(store, rate=None)
    stores = [Store(database, seal), Store(database, seal)]
    gateways = [Gateway(opened, ROUTES, clock=clock) for opened in stores]
    for gateway in gateways:
        await gateway.start()
    keys = [ID_KEY + new_id(NOW) if named else f"k{n}" for n in range(20)]
    replies = await asyncio.gather(
        *(
            gateways[n % 2].sendsms(Submission(BELGIAN, "hi", key, idempotency_key=keys[n // 6]))
            for n in range(120)
        )
    )
    for gateway, opened in zip(gateways, stores, strict=True):
        await gateway.aclose()
        opened.close()
    assert {r.error for r in replies} == {Code.SENT}
    assert rows(store) == (20, 20, 0 if named else 20)
    assert len({r.id for r in replies}) == 20


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("text", ["hi", "ho"])
async def test_who_comes_second_in_a_race_for_a_key_is_told_what_came_first(
    gateway: Gateway, store: Store, clock: Clock, text: str
) -> None:
    """Another process records the key after ours has looked for it, and before it records it."""
    key, account = support.create(store, rate=None)
    first = new_id(NOW)
    content = intake.digest(f"{len(BELGIAN)}:{BELGIAN}hi")
    race = {
        intake.repeat_id(account.id, "once"): intake.Accepted(
            content_hash=content, message_id=first, sent=1
        )
    }
    with store.write() as connection:
        intake.remember(connection, race, clock.now)
        # A neighbour in the same transaction is none the worse for it.
        asked = asyncio.gather(
            gateway.sendsms(Submission(BELGIAN, text, key, idempotency_key="once")),
            gateway.sendsms(Submission(BELGIAN, "another", key, idempotency_key="other")),
        )
        await waits_for_a_lock(store)
    reply, other = await asked
    if text == "hi":
        assert reply == Reply(Code.SENT, 1, first)
    else:
        assert (reply.error, reply.id) == (Code.NOT_SENT, "")
        assert "idempotency key" in reply.sentence
    assert other.error is Code.SENT
    with store.read() as connection:
        (row,) = connection.execute(select(tables.message.c.id, tables.message.c.text))
        assert sealed.opened(connection, "message.text", row.text, row.id) == "another"
    assert rows(store) == (1, 1, 2)


async def waits_for_a_lock(store: Store) -> None:
    """Returns when some transaction of this database waits for another's."""
    waiting = sql("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(60):
        while True:
            with store.read() as connection:
                if connection.execute(waiting).scalar_one():
                    return
            await asyncio.sleep(0.01)


async def test_an_idempotency_key_with_other_content_is_refused(
    gateway: Gateway, store: Store
) -> None:
    key, _ = support.create(store, rate=None)
    await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key="once"))
    reply = await gateway.sendsms(Submission(BELGIAN, "ho", key, idempotency_key="once"))
    assert (reply.error, reply.sent, reply.id) == (Code.NOT_SENT, 0, "")
    assert "idempotency key" in reply.sentence
    assert rows(store) == (1, 1, 1)


def test_what_an_idempotency_key_is_stored_as_does_not_change() -> None:
    # What is in databases has to be found again.
    plain = hashlib.sha256(b"7 once").digest()
    assert intake.repeat_id(7, "once") == plain
    for odd in ("sendsmsnow-", "sendsmsnow-" + "g" * 32, "sendsmsnow-" + "0" * 33, "0" * 32):
        assert intake.repeat_id(7, odd) == hashlib.sha256(f"7 {odd}".encode()).digest()


async def test_a_key_may_be_the_id_of_its_message(
    gateway: Gateway, store: Store, clock: Clock
) -> None:
    key, _ = support.create(store)
    id = new_id(NOW)
    first = await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key=ID_KEY + id))
    assert first == Reply(Code.SENT, 1, id)
    # The limit of one a minute does not count repeats.
    again = [
        gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key=ID_KEY + id))
        for _ in range(10)
    ]
    assert set(await asyncio.gather(*again)) == {first}
    clock.pass_(hours=23)
    change(store, countries=frozenset({"IT"}))
    assert (
        await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key=ID_KEY + id)) == first
    )
    assert rows(store) == (1, 1, 0)


async def test_copies_that_come_together_are_accepted_once(gateway: Gateway, store: Store) -> None:
    key, _ = support.create(store, rate=None)
    ids = [new_id(NOW) for _ in range(5)]
    replies = await asyncio.gather(
        *(
            gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key=ID_KEY + id))
            for id in ids * 4
        )
    )
    assert replies == [Reply(Code.SENT, 1, id) for id in ids * 4]
    assert rows(store) == (5, 5, 0)


async def test_an_id_belongs_to_one_message(gateway: Gateway, store: Store) -> None:
    one, _ = support.create(store, "one", rate=None, multi=True)
    once = ID_KEY + new_id(NOW)
    first = await gateway.sendsms(
        Submission(f"{BELGIAN},{ITALIAN}", "hi", one, idempotency_key=once)
    )
    assert (first.error, first.sent) == (Code.SENT, 2)
    for recipients, message, key in (
        (f"{BELGIAN},{ITALIAN}", "ho", one),
        (f"{ITALIAN},{BELGIAN}", "hi", one),
        (BELGIAN, "hi", one),
        (BRITISH, "hi", one),
        ("nobody", "hi", one),
    ):
        refused = await gateway.sendsms(Submission(recipients, message, key, idempotency_key=once))
        assert (refused.error, refused.sent, refused.id) == (Code.NOT_SENT, 0, "")
        assert "idempotency key" in refused.sentence
    assert rows(store) == (1, 2, 0)


async def test_what_was_erased_is_not_sent_again(
    gateway: Gateway, store: Store, clock: Clock
) -> None:
    key, _ = support.create(store, rate=None)
    erased, forgotten = (ID_KEY + new_id(NOW) for _ in range(2))
    first = await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key=erased))
    second = await gateway.sendsms(Submission(ITALIAN, "hi", key, idempotency_key=forgotten))
    with store.write() as connection:
        connection.execute(update(tables.delivery).values(state=State.DELIVERED))
    assert (await gateway.deletesms(key, id=first.id)).error is Code.SENT
    with store.write() as connection:
        forget(connection, ITALIAN, NOW)
    assert await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key=erased)) == first
    assert (
        await gateway.sendsms(Submission(ITALIAN, "hi", key, idempotency_key=forgotten)) == second
    )
    assert rows(store) == (2, 2, 0)


@pytest.mark.parametrize("wrong", [-25 * 3_600_000, 25 * 3_600_000])
async def test_an_id_that_tells_a_wrong_time_is_a_key_like_any_other(
    gateway: Gateway, store: Store, wrong: int
) -> None:
    key, _ = support.create(store, rate=None)
    id = f"{NOW + wrong:012x}7000{'8':0<16}"
    first = await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key=ID_KEY + id))
    assert first.id != id
    assert (
        await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key=ID_KEY + id)) == first
    )
    assert rows(store) == (1, 1, 1)


async def test_an_idempotency_key_belongs_to_its_account(gateway: Gateway, store: Store) -> None:
    one, _ = support.create(store, "one")
    other, _ = support.create(store, "other")
    first = await gateway.sendsms(Submission(BELGIAN, "hi", one, idempotency_key="once"))
    second = await gateway.sendsms(Submission(BELGIAN, "hi", other, idempotency_key="once"))
    assert first.id != second.id


async def test_an_idempotency_key_is_free_again_after_a_day(
    gateway: Gateway, store: Store, clock: Clock
) -> None:
    key, _ = support.create(store)
    first = await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key="once"))
    clock.pass_(hours=24, seconds=1)
    second = await gateway.sendsms(Submission(BELGIAN, "other", key, idempotency_key="once"))
    assert second.error is Code.SENT
    assert second.id != first.id
    assert rows(store) == (2, 2, 1)


async def test_a_refusal_is_not_remembered(gateway: Gateway, store: Store, clock: Clock) -> None:
    key, _ = support.create(store)
    await gateway.sendsms(Submission(BELGIAN, "first", key))
    refused = await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key="once"))
    assert refused.error is Code.TOO_FAST
    clock.pass_(minutes=1)
    accepted = await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key="once"))
    assert accepted.error is Code.SENT


async def test_a_repeat_is_answered_even_if_the_country_was_closed_meanwhile(
    gateway: Gateway, store: Store
) -> None:
    key, _ = support.create(store)
    first = await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key="once"))
    change(store, countries=frozenset({"IT"}))
    assert await gateway.sendsms(Submission(BELGIAN, "hi", key, idempotency_key="once")) == first


def drawn() -> str:
    """An id as a client draws it, of this very moment: `new_id` never goes back, whoever was
    ahead."""
    return f"{NOW:012x}7{secrets.token_hex(2)[1:]}8{secrets.token_hex(8)[1:]}"


def named(key: str, id: str, text: str = "hi", recipients: str = BELGIAN) -> Submission:
    return Submission(recipients, text, key, idempotency_key=ID_KEY + id)


@pytest.mark.parametrize("text", ["hi", "ho"])
async def test_the_name_of_anothers_message_tells_nothing(
    gateway: Gateway, store: Store, text: str
) -> None:
    """It is answered as a name that nobody has used, whatever is sent under it."""
    theirs, _ = support.create(store, "theirs", rate=None)
    mine, _ = support.create(store, "mine", rate=None)
    id = drawn()
    first = await gateway.sendsms(named(theirs, id))
    reply = await gateway.sendsms(named(mine, id, text))
    assert reply == Reply(Code.SENT, 1, reply.id)
    assert reply.id != id
    assert reply.id[:12] == id[:12]
    # A repeat is one, and other content is not; of each account for itself.
    assert await gateway.sendsms(named(mine, id, text)) == reply
    assert (await gateway.sendsms(named(mine, id, "other"))).error is Code.NOT_SENT
    assert await gateway.sendsms(named(theirs, id)) == first
    assert rows(store) == (2, 2, 0)
    # What is refused is refused as ever.
    unused = await gateway.sendsms(named(mine, drawn(), "hi", "1"))
    assert await gateway.sendsms(named(mine, drawn(), "hi", "1")) == unused
    other, _ = support.create(store, "other", rate=None)
    assert await gateway.sendsms(named(other, id, "hi", "1")) == unused


async def test_two_accounts_with_one_name_at_once_have_a_message_each(
    gateway: Gateway, store: Store
) -> None:
    keys = [support.create(store, f"account {n}", rate=None)[0] for n in range(4)]
    id = drawn()
    replies = await asyncio.gather(
        *(gateway.sendsms(named(key, id)) for key in keys for _ in range(5))
    )
    assert {reply.error for reply in replies} == {Code.SENT}
    assert len({reply.id for reply in replies}) == 4
    assert id in {reply.id for reply in replies}
    assert rows(store) == (4, 4, 0)


async def test_who_has_the_id_in_whose_place_it_would_be_is_passed_over(
    gateway: Gateway, store: Store
) -> None:
    theirs, _ = support.create(store, "theirs", rate=None)
    mine, account = support.create(store, "mine", rate=None)
    id = drawn()
    await gateway.sendsms(named(theirs, id))
    with store.write() as connection:
        beside = own_name(connection, account, id, intake.accepted_as(connection, [id]))
    await gateway.sendsms(named(theirs, beside))
    reply = await gateway.sendsms(named(mine, id))
    assert reply.error is Code.SENT
    assert reply.id not in (id, beside)
    assert await gateway.sendsms(named(mine, id)) == reply
