"""Brings a database to the schema of this version."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from .engine import Store

if TYPE_CHECKING:
    from alembic.config import Config

#: The schema that this program needs: the newest in `migrations/versions`.
SCHEMA = "0001"
# Any constant: it only has to be the same in every process that migrates.
_ADVISORY_LOCK = 7_353_767


def migrate(store: Store) -> None:
    """Apply what is missing, in one transaction; processes that migrate at once take turns."""
    # Every process asks about the schema, few change it: Alembic is a third of what there is to
    # import.
    from alembic import command

    config = _config()
    with store.write() as connection:
        if not store.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, SCHEMA)


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
