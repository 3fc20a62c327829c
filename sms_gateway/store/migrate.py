"""Brings a database to the schema of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from .engine import Store

# Any constant: it only has to be the same in every process that migrates.
_ADVISORY_LOCK = 7_353_767


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config


def migrate(store: Store) -> None:
    """Apply what is missing, in one transaction; processes that migrate at once take turns."""
    config = _config()
    with store.write() as connection:
        if not store.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def pending_migration(store: Store) -> str | None:
    """The schema version this program needs, or None when the database has it."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with store.read() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return None if current == head else head
