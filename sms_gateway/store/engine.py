"""Opens the database (SQLite or PostgreSQL) and makes durable transactions."""

import fcntl
import math
import os
import re
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

from . import sealed
from .clock import Clock
from .limits import DEFAULT_LIMITS, Limits
from .outcome import OutcomeUnknownError, OverdueError
from .wakes import Bell, rung

# The errors of SQLite's COMMIT after which the transaction is undone: its commit frame is not in
# the log. (The last octet of an error's code is its kind: sqlite.org/rescode.html.) After an I/O
# error the frame may be in the log, and count when the log is next read.
_SQLITE_KIND = 0xFF
_UNDONE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
}

# The first eight digits of a file of the log are the timeline, which each promotion counts up.
# Where the server has crashed (`pipeline`), a transaction that is committed may be another.
_STATUS = text(
    """
    SELECT CASE WHEN left(pg_walfile_name(pg_current_wal_lsn()), 8) <> :timeline THEN 'elsewhere'
        WHEN status = 'committed' AND :since IS DISTINCT FROM
            CAST(extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time()) AS text)
        THEN 'elsewhere' ELSE status END
    FROM pg_xact_status(CAST(:number AS xid8)) AS status
    """
)

#: How long a statement of SQLite waits for other programs that write, seconds.
_BUSY_TIMEOUT = 10
#: How many times emptying SQLite's log is tried, and the seconds between two tries.
_SCRUBS, _SCRUB_PAUSE = 20, 0.25
#: The tables in which texts, numbers and addresses of people are erased or deleted.
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


# Several hosts, with or without ports (PostgreSQL: Connection URIs), and one of them.
_SEVERAL = re.compile(r"(postgresql://(?:[^@/]*@)?)([^/?@]*,[^/?@]*)(/.*)", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::([0-9]{1,5}))?")


def database_url(url: str) -> URL:
    """The engine's URL for a setting's `sqlite:///…` or `postgresql://…`.

    The latter may have several hosts: `postgresql://h1:5432,h2:5432/db`. Unless the URL says
    otherwise, the first is used that can be written to. ValueError for hosts that are none.
    """
    if (several := _SEVERAL.fullmatch(url)) is not None:
        before, hosts, after = several.groups()
        found = [_HOST.fullmatch(host) for host in hosts.split(",")]
        parsed = make_url(f"{before}{after}")
        parsed = parsed.update_query_dict(
            {
                "target_session_attrs": "read-write",
                **parsed.query,
                "host": ",".join(_part(match, 1).strip("[]") for match in found),
                "port": ",".join(_part(match, 2) or "5432" for match in found),
            }
        )
    else:
        parsed = make_url(url)
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _part(match: re.Match[str] | None, group: int) -> str:
    if match is None:
        raise ValueError("a host is a name or an address, with or without a port")
    return match[group] or ""


def database_file(url: str) -> Path | None:
    """The file of a SQLite database; None for a database that is not one file."""
    parsed = database_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("the database is a file: sqlite:///path/to/file")
    return Path(parsed.database)


class Store:
    """A database opened by one process. Open it after forking."""

    def __init__(
        self, url: str, seal: sealed.Seal | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        """`seal` encrypts texts and numbers; None leaves them in clear. `limits` are those of
        connections to PostgreSQL."""
        self.limits = limits
        parsed = database_url(url)
        # SQLite has one writer at a time. Processes that wait in its busy handler starve each
        # other for seconds; the file lock of the system hands over at once.
        self._write_lock: _FileLock | None = None
        self._bell: Bell | None = None
        #: The file of SQLite; None for PostgreSQL.
        self.file = file = database_file(url)
        if file is not None:
            # Created here with mode 0600: SQLite would let everybody read the file. Its log and the
            # log's index get the permissions of the file.
            os.close(_private(file))
            self._bell = Bell(file)
            self.engine = _sqlite_engine(parsed, self._bell)
            self._write_lock = _FileLock(Path(f"{file}.lock"))
        else:
            from .postgresql import open_engine  # psycopg may not be installed

            self.engine = open_engine(parsed, limits)
        sealed.use(self.engine.dialect, seal)
        self.clock = Clock(self)
        #: The errors of a full disk, a lost server or a missing answer: no statement is at fault.
        driver = self.engine.dialect.loaded_dbapi
        self.unavailable = (OperationalError, driver.OperationalError)
        #: The errors when another process was first to insert a unique value, among other causes.
        self.outrun = (IntegrityError, driver.IntegrityError)

    @property
    def is_sqlite(self) -> bool:
        return self._write_lock is not None

    @contextmanager
    def write(self, *, by: float = math.inf) -> Iterator[Connection]:
        """A transaction that is on disk when the block ends.

        After any error but OutcomeUnknownError nothing of the transaction is stored. Raises
        OverdueError when other writers kept it waiting until `by` (time.monotonic).
        """
        with self.turn(), self.to_write() as connection, _committed(connection):
            if time.monotonic() < by:
                yield connection
            if time.monotonic() >= by:
                raise OverdueError

    def is_committed(self, transaction: str) -> bool | None:
        """Whether a transaction of PostgreSQL was committed; None while it is in progress.

        It asks on another connection than the lost one. `transaction`: see OutcomeUnknownError,
        which is raised when a standby was promoted meanwhile: it numbers its own transactions from
        where it was, so that the number may be that of another. The same is so where the server has
        crashed meanwhile and a transaction of this number is committed.
        """
        number, timeline, since = transaction.split()
        with self.engine.connect() as connection:
            asked = {"number": number, "timeline": timeline, "since": since}
            status = connection.execute(_STATUS, asked).scalar()
        if status == "elsewhere":
            raise OutcomeUnknownError
        return {"committed": True, "aborted": False}.get(str(status))

    def turn(self, *, wait: bool = True) -> AbstractContextManager[None]:
        """The lock that writers hold. Without `wait`: BlockingIOError when others hold it."""
        return nullcontext() if self._write_lock is None else self._write_lock.held(wait=wait)

    def to_write(self) -> Connection:
        """A connection for transactions that write."""
        return self.engine.connect().execution_options(begin="BEGIN IMMEDIATE")

    @contextmanager
    def unhurried(self) -> Iterator[Connection]:
        """A connection without time limits: for migrations, and for what reads whole tables."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                yield connection
                return
            from .postgresql import unhurried

            unhurried(connection)
            try:
                yield connection
            finally:
                connection.invalidate()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view of the database."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def scrub(self) -> bool:
        """Remove erased data from the free pages and the write-ahead log too.

        SQLite overwrites deleted data (secure_delete); this empties its log as well. False when a
        reader kept the log in use, so that the data is still in it. PostgreSQL frees dead rows; the
        bytes stay on its disk until their page is written again (docs/use/erasure.md).
        """
        if not self.is_sqlite:
            with self.unhurried() as connection:
                autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
                autocommit.exec_driver_sql(f"VACUUM {', '.join(ERASED_IN)}")
            return True
        for _ in range(_SCRUBS):
            if self._empty_log():
                return True
            # Not in the lock: the export of a long history reads for seconds.
            time.sleep(_SCRUB_PAUSE)
        return False

    def _empty_log(self) -> bool:
        """Move SQLite's log into the database file and truncate it; False when a reader uses it."""
        with self.turn(), self.engine.connect() as connection:
            autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
            # Short, as nobody can write during this wait.
            autocommit.exec_driver_sql("PRAGMA busy_timeout = 50")
            try:
                checkpoint = autocommit.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                is_busy: int = checkpoint.one()[0]
            finally:
                autocommit.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT * 1_000}")
        return not is_busy

    def close(self) -> None:
        """Close all connections."""
        self.clock.close()
        self.engine.dispose()
        if self._write_lock is not None:
            self._write_lock.close()
        if self._bell is not None:
            self._bell.close()


class Writer:
    """Makes the transactions of one thread, which share a connection."""

    #: An idle connection goes back to the pool after this many seconds: the pool checks it.
    IDLE = 1.0

    def __init__(self, store: Store, *, wait: bool = True) -> None:
        """`wait`: whether to wait for other writers; without, a transaction fails instead."""
        self._store = store
        self._wait = wait
        self._connection: Connection | None = None
        self._used_at = 0.0
        #: The longest silence of PostgreSQL, seconds. It doubles while transactions fail by it, so
        #: that one that takes long succeeds in the end.
        self._patience = store.limits.silence

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """See `Store.write`."""
        with self._store.turn(wait=self._wait):
            if time.monotonic() - self._used_at > self.IDLE and not self._store.is_sqlite:
                self.close()
            if self._connection is None:
                self._connection = self._store.to_write()
                if not self._wait:
                    # Other programs may write without our lock.
                    self._connection.exec_driver_sql("PRAGMA busy_timeout = 0")
                    self._connection.rollback()
            # None for SQLite.
            session = self._connection.info.get("session")
            if session is not None:
                session.patience = self._patience
            try:
                with _committed(self._connection, self._connection.info.get("pipeline")):
                    yield self._connection
            except BaseException:
                if session is not None and session.gave_up:
                    self._patience = min(2 * self._patience, self._store.limits.statement)
                self.close()
                raise
            self._patience = self._store.limits.silence
            self._used_at = time.monotonic()

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            if not self._wait:
                self._connection.invalidate()  # its busy_timeout is 0
            self._connection.close()
            self._connection = None


@contextmanager
def _committed(connection: Connection, pipeline: Any = None) -> Iterator[None]:
    """A transaction that is committed at the end of the block, by `pipeline` if there is one."""
    is_committed: bool | OutcomeUnknownError = False
    try:
        with rung(connection), connection.begin():
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
        # SQLAlchemy's own error about the lost connection would hide the cause.
        if isinstance(is_committed, OutcomeUnknownError):
            raise is_committed from is_committed.__cause__
        if not is_committed:
            raise


def _commit(connection: Connection) -> None:
    """COMMIT by the driver; SQLAlchemy then finds nothing left to commit."""
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
    # ERROR from the server: the transaction is undone. FATAL, PANIC or no answer: unknown.
    severity = getattr(getattr(error, "diag", None), "severity_nonlocalized", None)
    return severity != "ERROR"


def _sqlite_engine(url: URL, bell: Bell) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,  # no message texts in exceptions
        connect_args={
            "check_same_thread": False,
            "timeout": _BUSY_TIMEOUT,
            "cached_statements": 256,
        },
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        record.info["bell"] = bell
        connection.isolation_level = None  # `_begin` begins transactions, not the driver
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # a commit is on disk when it returns
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")  # overwrites deleted data
        cursor.execute("PRAGMA temp_store = MEMORY")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # By the driver itself: SQLAlchemy's layers cost more than the statement.
        begin = connection.get_execution_options().get("begin", "BEGIN")
        connection.connection.cursor().execute(begin)

    return engine


def _private(path: Path) -> int:
    """Open a file for reading and writing; a new one gets mode 0600."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


class _FileLock:
    """An exclusive lock on a file, between all threads of all processes."""

    def __init__(self, path: Path) -> None:
        self._thread_lock = threading.Lock()
        self._file = _private(path)

    @contextmanager
    def held(self, *, wait: bool) -> Iterator[None]:
        """Hold the lock in the block. Without `wait`: BlockingIOError when others hold it."""
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
