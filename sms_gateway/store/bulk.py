"""Runs frequent statements by the database's own driver, and inserts many rows with one statement.

SQLAlchemy's layers cost more for each execution than SQLite does for a small batch. SQLAlchemy
still opens the connections and begins and ends the transactions. For PostgreSQL, see `pipeline`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Dialect, Table

Columns = tuple[str, ...]
#: Columns that have the same value in all rows, with that value in SQL.
Same = tuple[tuple[str, str], ...]

#: The most rows of one VALUES. Each number of rows makes a statement of its own, which SQLite's
#: driver keeps prepared.
_MOST_ROWS = 32


def run(connection: Connection, statement: str, parameters: Sequence[Any]) -> Iterable[Any]:
    """Execute a statement with a `?` for each parameter; returns the rows of the driver.

    Raises the driver's own errors (see `Store.unavailable`).
    """
    if not connection.in_transaction():
        connection.begin()
    pipeline = connection.info.get("pipeline")
    if pipeline is not None:
        rows: list[Any] = pipeline.run(statement, parameters)
        return rows
    cursor: Iterable[Any] = connection.connection.cursor().execute(statement, parameters)
    return cursor


def later(connection: Connection, statement: str, parameters: Sequence[Any]) -> None:
    """Execute a statement without rows, at the latest when the transaction is committed.

    Nothing else in the transaction may depend on it. PostgreSQL gets it together with COMMIT.
    """
    pipeline = connection.info.get("pipeline")
    if pipeline is None:
        run(connection, statement, parameters)
    else:
        pipeline.later(statement, parameters)


def release(connection: Connection) -> None:
    """Free the locks that the transaction has taken so far, before it waits for the disk.

    On PostgreSQL what was written so far is then committed just before the rest: if the rest
    fails, it stays. SQLite has no locks of rows, and one transaction.
    """
    pipeline = connection.info.get("pipeline")
    if pipeline is not None:
        pipeline.release()


@lru_cache(maxsize=512)
def with_marks(statement: str, count: int, mark: str = "?") -> str:
    """A statement with `count` marks in the place of its `...`."""
    return statement.replace("...", ", ".join([mark] * count))


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all name the same columns, none of them binary."""
    if rows:
        columns = tuple(rows[0])
        insert_rows(connection, table, columns, [tuple(row[c] for c in columns) for row in rows])


def insert_rows(
    connection: Connection,
    table: Table,
    columns: Columns,
    rows: Sequence[tuple[Any, ...]],
    *,
    same: Same = (),
    execute: Callable[[Connection, str, Sequence[Any]], Any] = run,
) -> None:
    """Insert rows with the values of these columns, none of them binary.

    SQLite is quickest with a statement of many rows, PostgreSQL with an array for each column.
    """
    dialect: Any = connection.dialect
    if dialect.seal is not None:
        columns, rows = dialect.seal.rows(table, columns, rows)
    if dialect.name == "sqlite":
        for first in range(0, len(rows), _MOST_ROWS):
            some = rows[first : first + _MOST_ROWS]
            statement = _insert_values(table.name, columns, same, len(some))
            execute(connection, statement, [*chain.from_iterable(some)])
    elif rows:
        statement = _insert_arrays(table, columns, same, dialect)
        execute(connection, statement, [*map(list, zip(*rows, strict=True))])


@lru_cache(maxsize=512)
def _insert_values(table: str, columns: Columns, same: Same, count: int) -> str:
    row = ", ".join(["?"] * len(columns) + [value for _, value in same])
    return f"{_insert(table, columns, same)} VALUES {', '.join([f'({row})'] * count)}"


@lru_cache(maxsize=64)
def _insert_arrays(table: Table, columns: Columns, same: Same, dialect: Dialect) -> str:
    arrays = ", ".join(f"?::{table.c[name].type.compile(dialect)}[]" for name in columns)
    row = ", ".join(["*", *(value for _, value in same)])
    insert = _insert(table.name, columns, same)
    return f"{insert} SELECT {row} FROM unnest({arrays})"  # noqa: S608 - names of ours


def _insert(table: str, columns: Columns, same: Same) -> str:
    return f"INSERT INTO {table} ({', '.join([*columns, *(name for name, _ in same)])})"
