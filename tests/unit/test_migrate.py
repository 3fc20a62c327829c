"""The schema that the program asks for, beside the migrations that there are."""

from pathlib import Path

import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import sms_gateway.store
from sms_gateway.store import Store, migrate, pending_migration
from sms_gateway.store.indexes import metadata
from sms_gateway.store.migrate import SCHEMA

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


def test_a_new_database_needs_all_migrations_once(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'new.sqlite3'}")
    assert pending_migration(store) == SCHEMA
    migrate(store)
    assert pending_migration(store) is None
    migrate(store)
    store.close()


def test_the_migrations_make_the_tables_and_indexes_of_the_program(store: Store) -> None:
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
