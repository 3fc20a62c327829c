"""PostgreSQL keeps the history in partitions, which are made ahead, counted and dropped."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select, text
from support import accounts as support
from support.forgetting import forget
from support.roles import granted

from sms_gateway.deliver.retention import delete_before, keep_periods
from sms_gateway.sms.ids import first_id, new_id
from sms_gateway.sms.message import State
from sms_gateway.store import (
    Store,
    attempts,
    counts,
    deletion,
    events,
    history,
    intake,
    lookup,
    periods,
    queue,
    removal,
    tables,
)  # fmt: skip

DAY = 86_400_000
HOUR = 3_600_000
NOW = time.time_ns() // 1_000_000
TEXT = "Your parcel comes today"

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def accept(store: Store, account: int, at: int, *numbers: str, ahead: int = 0) -> str:
    """Accept a message to these numbers at a time; its id is so much ahead of it."""
    id = first_id(at + ahead)[:20] + new_id(at)[20:]
    with store.write() as c:
        intake.add_messages(c, [(id, account, "", TEXT, "gsm7", 1, at, "", 0)])
        rows = [(id, n, "", 1, at, at + DAY, "BE") for n in numbers or ("+32494000000",)]
        intake.add_deliveries(c, rows, [(account, "a", 1)] * len(rows))
    return id


def end(store: Store) -> None:
    """Have all deliveries delivered, with a part, a step and an event each."""
    with store.write() as c:
        c.execute(tables.delivery.update().values(state="delivered"))
        c.execute(tables.queue.delete())
        rows = c.execute(
            select(tables.delivery.c.id, tables.message.c.account_id).join_from(
                tables.delivery, tables.message
            )
        ).all()
        attempts.add_parts(c, [(row.id, 1, "a", f"k{row.id}") for row in rows])
        queue.record_steps(c, [(row.id, NOW, 1, "submitted", "") for row in rows])
        events.add_changes(c, {row.id: (State.DELIVERED, row.account_id) for row in rows}, NOW)


def known(store: Store) -> list[periods.Period]:
    with store.read() as connection:
        return periods.periods(connection)


def enter(store: Store, now: int) -> None:
    with store.write() as connection:
        periods.enter(connection, now)


def count(store: Store, table: Any) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def partitions(store: Store, table: str) -> set[str]:
    with store.read() as connection:
        names = text(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = CAST(:t AS regclass)"
        )
        return set(connection.execute(names, {"t": table}).scalars())


@on_postgresql
async def test_partitions_are_made_ahead_without_gaps_and_none_twice(store: Store) -> None:
    before = known(store)
    await keep_periods(store, 1)
    await keep_periods(store, 30)
    made = known(store)
    assert made[: len(before)] == before
    assert made[-1].end_at >= NOW + periods.AHEAD
    assert all((a.end_at, a.number + 1) == (b.start_at, b.number) for a, b in pairwise(made))
    for table in ("delivery", "part", "step"):
        numbers = {f"{table}_p{each.number}" for each in made}
        assert partitions(store, table) == {*numbers, f"{table}_before"}
    await keep_periods(store, 1)
    assert known(store) == made


@on_postgresql
def test_deliveries_go_to_the_period_that_was_entered(store: Store) -> None:
    _, account = support.create(store)
    first, second = known(store)[:2]
    accept(store, account.id, first.start_at - HOUR)
    for each in (first, second):
        enter(store, each.start_at)
        enter(store, each.start_at + HOUR)
        accept(store, account.id, each.start_at + HOUR)
    with store.read() as connection:
        rows = connection.execute(
            text(
                "SELECT message.tableoid::regclass::text AS m, delivery.tableoid::regclass::text"
                " AS d FROM message JOIN delivery ON message_id = message.id ORDER BY message.id"
            )
        ).all()
    assert [tuple(row) for row in rows] == [
        ("message_before", "delivery_before"),
        ("message_p1", "delivery_p1"),
        ("message_p2", "delivery_p2"),
    ]


@on_postgresql
async def test_messages_beyond_the_last_period_are_kept_and_moved_when_it_is_made(
    store: Store,
) -> None:
    _, account = support.create(store)
    last = known(store)[-1]
    late = accept(store, account.id, last.end_at + HOUR)
    assert count(store, text("message_rest")) == 1
    with store.write() as connection:
        (new, *_) = periods.missing(connection, now=last.end_at + HOUR, days=1)
        periods.make(connection, new)
    assert count(store, text("message_rest")) == 0
    assert count(store, text(f"message_p{new.number}")) == 1
    with store.read() as connection:
        found = history.of_message(connection, late)
    assert found is not None


@on_postgresql
async def test_a_period_that_is_over_is_counted_and_dropped_with_what_strayed(store: Store) -> None:
    _, account = support.create(store)
    first, second, *_ = known(store)
    accept(store, account.id, first.start_at - 2 * HOUR)
    # The message is of the first period, its deliveries are not yet; and the other way round.
    accept(store, account.id, first.start_at + HOUR, "+32494000001", "+32494000002")
    enter(store, first.start_at + 2 * HOUR)
    for hour in range(3, 24):
        accept(store, account.id, first.start_at + hour * HOUR)
    ahead = accept(store, account.id, second.start_at - HOUR, ahead=2 * HOUR)
    enter(store, second.start_at)
    # A client chose an id of before.
    accept(store, account.id, second.start_at + 1, ahead=-2 * HOUR)
    young = accept(store, account.id, second.start_at + HOUR)
    end(store)
    since = first.start_at - 2 * DAY
    with store.read() as connection:
        drawn = history.by_day(connection, account.id, since)
        told = list(counts.totals(connection, since=since // DAY, until=NOW // DAY + 99))
    deleted, _ = await delete_before(store, second.start_at + HOUR)
    assert deleted > 20
    with store.read() as connection:
        left = set(connection.execute(select(tables.message.c.id)).scalars())
        ids = set(connection.execute(select(tables.delivery.c.id)).scalars())
        assert left == {young}
        for table in (tables.part, tables.step, tables.event):
            assert set(connection.execute(select(table.c.delivery_id)).scalars()) == ids, table.name
        assert history.by_day(connection, account.id, since) == drawn
        assert list(counts.totals(connection, since=since // DAY, until=NOW // DAY + 99)) == told
    assert ahead not in left
    for name in ("message", "delivery", "part", "step"):
        assert f"{name}_p1" not in partitions(store, name)
    with store.read() as connection:
        gone = connection.execute(text("SELECT to_regclass('delivery_p1')")).scalar()
    assert gone is None
    assert known(store)[0].number == second.number


@on_postgresql
@pytest.mark.parametrize("state", ["queued", "submitting", "submitted", "uncertain"])
async def test_a_period_stays_while_anything_in_it_waits(store: Store, state: str) -> None:
    _, account = support.create(store)
    first, second, *_ = known(store)
    enter(store, first.start_at)
    accept(store, account.id, first.start_at + HOUR)
    accept(store, account.id, first.start_at + 2 * HOUR)
    enter(store, second.start_at)
    end(store)
    waits = tables.delivery.update().where(
        tables.delivery.c.id == select(func.max(tables.delivery.c.id)).scalar_subquery()
    )
    with store.write() as connection:
        connection.execute(waits.values(state=state, expires_at=2**60))
    assert await delete_before(store, second.start_at + DAY) == (0, 0)
    assert count(store, tables.message) == 2
    with store.write() as connection:
        connection.execute(waits.values(state="expired"))
    assert await delete_before(store, second.start_at + DAY) == (2, 0)


@on_postgresql
async def test_a_worker_with_a_role_of_its_own_makes_and_ends_periods(
    store: Store, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periods, "AHEAD", 30 * DAY)
    _, account = support.create(store)
    first, second, *_ = known(store)
    enter(store, first.start_at)
    accept(store, account.id, first.start_at + HOUR)
    enter(store, second.start_at)
    end(store)
    worker = Store(granted(database)["worker"])
    await keep_periods(worker, 1)
    assert await delete_before(worker, second.start_at + DAY) == (1, 0)
    worker.close()
    assert known(store)[0] == second._replace(entered_at=second.start_at)
    assert len(known(store)) > 10


@on_postgresql
def test_messages_are_found_in_every_period(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(lookup, "_FIRST", 1)
    _, account = support.create(store)
    first, second, *_ = known(store)
    ids = []
    for at in (first.start_at, second.start_at):
        ids.append(accept(store, account.id, at - HOUR, "+32494000007"))
        enter(store, at)
        ids.append(accept(store, account.id, at + HOUR, "+32494000007"))
    with store.read() as connection:
        for search in ("+32494000007", "4000007", "parcel"):
            page = history.found_page(connection, account.id, search)
            assert [m.id for m in page.messages] == ids[::-1], search
        earlier = history.found_page(connection, account.id, "+32494000007", before=ids[2])
        assert [m.id for m in earlier.messages] == ids[1::-1]
        assert len(lookup.deliveries_to(connection, "+32494000007")) == 4
        assert sum(history.by_day(connection, account.id, 0).values()) == 4
        assert lookup.recent(connection, 2) >= second.number << periods.ID_BITS


@contextmanager
def statements(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed on a connection in the block, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(connection, "before_cursor_execute", note)


READS: dict[str, Any] = {
    "page": lambda c: history.sent_page(c, 1),
    "id": lambda c: history.found_page(c, 1, "0" * 32),
    "number": lambda c: history.found_page(c, 1, "+32494000007"),
    "text": lambda c: history.found_page(c, 1, "no such text"),
    "digits": lambda c: history.found_page(c, 1, "999999"),
    "chart": lambda c: history.by_day(c, 1, NOW - 30 * DAY),
    "message": lambda c: history.of_message(c, "0" * 32),
    "forget": lambda c: forget(c, "+32494000007", NOW),
    "holdings": lambda c: deletion.holdings(c, 1),
    "old": lambda c: removal.old(c, before=NOW, after=""),
    "erased": lambda c: removal.erased(c, before=NOW, after=(0, "")),
    "remove": lambda c: removal.remove(c, ["0" * 32], NOW),
}
# An event stays until its callback has taken it: that table is small.
_LARGE = "message|delivery|part|step|received"
_WHOLE = re.compile(rf"Seq Scan on ({_LARGE})|SCAN ({_LARGE})(?! USING)")


@pytest.mark.parametrize("read", READS)
def test_no_statement_reads_a_large_table_whole(store: Store, read: str) -> None:
    """Even where PostgreSQL may not, it does so when a statement has no index that serves it."""
    _, account = support.create(store)
    assert account.id == 1
    accept(store, account.id, NOW, "+32494000007")
    with store.write() as connection:
        with statements(connection) as seen:
            READS[read](connection)
        if not store.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "
        for statement, parameters in seen:
            if re.match(r"\s*(WITH|SELECT|UPDATE|DELETE)", statement):
                plan = connection.exec_driver_sql(explain + statement, parameters).all()
                assert not _WHOLE.search("\n".join(str(row[-1]) for row in plan)), (statement, plan)
