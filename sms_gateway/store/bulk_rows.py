"""Runs one statement over many rows, given as one parameter or as one for each column.

This costs a fraction of a statement for each row. SQLite lets other threads run once in it, instead
of once a row.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from .bulk import run

# No escapes: a character that no text can have (a lone surrogate) is an error, as elsewhere.
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


class BulkRows:
    """A statement that reads the given rows from a table `given`.

    A statement may process a repeated row once or twice, and rows in any order.
    """

    def __init__(self, statement: str, **columns: str) -> None:
        """`columns`: the columns of `given`, each with its PostgreSQL type."""
        values = ", ".join(f"json_extract(value, '$[{n}]')" for n, _ in enumerate(columns))
        arrays = ", ".join(f"?::{kind}[]" for kind in columns.values())
        given = f"WITH RECURSIVE given ({', '.join(columns)}) AS"
        # The SQL contains no input, only our own names.
        self._for_sqlite = f"{given} (SELECT {values} FROM json_each(?)) {statement}"  # noqa: S608
        self._for_postgresql = f"{given} (SELECT * FROM unnest({arrays})) {statement}"  # noqa: S608

    def run(
        self,
        connection: Connection,
        rows: Sequence[Sequence[Any]],
        *others: Any,
        execute: Callable[[Connection, str, Sequence[Any]], Any] = run,
    ) -> Any:
        """Run the statement with at least one row and its other parameters; returns its rows."""
        if connection.dialect.name == "sqlite":
            return execute(connection, self._for_sqlite, (_encode(rows), *others))
        arrays = map(list, zip(*rows, strict=True))
        return execute(connection, self._for_postgresql, (*arrays, *others))
