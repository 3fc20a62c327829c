"""Brings a database to the schema of this version."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from .engine import Store

if TYPE_CHECKING:
    from alembic.config import Config

#: The schema that this program needs: the newest in `migrations/versions`.
SCHEMA = "0012"
# Arbitrary, but equal in all processes that migrate.
_ADVISORY_LOCK = 7_353_767
#: How often to check whether another process has finished its migration, seconds.
_TURN = 0.2


def migrate(store: Store, schema: str = SCHEMA) -> None:
    """Apply the missing migrations; one process at a time.

    On SQLite all of them are one transaction. On PostgreSQL each migration is a transaction, except
    for steps that must be outside of one so that others can write meanwhile.
    """
    # Imported here: few processes migrate, and Alembic is a third of all imports.
    from alembic import command

    config = _config()
    with _turn(store) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, schema)


@contextmanager
def _turn(store: Store) -> Iterator[Connection]:
    """A connection for the one process that migrates."""
    if store.is_sqlite:
        with store.write() as connection:
            yield connection
        return
    # The lock is that of a transaction: by a pooler, a session may serve others at any time.
    with store.unhurried() as holder, store.unhurried() as connection, holder.begin():
        # Polls instead of waiting in a statement: CREATE INDEX CONCURRENTLY in the other process
        # would wait for that statement to end. It has no parameters, as the portal of a statement
        # with parameters would keep its snapshot, for which that waits too.
        asked = f"SELECT pg_try_advisory_xact_lock({_ADVISORY_LOCK})"
        while not holder.exec_driver_sql(asked).scalar_one():
            time.sleep(_TURN)
        yield connection


def pending_migration(store: Store) -> str | None:
    """The schema version this program needs, or None when it can run on the database as it is."""
    current = None
    with store.read() as connection:
        if inspect(connection).has_table("alembic_version"):
            current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if current is not None and suffices(current, SCHEMA) else SCHEMA


def suffices(current: str, needed: str) -> bool:
    """Whether a program that needs one schema runs on a database with another.

    Migrations only add, so a program runs on every newer schema: hosts are upgraded in turn, and
    may restart meanwhile (docs/use/upgrade.md). A migration that takes something away is named
    after the oldest schema whose programs still run, and so are those that follow: on "0031.0025"
    run programs that need 0025 or later.
    """
    number, _, oldest = current.partition(".")
    known, _, _ = needed.partition(".")
    return number >= known >= oldest


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config
