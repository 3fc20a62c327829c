"""The database: one SQLAlchemy engine, durable transactions, SQLite and PostgreSQL alike."""

import fcntl
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from . import sealed
from .outcome import OutcomeUnknownError, OverdueError

# What COMMIT fails with in SQLite before the frame that makes it valid is whole in the log (the
# last octet of an error's code is its kind: sqlite.org/rescode.html). After an error of input or
# output that frame may be there, and count when the log is read anew.
_SQLITE_KIND = 0xFF
_UNDONE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
}

#: Seconds that a statement of SQLite waits for other programs that write.
_BUSY_TIMEOUT = 10
#: How often the log of SQLite is tried to be emptied, and the seconds between.
_SCRUBS, _SCRUB_PAUSE = 20, 0.25
#: Where what people say, and who they are, is erased and deleted.
ERASED_IN = (
    "account",
    "session",
    "key_request",
    "number",
    "stop",
    "message",
    "delivery",
    "received",
    "incoming_part",
    "early_receipt",
    "counter",
    "cap_trip",
)


def database_url(url: str) -> URL:
    """The engine's URL for a setting's `sqlite:///…` or `postgresql://…`."""
    parsed = make_url(url)
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def database_file(url: str) -> Path | None:
    """The file of a SQLite database; None for a database that is not one file."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("the database is a file: sqlite:///path/to/file")
    return Path(parsed.database)


class Store:
    """A database opened by one process. Open it after forking."""

    def __init__(self, url: str, seal: sealed.Seal | None = None) -> None:
        """`seal`: by which texts and numbers are encrypted; None where they are in clear."""
        parsed = database_url(url)
        # SQLite has one writer at a time; processes that wait in its own busy handler starve
        # each other for seconds, while the system's file lock hands over at once.
        self._write_lock: _FileLock | None = None
        file = database_file(url)
        if file is not None:
            # Made here, as its owner's alone: SQLite lets everybody read what it makes. Its log
            # and the log's index get the permissions of the file.
            os.close(_private(file))
            self.engine = _sqlite_engine(parsed)
            self._write_lock = _FileLock(Path(f"{file}.lock"))
        else:
            self.engine = _postgresql_engine(parsed)
        sealed.use(self.engine.dialect, seal)
        #: What is raised when no statement can be at fault: no space, no server, no answer.
        driver = self.engine.dialect.loaded_dbapi
        self.unavailable = (OperationalError, driver.OperationalError)
        #: What is raised, too, when another process was first with what may be there once only.
        self.outrun = (IntegrityError, driver.IntegrityError)

    @property
    def is_sqlite(self) -> bool:
        return self._write_lock is not None

    @contextmanager
    def write(self, *, by: float = math.inf) -> Iterator[Connection]:
        """A transaction that is on disk when the block ends.

        After any error but OutcomeUnknownError nothing of it remains. Raises OverdueError when it
        has waited for other writers until `by` (time.monotonic).
        """
        with self.turn(), self.to_write() as connection, _committed(connection):
            if time.monotonic() < by:
                yield connection
            if time.monotonic() >= by:
                raise OverdueError

    def is_committed(self, transaction: str) -> bool | None:
        """Whether a transaction of PostgreSQL was committed; None when that is still open.

        The question goes over another connection than the lost one. `transaction`: see
        OutcomeUnknownError.
        """
        with self.engine.connect() as connection:
            asked = text("SELECT pg_xact_status(CAST(:transaction AS xid8))")
            status = connection.execute(asked, {"transaction": transaction}).scalar()
        return {"committed": True, "aborted": False}.get(str(status))

    def turn(self, *, wait: bool = True) -> AbstractContextManager[None]:
        """What has to be held to write. BlockingIOError if others have it and it may not `wait`."""
        return nullcontext() if self._write_lock is None else self._write_lock.held(wait=wait)

    def to_write(self) -> Connection:
        """A connection whose transactions write."""
        return self.engine.connect().execution_options(begin="BEGIN IMMEDIATE")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view of the database."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def scrub(self) -> bool:
        """Take what was erased out of the free pages and the write-ahead log too.

        SQLite overwrites what is deleted (secure_delete), here also in its log; False when a reader
        was in the way, so that it stands there still. PostgreSQL gives dead rows back; the bytes on
        its disk go when their page is written again (docs/use/erasure.md).
        """
        if not self.is_sqlite:
            with self.engine.connect() as connection:
                autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
                autocommit.exec_driver_sql(f"VACUUM {', '.join(ERASED_IN)}")
            return True
        for _ in range(_SCRUBS):
            if self._empty_log():
                return True
            # Without the turn: whoever exports a long history reads for seconds.
            time.sleep(_SCRUB_PAUSE)
        return False

    def _empty_log(self) -> bool:
        """Write SQLite's log into its database and over itself; False when somebody reads in it."""
        with self.turn(), self.engine.connect() as connection:
            autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
            # Nobody writes while it waits.
            autocommit.exec_driver_sql("PRAGMA busy_timeout = 50")
            try:
                checkpoint = autocommit.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                is_busy: int = checkpoint.one()[0]
            finally:
                autocommit.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT * 1_000}")
        return not is_busy

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        if self._write_lock is not None:
            self._write_lock.close()


class Writer:
    """The transactions of a thread that makes one after the other: they share a connection."""

    #: Seconds after which an idle connection is given back, so that the pool sees if it has died.
    IDLE = 1.0

    def __init__(self, store: Store, *, wait: bool = True) -> None:
        """Unless it may `wait` for others who write, it fails instead."""
        self._store = store
        self._wait = wait
        self._connection: Connection | None = None
        self._used_at = 0.0

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """See `Store.write`."""
        with self._store.turn(wait=self._wait):
            if time.monotonic() - self._used_at > self.IDLE and not self._store.is_sqlite:
                self.close()
            if self._connection is None:
                self._connection = self._store.to_write()
                if not self._wait:
                    # For those who write without our lock.
                    self._connection.exec_driver_sql("PRAGMA busy_timeout = 0")
                    self._connection.rollback()
            try:
                with _committed(self._connection, self._connection.info.get("pipeline")):
                    yield self._connection
            except BaseException:
                self.close()
                raise
            self._used_at = time.monotonic()

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            if not self._wait:
                self._connection.invalidate()  # others may wait
            self._connection.close()
            self._connection = None


@contextmanager
def _committed(connection: Connection, pipeline: Any = None) -> Iterator[None]:
    """A transaction, committed at the end of the block, by its `pipeline` where it has one."""
    is_committed: bool | OutcomeUnknownError = False
    try:
        with connection.begin():
            try:
                if pipeline is not None:
                    with pipeline.committed():
                        yield
                else:
                    yield
                    _commit(connection)
                is_committed = True
            except OutcomeUnknownError as unknown:
                is_committed = unknown
                raise
    except Exception:
        # What SQLAlchemy says of a connection that was lost meanwhile is no news.
        if isinstance(is_committed, OutcomeUnknownError):
            raise is_committed from is_committed.__cause__
        if not is_committed:
            raise


def _commit(connection: Connection) -> None:
    """COMMIT, by the driver itself: SQLAlchemy finds nothing left to commit."""
    try:
        connection.connection.commit()
    except Exception as error:
        if _may_be_committed(error):
            raise OutcomeUnknownError from error
        raise


def _may_be_committed(error: Exception) -> bool:
    """Whether a transaction may be on disk although its COMMIT failed with this error."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & _SQLITE_KIND not in _UNDONE
    # The server's own ERROR says that it was undone; FATAL, PANIC or silence say nothing.
    severity = getattr(getattr(error, "diag", None), "severity_nonlocalized", None)
    return severity != "ERROR"


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,  # what people send has no place in an exception's words
        connect_args={
            "check_same_thread": False,
            "timeout": _BUSY_TIMEOUT,
            "cached_statements": 256,
        },
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # a commit is on disk when it returns
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")  # what is forgotten is gone from free pages
        cursor.execute("PRAGMA temp_store = MEMORY")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # By the driver itself: SQLAlchemy's layers cost more than a statement of one word.
        begin = connection.get_execution_options().get("begin", "BEGIN")
        connection.connection.cursor().execute(begin)

    return engine


def _postgresql_engine(url: URL) -> Engine:
    from .pipeline import Pipeline  # psycopg is not installed where it is not needed

    engine = create_engine(
        url,
        hide_parameters=True,
        # A connection that died while it was idle is replaced before it is used.
        pool_pre_ping=True,
        connect_args={
            "client_encoding": "utf8",
            # The driver's cursors prepare nothing, as they would give up what `Pipeline` has
            # prepared with their own at each rollback.
            "prepare_threshold": None,
        },
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["pipeline"] = Pipeline(connection)

    return engine


def _private(path: Path) -> int:
    """A file opened to be read and written, and made for its owner alone where it is not there."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


class _FileLock:
    """An exclusive lock between all threads of all processes that name the same file."""

    def __init__(self, path: Path) -> None:
        self._thread_lock = threading.Lock()
        self._file = _private(path)

    @contextmanager
    def held(self, *, wait: bool) -> Iterator[None]:
        """Have it in the block. BlockingIOError when others have it and it may not `wait`."""
        if not self._thread_lock.acquire(blocking=wait):
            raise BlockingIOError
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._thread_lock.release()

    def close(self) -> None:
        os.close(self._file)
