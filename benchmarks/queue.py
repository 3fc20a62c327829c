"""How quickly a worker's queue drains, with more and more in it and in the history.

`python -m benchmarks.queue [--history N ...] [--queued N ...] [--postgresql]`: claims of 50 and
their settling, as a worker writes them, one after the other; deliveries per second and CPU of this
process, in turns over all databases.
"""

import argparse
import contextlib
import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from sqlalchemy import select, text

from sms_gateway import moments
from sms_gateway.deliver.feeder import settle
from sms_gateway.deliver.ledger import Claim, Ledger
from sms_gateway.routing.routes import Route, Routes
from sms_gateway.store import Store, tables, workers
from sms_gateway.upstream import Answer, Outcome

from . import ours
from .tell import tell

_WINDOW, _ACCOUNTS, _ROUNDS, _SECONDS = 50, 100, 5, 4.0
_ROUTES = Routes([Route(prefix="", upstreams=("a",))])
_STEP = 250_000

_NUMBERS = """
    WITH RECURSIVE n (n) AS (
        SELECT CAST(:first AS bigint) UNION ALL SELECT n + 1 FROM n WHERE n + 1 < :end
    )
"""
_MESSAGES = """
    INSERT INTO message (id, account_id, sender, text, encoding, parts, accepted_at)
    {numbers} SELECT {id}, 1 + n % :accounts, '', 'Hello number ' || n, 'gsm7', 1, :at + n FROM n
"""
_DELIVERIES = """
    INSERT INTO delivery (message_id, recipient, route, parts, state, due_at, expires_at, attempts,
        possible_duplicate, upstream)
    {numbers} SELECT {id}, '+32494' || CAST(100000 + n % 900000 AS text), '', 1, :state, 0,
        :expires, 0, false, NULL FROM n
"""
_QUEUE = """
    INSERT INTO queue (delivery_id, message_id, account_id, lane, route, priority, parts,
        expires_at, attempts, possible_duplicate, due_at)
    SELECT delivery.id, message.id, message.account_id, :lane, '', 1, 1, delivery.expires_at, 0,
        false, message.accepted_at
    FROM delivery JOIN message ON message.id = delivery.message_id
    WHERE message.id >= :least AND delivery.state = 'submitting'
"""
_ID = {
    "sqlite": "printf('%012x7000800000000000%04x', :at + n, 0)",
    "postgresql": "lpad(to_hex(:at + n), 12, '0') || '70008000000000000000'",
}


@dataclass(slots=True)
class _Database:
    name: str
    store: Store
    ledger: Ledger
    per_second: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def _fill(store: Store, history: int, queued: int) -> None:
    """So many delivered messages of the last month, and so many that wait."""
    now = moments.now()
    for state, count, at in (
        ("delivered", history, now - 30 * 86_400_000),
        ("submitting", queued, now - 86_400_000),
    ):
        tell(f"writing {count:,} messages, {state}")
        for first in range(0, count, _STEP):
            span = {"first": first, "end": min(first + _STEP, count), "at": at}
            with store.write() as connection:
                forms = {"numbers": _NUMBERS, "id": _ID[connection.dialect.name]}
                connection.execute(text(_MESSAGES.format(**forms)), span | {"accounts": _ACCOUNTS})
                connection.execute(
                    text(_DELIVERIES.format(**forms)),
                    span | {"state": state, "expires": now + 86_400_000},
                )
    with store.write() as connection:
        lane = _ROUTES.lane("")
        connection.execute(text(_QUEUE), {"lane": lane, "least": f"{now - 86_400_000:012x}"})
    with store.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")


def _drain(database: _Database) -> None:
    """Claim and settle for some seconds."""
    numbers = itertools.count()
    done, began, used = 0, time.monotonic(), time.process_time()
    while (elapsed := time.monotonic() - began) < _SECONDS:
        now = moments.now()
        with database.store.write() as connection:
            claim = Claim(upstream="a", parts=_WINDOW, now=now)
            (claimed,) = database.ledger.apply(connection, [claim])
        if not claimed:
            break
        ended = [
            settle(
                delivery,
                [
                    Answer(
                        delivery_id=delivery.id,
                        part=1,
                        outcome=Outcome.ACCEPTED,
                        smsc_id=f"{now:x}{next(numbers):x}",
                    )
                ],
                upstream="a",
                resend=False,
                now=now,
            )
            for delivery in claimed
        ]
        with database.store.write() as connection:
            database.ledger.apply(connection, ended)
        done += len(claimed)
    database.per_second.append(done / elapsed)
    database.cpu.append((time.process_time() - used) / max(done, 1))


@contextlib.contextmanager
def _opened(name: str, url: str, history: int, queued: int) -> Iterator[_Database]:
    ours.prepared(url, keys=_ACCOUNTS)
    store = Store(url)
    try:
        with store.read() as connection:
            ids = connection.execute(select(tables.account.c.id)).scalars().all()
        assert sorted(ids) == list(range(1, _ACCOUNTS + 1))
        _fill(store, history, queued)
        with store.write() as connection:
            worker = workers.enroll(connection, now=moments.now(), lease=3_600_000)
        yield _Database(name, store, Ledger(_ROUTES, worker=worker, lease=3_600_000))
    finally:
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=int, nargs="+", default=[0, 1_000_000])
    parser.add_argument("--queued", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--postgresql", action="store_true", help="beside SQLite")
    asked = parser.parse_args()
    sizes = list(itertools.product(asked.history, asked.queued))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = []
        for history, queued in sizes:
            name = f"{history:,} in the history, {queued:,} queued"
            file = folder / f"{history}-{queued}.sqlite3"
            urls = {"SQLite": f"sqlite:///{file}"}
            if asked.postgresql:
                server, _ = stack.enter_context(ours.postgresql(folder))
                urls["PostgreSQL"] = server
            for engine, url in urls.items():
                opened = _opened(f"{engine}, {name}", url, history, queued)
                databases.append(stack.enter_context(opened))
        for _ in range(_ROUNDS):
            for database in databases:
                _drain(database)
        for database in databases:
            pace = sorted(database.per_second)
            print(
                f"{database.name}: {median(pace):,.0f}/s ({pace[0]:,.0f}-{pace[-1]:,.0f}), "
                f"{median(database.cpu) * 1e6:.0f} us of CPU each"
            )


if __name__ == "__main__":
    main()
