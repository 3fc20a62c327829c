"""The schema that the program asks for, beside the migrations that there are."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from support.running import wait_for

import sms_gateway.store
from sms_gateway.sms.ids import new_id
from sms_gateway.store import Store, history, lookup, migrate, pending_migration
from sms_gateway.store import accounts as account_statements
from sms_gateway.store.indexes import is_compared, metadata
from sms_gateway.store.migrate import SCHEMA, suffices

MIGRATIONS = Path(sms_gateway.store.__file__).with_name("migrations")


def test_the_program_asks_for_the_newest_schema() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == SCHEMA


def test_a_database_is_at_the_schema_that_alembic_says(database: str) -> None:
    store = Store(database)
    with store.read() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == SCHEMA
    assert pending_migration(store) is None
    with store.write() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '0000'"))
    assert pending_migration(store) == SCHEMA
    store.close()


@pytest.mark.parametrize(
    ("current", "needed", "runs"),
    [
        ("0012", "0012", True),
        ("0013", "0012", True),
        ("0011", "0012", False),
        ("0031.0025", "0024", False),
        ("0031.0025", "0025", True),
        ("0031.0025", "0031.0025", True),
        ("0032.0025", "0031.0025", True),
        ("0030", "0031.0025", False),
    ],
)
def test_a_program_runs_on_newer_schemas_until_one_needs_a_later_program(
    current: str, needed: str, runs: bool
) -> None:
    assert suffices(current, needed) is runs


def test_nothing_is_pending_on_a_newer_schema(store: Store) -> None:
    with store.write() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9998'"))
    assert pending_migration(store) is None
    with store.write() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999.9998'"))
    assert pending_migration(store) == SCHEMA


def test_a_new_database_needs_all_migrations_once(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'new.sqlite3'}")
    assert pending_migration(store) == SCHEMA
    migrate(store)
    assert pending_migration(store) is None
    migrate(store)
    store.close()


# Alembic compares no indexes on expressions in SQLite; the next test looks at them.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression")
def test_the_migrations_make_the_tables_and_indexes_of_the_program(store: Store) -> None:
    with store.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": is_compared}
        )
        assert compare_metadata(context, metadata) == []


def test_the_index_on_numbers_is_the_one_that_the_program_looks_things_up_by(store: Store) -> None:
    explain = "EXPLAIN QUERY PLAN" if store.is_sqlite else "EXPLAIN"
    bits = lookup.BITS[store.engine.dialect.name]
    query = (
        f"SELECT id FROM delivery WHERE (id >> {bits}) IN (3, 4) AND recipient IN ('+32494000000')"
    )
    with store.read() as connection:
        if not store.is_sqlite:
            connection.execute(sqlalchemy.text("SET enable_seqscan = off"))
        plan = connection.execute(sqlalchemy.text(f"{explain} {query}")).all()
    assert ("delivery_recipient" if store.is_sqlite else "delivery_number") in str(plan)


@pytest.fixture
def old(database: str) -> Iterator[Store]:
    """A database with the first schema and a thousand messages."""
    store = Store(database)
    with store.write() as connection:
        if store.is_sqlite:
            names = connection.execute(
                sqlalchemy.text("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE TABLE%'")
            ).scalars()
            connection.execute(sqlalchemy.text("PRAGMA defer_foreign_keys = ON"))
            for name in [n for n in names if not n.startswith("sqlite_")]:
                connection.execute(sqlalchemy.text(f"DROP TABLE {name}"))
        else:
            connection.execute(sqlalchemy.text("DROP SCHEMA public CASCADE"))
            connection.execute(sqlalchemy.text("CREATE SCHEMA public"))
    migrate(store, "0001")
    assert pending_migration(store) == SCHEMA
    yield store
    store.close()


def add_accounts(store: Store, *accounts: tuple[str, str | None]) -> list[int]:
    """Accounts as the first schema has them, each by its name and who may write mails to it."""
    with store.write() as connection:
        for number, (name, senders) in enumerate(accounts):
            connection.execute(
                sqlalchemy.text(
                    "INSERT INTO account (name, key_hash, key_hint, enabled, multi, test, sender,"
                    " mail_address, mail_senders, version, next_free, created_at) VALUES (:name,"
                    " :hash, 'abcd', :yes, :yes, :yes, '', :name, :senders, 7, 0, 0)"
                ),
                {"name": name, "hash": bytes([number] * 32), "senders": senders, "yes": True},
            )
        ids = connection.execute(sqlalchemy.text("SELECT id FROM account ORDER BY id"))
        return list(ids.scalars())


def fill(store: Store, count: int) -> int:
    """Accept messages, the oldest of them to +32494000000; the id of their account."""
    (account_id,) = add_accounts(store, ("acme", None))
    ids = [new_id(1_800_000_000_000 + number) for number in range(count)]
    with store.write() as connection:
        connection.execute(
            sqlalchemy.text(
                "INSERT INTO message (id, account_id, sender, text, encoding, parts, accepted_at)"
                " VALUES (:id, :account, '', 'Hi', 'gsm7', 1, 0)"
            ),
            [{"id": id, "account": account_id} for id in ids],
        )
        connection.execute(
            sqlalchemy.text(
                "INSERT INTO delivery (message_id, recipient, route, parts, state, due_at,"
                " expires_at, attempts, possible_duplicate)"
                " VALUES (:id, :number, '', 1, 'queued', 0, 0, 0, false)"
            ),
            [{"id": id, "number": f"+32494{number:06}"} for number, id in enumerate(ids)],
        )
    return account_id


def found(store: Store, account_id: int) -> int:
    """How many messages to +32494000000 there are."""
    with store.read() as connection:
        page = history.found_page(connection, account_id, "+32494000000")
    return len(page.messages)


def test_a_filled_database_of_the_version_before_gets_the_index(old: Store) -> None:
    account_id = fill(old, 1_000)
    migrate(old)
    assert pending_migration(old) is None
    assert found(old, account_id) == 1
    with old.read() as connection:
        count = connection.execute(sqlalchemy.text("SELECT count(*) FROM delivery")).scalar_one()
    assert count == 1_000


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_messages_are_accepted_while_postgresql_builds_the_index(old: Store) -> None:
    account_id = fill(old, 100)
    # Who writes holds up the building of the index, and nobody else.
    with old.write() as slow:
        slow.execute(sqlalchemy.text("UPDATE delivery SET parts = parts WHERE id = 1"))
        migrating = threading.Thread(target=migrate, args=(old,))
        migrating.start()
        building = sqlalchemy.text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query ILIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"
        )

        def waits() -> bool:
            with old.read() as connection:
                return bool(connection.execute(building).scalar_one())

        wait_for(waits, 60)
        with old.write() as quick:
            quick.execute(sqlalchemy.text("SET LOCAL lock_timeout = '10s'"))
            quick.execute(sqlalchemy.text("UPDATE delivery SET parts = parts WHERE id > 1"))
        assert migrating.is_alive()
    migrating.join(60)
    assert pending_migration(old) is None
    assert found(old, account_id) == 1


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_index_that_was_left_half_built_is_built_anew(old: Store) -> None:
    account_id = fill(old, 100)
    with old.engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(sqlalchemy.exc.IntegrityError):
            connection.execute(
                sqlalchemy.text(
                    "CREATE UNIQUE INDEX CONCURRENTLY delivery_number ON delivery (parts)"
                )
            )
    migrate(old)
    assert found(old, account_id) == 1
    with old.read() as connection:
        valid = connection.execute(
            sqlalchemy.text(
                "SELECT indisvalid, indisunique FROM pg_index"
                " WHERE indexrelid = 'delivery_number'::regclass"
            )
        ).one()
    assert tuple(valid) == (True, False)


def test_processes_that_migrate_at_once_take_turns(old: Store) -> None:
    fill(old, 100)
    stores = [Store(old.engine.url.render_as_string(hide_password=False)) for _ in range(4)]
    failures: list[BaseException] = []

    def run(store: Store) -> None:
        try:
            migrate(store)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for store in stores:
        store.close()
    assert failures == []
    assert pending_migration(old) is None


ACCOUNTS = (("open", None), ("listed", "@example.org"))


def test_accounts_of_before_have_their_mails_read_as_new_ones(old: Store) -> None:
    add_accounts(old, *ACCOUNTS)
    with old.write() as connection:
        connection.execute(
            sqlalchemy.text(
                "INSERT INTO message (id, account_id, sender, text, encoding, parts, accepted_at)"
                " SELECT '0000' || id, id, '', 'Hello', 'gsm7', 1, 0 FROM account"
            )
        )
    migrate(old)
    assert pending_migration(old) is None
    with old.read() as connection:
        found = account_statements.everyone(connection)
        assert [
            (each.name, each.version, each.mail_whole, each.takes_mails_of_machines)
            for each in found
        ] == [("listed", 7, False, True), ("open", 7, False, False)]
        messages = connection.execute(sqlalchemy.text("SELECT account_id FROM message"))
        assert {row.account_id for row in messages} == {each.id for each in found}
    with old.write() as connection:
        account_statements.change(connection, "open", mail_whole=True, mail_machines=True)
    with old.read() as connection:
        changed = account_statements.by_name(connection, "open")
        assert changed is not None
        assert (changed.mail_whole, changed.takes_mails_of_machines) == (True, True)
