"""The queue: whose turn it is, what stands before nobody, and who keeps house."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select, text, update
from support import accounts
from support import queued as support
from support.books import HOUR, LEASE, NOW, SECOND, Books, came

from sms_gateway import moments
from sms_gateway.deliver.housekeeper import HOUSEKEEPER, Housekeeper, LeaseLostError
from sms_gateway.deliver.ledger import Beat, Claim
from sms_gateway.sms.message import State
from sms_gateway.store import adoption, attempts, leases, queue, tables, workers
from sms_gateway.store.migrate import contract
from sms_gateway.upstream import Outcome

NUMBER = "+32494000000"
#: Deliveries of a campaign.
MANY = 5_000

_bases = count(10_000_000, 1_000_000)
_SAME = ", ".join(c.name for c in tables.delivery.c if c.name != "id")
_SAME_QUEUED = ", ".join(c.name for c in tables.queue.c if c.name != "delivery_id")
_COPY = """
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :count)
    INSERT INTO {0} ({1}, {2}) SELECT :base + n, {2} FROM {0}, n WHERE {0}.message_id = :id
"""


def add(books: Books, account_id: int, times: int = 1, **options: Any) -> str:
    """Queue deliveries of one message, many with two statements."""
    with books.store.write() as connection:
        id = support.accept(connection, account_id, NUMBER, **{"lane": "a", "at": NOW, **options})
        if times > 1:
            copies = {"id": id, "count": times - 1, "base": next(_bases)}
            connection.execute(text(_COPY.format("delivery", "id", _SAME)), copies)
            connection.execute(text(_COPY.format("queue", "delivery_id", _SAME_QUEUED)), copies)
    return id


def another(books: Books, name: str = "other") -> int:
    return accounts.create(books.store, name)[1].id


# -- whose turn it is --


def test_a_campaign_delays_nobody_else_and_each_account_has_its_turns(books: Books) -> None:
    add(books, books.account.id, MANY, at=NOW - HOUR // 2)
    assert len(books.claim(parts=10)) == 10
    others = {add(books, another(books, f"other {n}")) for n in range(3)}
    (long,) = {add(books, another(books, "long"), 40, parts=3)}
    claimed = books.claim(parts=10)
    assert {d.message_id for d in claimed} > others
    assert sum(d.parts for d in claimed) <= 10
    # Alone with the campaign, an account with long texts has half of the parts, in the long run.
    turns = Counter(d.message_id == long for _ in range(20) for d in books.claim(parts=12))
    assert 0.8 < turns[True] * 3 / turns[False] < 1.25


def test_the_most_urgent_come_first_then_by_the_time_they_are_due(books: Books) -> None:
    ids = [
        add(books, books.account.id, priority=priority, at=NOW - due)
        for priority in (queue.LOW, queue.HIGH, queue.NORMAL)
        for due in (1, 3, 2)
    ]
    claimed = [d.message_id for d in books.claim(parts=7)]
    assert claimed == [ids[n] for n in (4, 5, 3, 7, 8, 6, 1)]


def test_accounts_that_have_nothing_due_hide_nobody(books: Books) -> None:
    for n in range(15):
        add(books, another(books, f"later {n}"), at=NOW + 5 * SECOND)
    due = add(books, another(books, "due"))
    assert [d.message_id for d in books.claim(parts=1)] == [due]
    assert books.claim(parts=1) == []


def test_two_workers_share_the_campaign_of_one_account(books: Books) -> None:
    add(books, books.account.id, 20)
    if books.store.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    other = books.another()
    claim = Claim(upstream="a", parts=10, now=NOW)
    with books.store.write() as first, books.store.write() as second:
        (mine,) = books.ledger.apply(first, [claim])
        (theirs,) = other.ledger.apply(second, [claim])
    assert len({d.id for d in (mine or [])} | {d.id for d in (theirs or [])}) == 20


# -- what stands before nobody --


def test_what_has_expired_or_sleeps_is_not_looked_at_by_claims(books: Books) -> None:
    old = add(books, another(books, "old"), 2 * MANY, at=NOW - 2 * HOUR)
    for n in range(5):
        id = add(books, another(books, f"asleep {n}"), 200, at=NOW + HOUR)
        with books.store.write() as connection:
            theirs = tables.queue.c.message_id == id
            connection.execute(update(tables.queue).where(theirs).values(lane=queue.ASLEEP))
    fresh = add(books, books.account.id)
    books.keep_house(NOW)
    assert [d.message_id for d in books.claim()] == [fresh]
    with books.store.read() as connection:
        left = select(func.count()).select_from(tables.queue)
        assert connection.execute(left).scalar_one() == 1_000
        ends = select(tables.delivery.c.state, func.count()).group_by(tables.delivery.c.state)
        states = connection.execute(ends.where(tables.delivery.c.message_id == old)).all()
    assert states == [(State.EXPIRED, 2 * MANY)]


def test_what_sleeps_wakes_before_it_is_due(books: Books) -> None:
    id = books.accept()
    (delivery,) = books.claim()
    ended = books.settled(delivery, Outcome.BUSY, now=NOW)
    ended = type(ended)(**{n: getattr(ended, n) for n in ended.__slots__} | {"due": NOW + HOUR - 1})
    books.write(ended)
    assert books.state(id) is State.QUEUED
    books.keep_house(NOW + HOUR // 2)
    assert books.claim(now=NOW + HOUR - 1) == []
    books.keep_house(NOW + HOUR - 10 * SECOND)
    assert books.claim(now=NOW + HOUR - 2) == []
    assert [d.message_id for d in books.claim(now=NOW + HOUR - 1)] == [id]


# -- what the database does for it --

_TABLES = "queue|claim|awaited|delivery|message|part|step"
_SCANNED = re.compile(rf"^SCAN (?:TABLE )?({_TABLES})(?! USING (?:COVERING )?INDEX)\b")


def scanned(connection: Connection, do: Callable[[], object]) -> list[str]:
    """The tables that are read from end to end meanwhile."""
    if connection.dialect.name == "sqlite":
        said: list[str] = []
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(said.append)
        do()
        driver.set_trace_callback(None)
        plans = [
            row[3]
            for statement in said
            if re.match(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE)", statement)
            for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
        return [found[1] for plan in plans if (found := _SCANNED.match(plan))]
    # Within one transaction these only grow.
    scans = text("SELECT relname, seq_scan FROM pg_stat_xact_user_tables")
    before = {row.relname: row.seq_scan for row in connection.execute(scans)}
    do()
    after = {row.relname: row.seq_scan for row in connection.execute(scans)}
    small = {"awaited", "claim", "message", "part"}  # of a few pages here
    wanted = set(_TABLES.split("|")) - small
    return sorted(name for name in wanted if after.get(name, 0) > before.get(name, 0))


def test_each_statement_of_the_queue_uses_an_index(books: Books) -> None:
    for n in range(20):
        add(books, another(books, f"account {n}"), 1_000, at=NOW - n)
    taken = books.claim(parts=500)
    books.write(*[books.settled(d, Outcome.ACCEPTED) for d in taken[:400]])
    receipts = [came(f"{d.id}-1", recipient="32494000000") for d in taken[:50]]
    house = books.ledger.housekeeping
    with books.store.write() as connection:
        connection.execute(text("ANALYZE"))
    steps: dict[str, Callable[[Connection], object]] = {
        "claim": lambda c: books.ledger.apply(c, [Claim(upstream="a", parts=50, now=NOW)]),
        "settle": lambda c: books.ledger.apply(
            c, [books.settled(d, Outcome.ACCEPTED) for d in taken[400:450]]
        ),
        "retry": lambda c: books.ledger.apply(
            c, [books.settled(d, Outcome.RETRY) for d in taken[450:]]
        ),
        "receipts": lambda c: books.ledger.apply(c, receipts),
        "expire": lambda c: attempts.expire(c, now=NOW + HOUR, most=20),
        "wake": lambda c: house.often[3](c, NOW),
        "lanes": lambda c: house.rarely[0](c, NOW),
    }
    for name, step in steps.items():
        with books.store.write() as connection:
            found = scanned(connection, lambda step=step: step(connection))  # type: ignore[misc]
            assert (name, found) == (name, [])


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_outcomes_are_written_in_place(books: Books) -> None:
    add(books, books.account.id, 2_000)
    before = updates(books)
    while taken := books.claim(parts=50):
        books.write(*[books.settled(d, Outcome.ACCEPTED) for d in taken])
        books.write(*[came(f"{d.id}-1", recipient="32494000000") for d in taken])
    after = updates(books)
    for name, expected in (("delivery", 4_000), ("part", 2_000)):
        changed, in_place = (b - a for a, b in zip(before[name], after[name], strict=True))
        assert changed == expected
        assert in_place > 0.9 * changed, (name, in_place)


def updates(books: Books) -> dict[str, tuple[int, int]]:
    """How many rows were changed in each table, and how many of these in place."""
    with books.store.write() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    counted = text("SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables")
    with books.store.read() as connection:
        rows = connection.execute(counted).all()
    # With all partitions of a table.
    return {
        table: tuple(sum(row[n] for row in rows if row[0].split("_")[0] == table) for n in (1, 2))  # type: ignore[misc]
        for table in ("delivery", "part")
    }


# -- who keeps house --


def test_one_worker_keeps_house_and_another_takes_over_when_it_stops(books: Books) -> None:
    other = books.another()
    first = Housekeeper(books.store, books.ledger, books.worker)
    second = Housekeeper(books.store, other.ledger, other.worker)
    first.keep()
    first.keep()
    with pytest.raises(LeaseLostError):
        second.keep()
    with books.store.write() as connection:
        ends = leases.ends_at(connection, HOUSEKEEPER)
        assert ends is not None
        assert not leases.hold(connection, HOUSEKEEPER, other.worker, now=ends - 1)
        assert leases.hold(connection, HOUSEKEEPER, other.worker, now=ends)
    assert leases.LASTS < 10 * SECOND
    with pytest.raises(LeaseLostError):
        first.keep()
    with books.store.write() as connection:
        leases.give_back(connection, other.worker)
    first.keep()


# -- beside the version before --

#: What the version before does every second and with each claim, in its own words.
OLD_CLAIM = "SELECT id FROM delivery WHERE state = 'queued' AND due_at <= :now"
OLD_LOST = """
    UPDATE delivery SET state = 'uncertain' WHERE state = 'submitting' AND claimed_by NOT IN
    (SELECT id FROM worker WHERE alive_until > :now) RETURNING id
"""
OLD_EXPIRE = """
    UPDATE delivery SET state = 'expired' WHERE state IN ('queued', 'submitted')
    AND expires_at <= :now AND state = 'queued' RETURNING id
"""
OLD_RESEND = "UPDATE delivery SET due_at = :now WHERE state = 'queued' RETURNING id"


def old_style(books: Books, state: State, claimed_by: int | None = None) -> str:
    """A delivery as the version before leaves it."""
    id = books.accept("+4915112345678")
    theirs = tables.delivery.c.message_id == id
    values = {"state": state, "claimed_by": claimed_by, "upstream": "a", "attempts": 1}
    with books.store.write() as connection:
        connection.execute(delete(tables.queue).where(tables.queue.c.message_id == id))
        connection.execute(update(tables.delivery).where(theirs).values(values))
    return id


def test_the_version_before_leaves_alone_what_is_in_the_queue(books: Books) -> None:
    waiting = books.accept()
    (claimed,) = books.claim()
    books.accept()
    later = {"now": NOW + 2 * HOUR}
    with books.store.write() as connection:
        workers.enroll(connection, now=NOW, lease=10 * HOUR)
        for statement in (OLD_CLAIM, OLD_LOST, OLD_EXPIRE, OLD_RESEND):
            assert connection.execute(text(statement), later).all() == []
    assert claimed.message_id == waiting


def test_what_the_version_before_has_written_is_taken_over(books: Books) -> None:
    alive = books.another().worker
    dead = 999
    queued = old_style(books, State.QUEUED)
    held = old_style(books, State.SUBMITTING, alive)
    lost = old_style(books, State.SUBMITTING, dead)
    submitted = old_style(books, State.SUBMITTED, dead)
    uncertain = old_style(books, State.UNCERTAIN, dead)
    assert books.state(queued) is State.QUEUED
    books.keep_house(NOW + SECOND)
    ids = (queued, held, lost, submitted, uncertain)
    assert [books.state(id).value for id in ids] == [
        "queued", "submitting", "queued", "submitted", "uncertain",
    ]  # fmt: skip
    claimed = {d.message_id: d for d in books.claim(now=NOW + SECOND)}
    assert claimed.keys() == {queued, lost}
    assert claimed[lost].possible_duplicate  # its route sends again
    books.write(Beat(now=NOW + HOUR))
    assert books.state(submitted) is State.UNKNOWN
    assert books.state(uncertain) is State.UNCERTAIN


def test_old_indexes_are_dropped_a_day_after_the_version_before_was_seen(books: Books) -> None:
    index = adoption.OLD_INDEXES[0]
    # In PostgreSQL they stay with the table of before, the first partition.
    table = "delivery" if books.store.is_sqlite else "delivery_before"
    with books.store.write() as connection:
        connection.execute(text(f"CREATE INDEX {index} ON {table} (route) WHERE state = 'queued'"))
    old_style(books, State.QUEUED)
    Housekeeper(books.store, books.ledger, books.worker).keep()
    with books.store.write() as connection:
        assert not adoption.is_over(connection)
        assert adoption.is_needed(connection, now=moments.now() + 23 * HOUR)
        leases.prolong(connection, adoption.SEEN, 0)
    contract(books.store)
    with books.store.read() as connection:
        assert adoption.is_over(connection)


def test_workers_of_the_version_before_are_known(books: Books) -> None:
    with books.store.write() as connection:
        number = workers.enroll(connection, now=NOW, lease=LEASE)
        assert workers.are_of_this_version(connection, now=NOW)
        old = tables.worker.c.id == number
        connection.execute(update(tables.worker).where(old).values(schema=""))
        assert not workers.are_of_this_version(connection, now=NOW)
        assert workers.are_of_this_version(connection, now=NOW + LEASE)
