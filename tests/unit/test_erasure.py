"""What is erased is searched for wherever a database keeps copies: in tables, statistics and files.

docs/use/erasure.md has what was found as a table.
"""

import importlib
import random
import re
import string
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, text, update
from support import accounts as support
from support.forgetting import forget

from sms_gateway.cli.deleting import erase_closed
from sms_gateway.deliver.retention import delete_before
from sms_gateway.sms.ids import first_id, new_id
from sms_gateway.store import Store, accounts, deletion, migrate, tables
from sms_gateway.store.bulk import insert_many
from sms_gateway.store.indexes import metadata

NOW = time.time_ns() // 1_000_000
MANY = 50
MIGRATION = importlib.import_module("sms_gateway.store.migrations.versions.0007_keys_and_erasure")
#: The last schema whose tables are not partitioned.
BEFORE_PARTITIONS = "0012"
NUMBER = "+32494000000"
#: Columns of text that say nothing of anybody. All others have no statistics.
HARMLESS = {
    "account.countries",
    "account.kinds",
    "allotment.scope",
    "audit.action",
    "audit.face",
    "cap_trip.period",
    "daily_count.country",
    "daily_count.state",
    "delivery.binding",
    "claim.lane",
    "claim.message_id",
    "claim.route",
    "claim.upstream",
    "delivery.country",
    "encryption_key.check_value",
    "encryption_key.name",
    "counter.period",
    "account.key_hash",
    "alembic_version.version_num",
    "delivery.message_id",
    "delivery.route",
    "delivery.state",
    "delivery.upstream",
    "early_receipt.smsc_id",
    "early_receipt.state",
    "early_receipt.upstream",
    "event.id",
    "event.state",
    "idempotency.id",
    "idempotency.message_id",
    "incoming_part.upstream",
    "keyword.word",
    "key_request.language",
    "key_request.token_hash",
    "lease.name",
    "message.encoding",
    "message.id",
    "old_key.key_hash",
    "part.smsc_key",
    "part.state",
    "part.upstream",
    "queue.lane",
    "queue.message_id",
    "queue.route",
    "queue.upstream",
    "received.upstream",
    "session.token_hash",
    "step.event",
    "worker.leaving",
    "worker.schema",
}


class Person:
    """Somebody whose traces are looked for. Each begins with the same word."""

    MARK = "confidential"

    def __init__(self) -> None:
        draw = random.Random(7)
        # Long enough to be kept out of line (TOAST), and of too many different letters to shrink.
        self.texts = [
            f"{self.MARK}{n:02}" + "".join(draw.choices(string.ascii_letters, k=60 * n))
            for n in range(MANY)
        ]
        self.numbers = [f"+3249477{draw.randrange(10**5):05}" for _ in range(MANY)]
        self.address = f"{self.MARK}@example.com"


def filled(store: Store) -> tuple[int, Person]:
    """A key of a person with a history, in which each column has something of them."""
    person = Person()
    _, account = support.create(store, person.address, sender=Person.MARK[:11])
    # As `new_id` makes them, which never goes back.
    ids = [first_id(NOW)[:20] + new_id(NOW)[20:] for _ in range(MANY)]
    with store.write() as c:
        accounts.change(
            c,
            person.address,
            callback_url=f"https://{Person.MARK}.example/",
            callback_secret=f"whsec_{Person.MARK}",
            mail_senders=frozenset({person.address}),
            senders=frozenset({Person.MARK}),
        )
        of_message = {"account_id": account.id, "encoding": "gsm7", "parts": 1, "accepted_at": NOW}
        rows = [
            {"id": id, "text": each, "sender": Person.MARK, "reference": f"{Person.MARK} {n}"}
            for n, (id, each) in enumerate(zip(ids, person.texts, strict=True))
        ]
        insert_many(c, tables.message, [row | of_message for row in rows])
        of_delivery = {"route": "", "parts": 1, "due_at": 0, "expires_at": 0, "attempts": 1}
        rows = [
            {"message_id": id, "recipient": number, "state": state}
            for id, number, state in zip(
                ids, person.numbers, ["delivered", "queued"] * (MANY // 2), strict=True
            )
        ]
        insert_many(
            c, tables.delivery, [row | of_delivery | {"possible_duplicate": False} for row in rows]
        )
        of_received: dict[str, object] = {
            "account_id": account.id,
            "upstream": "a",
            "recipient": NUMBER,
        }
        insert_many(
            c,
            tables.received,
            [
                of_received | {"text": each, "sender": number, "received_at": NOW}
                for each, number in zip(person.texts, person.numbers, strict=True)
            ],
        )
        c.execute(
            insert(tables.number),
            [{"digits": NUMBER[1:], "account_id": account.id, "assigned_at": NOW}],
        )
        c.execute(
            insert(tables.stop),
            [{"account_id": account.id, "recipient": n, "stopped_at": NOW} for n in person.numbers],
        )
        c.execute(
            insert(tables.incoming_part),
            [
                {
                    "upstream": "a",
                    "sender": n,
                    "recipient": NUMBER,
                    "reference": 1,
                    "total": 2,
                    "number": 1,
                    "text": person.texts[0].encode(),
                    "received_at": NOW,
                }
                for n in person.numbers
            ],
        )
        c.execute(
            insert(tables.key_request).values(
                address=person.address,
                language="en",
                network="192.0.2.0/24",
                requested_at=NOW,
                expires_at=NOW + 10**9,
                attempts=0,
                failure="",
            )
        )
    return account.id, person


def analyze(store: Store) -> None:
    """Have PostgreSQL take its samples, as it does by itself after some time."""
    with store.engine.connect() as connection:
        if not store.is_sqlite:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")


def traces(text_of: str, person: Person) -> int:
    """How many of a person's texts, numbers and other words stand in what was read."""
    sought = [person.texts[n][:14] for n in range(MANY)] + person.numbers + [person.MARK]
    return sum(each in text_of for each in sought)


def in_tables(store: Store, person: Person) -> int:
    with store.read() as connection:
        rows = [list(connection.execute(table.select())) for table in metadata.sorted_tables]
    return traces(repr(rows), person)


def in_statistics(connection: Connection, person: Person) -> int:
    """What the server keeps of columns' values (pg_statistic, whole rows of it)."""
    rows = connection.execute(text("SELECT pg_statistic::text FROM pg_statistic")).scalars()
    return traces("\n".join(rows), person)


def in_files(store: Store, person: Person) -> int:
    """What stands in the files of the database, in pages that are free, too."""
    if store.is_sqlite:
        file = Path(str(store.engine.url.database))
        read = b"".join(each.read_bytes() for each in file.parent.glob(file.name + "*"))
    else:
        with store.engine.connect() as connection:
            autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
            autocommit.exec_driver_sql("CHECKPOINT")
            folder, oid = autocommit.execute(
                text(
                    "SELECT current_setting('data_directory'), oid FROM pg_database"
                    " WHERE datname = current_database()"
                )
            ).one()
        files = Path(folder, "base", str(oid)).iterdir()
        read = b"".join(each.read_bytes() for each in files)
    return traces(read.decode("latin-1"), person)


def delete_key(store: Store, _: int, person: Person) -> None:
    with store.write() as connection:
        account_id = deletion.close(connection, person.address, NOW)
    assert account_id is not None
    erase_closed(store, account_id)


def forget_all(store: Store, _: int, person: Person) -> None:
    """By each number, and by the mail address."""
    with store.write() as connection:
        for number in person.numbers:
            forget(connection, number, NOW)
        closed = deletion.forget_address(connection, person.address, NOW).accounts
    for account_id in closed:
        erase_closed(store, account_id)


@pytest.mark.parametrize("way", [delete_key, forget_all])
def test_nothing_of_a_person_is_in_tables_statistics_or_files(store: Store, way) -> None:
    account_id, person = filled(store)
    analyze(store)
    everything = 2 * MANY + 1
    assert in_tables(store, person) == in_files(store, person) == everything
    way(store, account_id, person)
    assert in_tables(store, person) == 0
    if store.is_sqlite:
        assert in_files(store, person) == 0
        return
    with store.read() as connection:
        assert in_statistics(connection, person) == 0
    # In free space of pages the bytes stay until new rows need it, or all rows are written anew.
    with store.engine.connect() as connection:
        autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
        autocommit.exec_driver_sql("VACUUM FULL")
    assert in_files(store, person) == 0


async def test_old_history_is_in_no_statistics_and_no_free_page(store: Store) -> None:
    _, person = filled(store)
    with store.write() as connection:
        connection.execute(update(tables.delivery).values(state="delivered"))
        connection.execute(tables.stop.delete())
        connection.execute(tables.incoming_part.delete())
    analyze(store)
    assert await delete_before(store, NOW + 1_000) == (MANY, MANY)
    sought = Person()
    sought.MARK = sought.texts[0]  # the account stays
    assert in_tables(store, sought) == 0
    if store.is_sqlite:
        assert in_files(store, sought) == 0
    else:
        with store.read() as connection:
            assert in_statistics(connection, person) == 0


def test_no_statistics_are_taken_of_what_people_say(store: Store) -> None:
    if store.is_sqlite:
        with store.read() as connection:
            kept = connection.execute(
                text("SELECT count(*) FROM sqlite_master WHERE name LIKE 'sqlite_stat%'")
            )
            assert kept.scalar_one() == 0
        return
    with store.read() as connection:
        columns = connection.execute(
            text(
                "SELECT attrelid::regclass || '.' || attname FROM pg_attribute"
                " JOIN pg_class ON pg_class.oid = attrelid"
                " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0"
                " AND NOT attisdropped AND attstattarget IS DISTINCT FROM 0"
                " AND atttypid IN ('text'::regtype, 'varchar'::regtype, 'bytea'::regtype,"
                " 'json'::regtype, 'jsonb'::regtype)"
            )
        )
        found = {re.sub(r"_(before|rest|p[0-9]+)\.", ".", each) for each in columns.scalars()}
        assert found - HARMLESS == set()


def test_the_migration_drops_the_samples_of_before_and_writes_no_table_anew(store: Store) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite takes no samples")
    with store.write() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    migrate(store, BEFORE_PARTITIONS)
    _, person = filled(store)
    files = text("SELECT relname, relfilenode FROM pg_class WHERE relkind IN ('r', 't', 'i')")
    with store.write() as connection:
        for table, columns in MIGRATION._PRIVATE.items():
            for name in columns:
                sampled = f"ALTER TABLE {table} ALTER COLUMN {name} SET STATISTICS -1"
                connection.execute(text(sampled))
    analyze(store)
    with store.write() as connection:
        assert in_statistics(connection, person) > MANY
        for index in MIGRATION._INDEXES:
            connection.execute(text(f"DROP INDEX IF EXISTS {index}"))
        connection.execute(text("DROP TABLE old_key"))
        connection.execute(text("ALTER TABLE account DROP COLUMN deleted_at"))
        before = connection.execute(files).all()
        version = {"version": MIGRATION.down_revision}
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), version)
    migrate(store, MIGRATION.revision)
    with store.read() as connection:
        assert in_statistics(connection, person) == 0
        assert set(before) - set(connection.execute(files).all()) == set()
