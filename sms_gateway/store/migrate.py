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
SCHEMA = "0009"
# Any constant: it only has to be the same in every process that migrates.
_ADVISORY_LOCK = 7_353_767
#: Seconds between two looks at whether another process has ended its migration.
_TURN = 0.2


def migrate(store: Store, schema: str = SCHEMA) -> None:
    """Apply what is missing; processes that migrate at once take turns.

    On SQLite everything is one transaction. On PostgreSQL each migration is one, but for what has
    to be done outside of any so that others can write meanwhile.
    """
    # Every process asks about the schema, few change it: Alembic is a third of what there is to
    # import.
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
    with store.engine.connect() as holder, store.engine.connect() as connection:
        # Not one statement that waits: an index that is built while others write waits for all
        # statements that had begun before.
        holder = holder.execution_options(isolation_level="AUTOCOMMIT")
        key = {"key": _ADVISORY_LOCK}
        while not holder.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar_one():
            time.sleep(_TURN)
        try:
            yield connection
        finally:
            holder.execute(text("SELECT pg_advisory_unlock(:key)"), key)


def pending_migration(store: Store) -> str | None:
    """The schema version this program needs, or None when the database has it."""
    current = None
    with store.read() as connection:
        if inspect(connection).has_table("alembic_version"):
            current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if current == SCHEMA else SCHEMA


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config
