"""Many rows in one statement, in the way that is cheapest for each database.

SQLite runs a prepared statement once per row at little cost, while PostgreSQL is best given one
statement with an array per column.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Insert, Table, bindparam, func, insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY

Row = Mapping[str, Any]


def insert_many(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows that all name the same columns."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(_plain(table), rows)
    else:
        names = tuple(rows[0])
        connection.execute(from_arrays(table, names), arrays(rows, names))


@lru_cache(maxsize=64)
def _plain(table: Table) -> Insert:
    return insert(table)


@lru_cache(maxsize=64)
def from_arrays(table: Table, names: tuple[str, ...]) -> postgresql.Insert:
    """PostgreSQL's INSERT of one array per column."""
    columns = [table.c[name] for name in names]
    rows = (
        func.unnest(*(bindparam(column.name, type_=ARRAY(column.type)) for column in columns))
        .table_valued(*names)
        .render_derived()
    )
    return postgresql.insert(table).from_select(list(names), select(*(rows.c[n] for n in names)))


def arrays(rows: Sequence[Row], names: Sequence[str]) -> dict[str, list[Any]]:
    """The rows as an array per column, the parameters of `from_arrays`."""
    return {name: [row[name] for row in rows] for name in names}
