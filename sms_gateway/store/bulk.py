"""Statements that run often, by the database's own driver, and many rows in one of them.

SQLAlchemy's layers cost more for each execution than SQLite does for a small batch. It opens the
connections and begins and ends the transactions all the same.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table

Columns = tuple[str, ...]

#: The most rows of one VALUES: each number of rows is a statement of its own, which SQLite's driver
#: keeps prepared.
_MOST_ROWS = 32

_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def run(connection: Connection, statement: str, parameters: Sequence[Any]) -> Any:
    """Execute a statement with a `?` for each parameter; its cursor, with the driver's own rows.

    Errors are the driver's own too (see `Store.unavailable`).
    """
    if not connection.in_transaction():
        connection.begin()
    if connection.dialect.name != "sqlite":
        statement = _for_postgresql(statement)
    cursor = connection.connection.cursor()
    cursor.execute(statement, parameters)
    return cursor


@lru_cache(maxsize=512)
def with_marks(statement: str, count: int, mark: str = "?") -> str:
    """A statement with so many marks in the place of its `...`."""
    return statement.replace("...", ", ".join([mark] * count))


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all name the same columns, none of them binary."""
    if rows:
        columns = tuple(rows[0])
        insert_rows(connection, table, columns, [tuple(row[c] for c in columns) for row in rows])


def insert_rows(
    connection: Connection, table: Table, columns: Columns, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows with the values of these columns, none of them binary.

    SQLite is quickest with a statement of many rows, PostgreSQL with a parameter of all rows.
    """
    if connection.dialect.name == "sqlite":
        for first in range(0, len(rows), _MOST_ROWS):
            some = rows[first : first + _MOST_ROWS]
            statement = _insert_values(table.name, columns, len(some))
            run(connection, statement, [*chain.from_iterable(some)])
    elif rows:
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        run(connection, _insert_json(table.name, columns), (_json(named),))


@lru_cache(maxsize=512)
def _insert_values(table: str, columns: Columns, count: int) -> str:
    row = with_marks("(...)", len(columns))
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ..."  # noqa: S608 - names of ours
    return with_marks(insert, count, row)


@lru_cache(maxsize=64)
def _insert_json(table: str, columns: Columns) -> str:
    names = ", ".join(columns)
    return (
        f"INSERT INTO {table} ({names}) "  # noqa: S608 - names of ours
        f"SELECT {names} FROM json_populate_recordset(NULL::{table}, ?)"
    )


@lru_cache(maxsize=512)
def _for_postgresql(statement: str) -> str:
    return statement.replace("?", "%s")
