"""Runs statements on PostgreSQL by the driver's libpq, several in one round trip.

A round trip wakes two processes. The driver's cursors make one for each statement, and also for
BEGIN and for COMMIT.
"""

import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from psycopg import DataError, InternalError, OperationalError, pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result

from .outcome import OutcomeUnknownError

if TYPE_CHECKING:
    from .postgresql import Session

#: A statement with a `?` for each of its parameters.
_Statement = tuple[str, Sequence[Any]]

#: The most statements that stay prepared, as they use memory of the server. Most statements have
#: one form, some have one for each number of rows.
_MOST_PREPARED = 200

_DONE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
# Its number, and the timeline of the server, on which it is the only one with this number as
# long as the server does not crash.
_NAME_TRANSACTION = (
    "SELECT pg_current_xact_id() || ' ' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"
)
# A server that recovers from a crash discards its statistics, and may give a number once more whose
# transaction did not come to the disk. No connection outlives that, so one look is enough for each.
_SERVER_SINCE = b"SELECT extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())"

_RELEASE: Sequence[_Statement] = (
    ("SET LOCAL synchronous_commit TO off", ()),
    ("COMMIT", ()),
    ("BEGIN", ()),
    (_NAME_TRANSACTION, ()),
)


class Pipeline:
    """Runs statements on a connection of the driver; raises the driver's errors."""

    def __init__(self, connection: "Session", *, prepares: bool) -> None:
        """`prepares`: whether statements are prepared, which a pooler does not allow."""
        self._connection = connection
        self._pgconn = connection.pgconn
        self._most_prepared = _MOST_PREPARED if prepares else 0
        self._prepared: dict[str, bytes] = {}
        #: The statements that will be sent with the COMMIT; None outside of `committed`.
        self._waiting: list[_Statement] | None = None
        #: The name of the transaction, by which the server can later tell its outcome.
        self._transaction = ""
        self._server_since: str | None = None

    def run(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        """Execute a statement, in a new transaction if there is none; returns its rows."""
        return self._execute([(statement, parameters)])

    def later(self, statement: str, parameters: Sequence[Any]) -> None:
        """Execute a statement without rows, at the latest with the COMMIT."""
        if self._waiting is None:
            self.run(statement, parameters)
        else:
            self._waiting.append((statement, parameters))

    def release(self) -> None:
        """Commit the statements so far, which frees their locks; the rest is a new transaction.

        This commit does not wait for the disk: that of the rest does, and brings it there too. If
        the rest fails, it stays. Outside of `committed` nothing is done.
        """
        if self._waiting is None:
            return
        statements = [*self._waiting, *_RELEASE]
        self._waiting = []
        ((name,),) = self._execute(statements)
        self._transaction = name

    @contextmanager
    def committed(self) -> Iterator[None]:
        """Commit the statements of the block at its end.

        Raises OutcomeUnknownError when the connection was lost after COMMIT was sent. After any
        other error nothing is committed.
        """
        self._waiting = []
        self._transaction = ""
        try:
            yield
            self._commit([*self._waiting, ("COMMIT", ())])
        finally:
            self._waiting = None

    def _execute(self, statements: Sequence[_Statement]) -> list[Any]:
        """Execute statements in one round trip; returns the rows of the last."""
        begins = self._pgconn.transaction_status == pq.TransactionStatus.IDLE
        if begins and self._server_since is None:
            since = self._pgconn.exec_(_SERVER_SINCE).get_value(0, 0)
            self._server_since = (since or b"unknown").decode()
        if begins and self._waiting is not None:
            statements = [("BEGIN", ()), (_NAME_TRANSACTION, ()), *statements]
        elif begins:
            statements = [("BEGIN", ()), *statements]
        results: list[pq.abc.PGresult] = []
        self._send(statements)
        self._receive(results)
        self._pgconn.exit_pipeline_mode()
        for result in results:
            if result.status not in _DONE:
                raise error_from_result(result)
        if begins and self._waiting is not None:
            self._transaction = (results[1].get_value(0, 0) or b"").decode()
        return self._rows(results[-1])

    def _commit(self, statements: Sequence[_Statement]) -> None:
        """Execute statements, the last of which is COMMIT. Errors: see `committed`."""
        if self._pgconn.transaction_status == pq.TransactionStatus.IDLE:
            statements = [("BEGIN", ()), *statements]
        results: list[pq.abc.PGresult] = []
        lost: Exception | None = None
        self._send(statements)
        try:
            self._receive(results)
            self._pgconn.exit_pipeline_mode()
        except OperationalError as closed:
            lost = closed
        for result in results[: len(statements) - 1]:
            if result.status not in _DONE:
                raise error_from_result(result)  # so COMMIT was not executed
        if len(results) < len(statements):
            raise OutcomeUnknownError(self._name_of_transaction()) from lost
        if results[-1].status not in _DONE:
            error = error_from_result(results[-1])
            # A session that is terminated or crashes (FATAL) may have committed before.
            if error.diag.severity_nonlocalized != "ERROR":
                raise OutcomeUnknownError(self._name_of_transaction()) from error
            raise error
        if results[-1].command_status != b"COMMIT":
            raise InternalError("a statement had failed, which made a ROLLBACK of the COMMIT")

    def _name_of_transaction(self) -> str:
        return self._transaction and f"{self._transaction} {self._server_since}"

    def _send(self, statements: Sequence[_Statement]) -> None:
        """Send statements at once. After an error the last of them was not sent."""
        pgconn = self._pgconn
        commands = [(self._name(text), text, _sent(values)) for text, values in statements]
        pgconn.enter_pipeline_mode()
        for name, text, values in commands:
            if name is None:
                pgconn.send_query_params(_numbered(text), values)
            else:
                pgconn.send_query_prepared(name, values)

    def _name(self, text: str) -> bytes | None:
        """The name of the prepared statement; None when too many are prepared."""
        name = self._prepared.get(text)
        if name is None and len(self._prepared) < self._most_prepared:
            name = b"s%d" % len(self._prepared)
            result = self._pgconn.prepare(name, _numbered(text))
            if result.status not in _DONE:
                raise error_from_result(result)
            self._prepared[text] = name
        return name

    def _receive(self, results: list[pq.abc.PGresult]) -> None:
        """Append the results of all sent statements to `results`, also those before an error."""
        pgconn = self._pgconn
        pgconn.pipeline_sync()
        while pgconn.flush():
            self._connection.poll(select.POLLIN | select.POLLOUT)
            pgconn.consume_input()
        while True:
            self._connection.poll(select.POLLIN)
            pgconn.consume_input()
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:  # between two statements, or at the end of the connection
                    if pgconn.status == pq.ConnStatus.BAD:
                        raise OperationalError("the server closed the connection")
                elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                    return
                else:
                    results.append(result)

    def _rows(self, result: pq.abc.PGresult) -> list[Any]:
        if not result.ntuples:
            return []
        rows = Transformer(self._connection)
        rows.set_pgresult(result)
        return rows.load_rows(0, result.ntuples, tuple)


@lru_cache(maxsize=512)
def _numbered(statement: str) -> bytes:
    """A statement with `$1`, `$2` and so on in the places of its `?`."""
    first, *others = statement.split("?")
    return (first + "".join(f"${n}{text}" for n, text in enumerate(others, start=1))).encode()


def _sent(values: Sequence[Any]) -> list[bytes | None]:
    return [None if value is None else _text(value).encode() for value in values]


def _text(value: Any) -> str:
    """A value as PostgreSQL reads it."""
    match value:
        case str():
            if "\0" in value:  # libpq would cut the text there
                raise DataError("a text cannot contain NUL")
            return value
        case bytes() | bytearray():
            return "\\x" + value.hex()
        case list():
            return "{" + ",".join(map(_element, value)) + "}"
    return str(value)


def _element(value: Any) -> str:
    """A value as PostgreSQL reads it in an array."""
    if value is None:
        return "NULL"
    text = _text(value)
    if isinstance(value, str):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text
