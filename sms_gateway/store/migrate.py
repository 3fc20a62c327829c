"""Brings a database to the schema of this version."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from ..moments import now
from .adoption import OLD_INDEXES, is_needed, is_over
from .engine import Store
from .tables import SCHEMA as SCHEMA

if TYPE_CHECKING:
    from alembic.config import Config

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
    is_new = _version(store) is None
    with _turn(store) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, schema)
    if is_new and schema == SCHEMA:
        _drop(store, OLD_INDEXES)


def contract(store: Store) -> None:
    """Drop the indexes that only programs of the version before need, if none of them runs any more
    and nothing of theirs is left to take over.

    Without these indexes a change of a delivery's state changes no index.
    """
    with store.read() as connection:
        if is_over(connection) or is_needed(connection, now=now()):
            return
    _drop(store, OLD_INDEXES)


def _drop(store: Store, indexes: Iterable[str]) -> None:
    if store.is_sqlite:
        with store.write() as connection:
            for name in indexes:
                connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
        return
    with _turn(store) as connection:
        autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
        # A long reader holds this up; it is tried again later.
        autocommit.exec_driver_sql("SET lock_timeout = '2s'")
        # That index of the version before is one of SQLite, too, which has no other.
        for name in (*indexes, "delivery_recipient"):
            autocommit.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


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
    current = _version(store)
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


def _version(store: Store) -> str | None:
    """The schema of a database; None when it has no tables yet."""
    with store.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config
