"""Statements over many rows, which come as one parameter, or as one for each column.

One statement for all of them costs a fraction of one for each, and SQLite lets other threads run
once instead of at every row.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from .bulk import run

# Characters as they are: those that no text can have are an error, as elsewhere.
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


class BulkRows:
    """A statement that reads the given rows from a table `given`.

    A row that is there twice may be taken once or twice, and either may come first.
    """

    def __init__(self, statement: str, **columns: str) -> None:
        """`columns` are those of `given`, each with its type in PostgreSQL."""
        values = ", ".join(f"json_extract(value, '$[{n}]')" for n, _ in enumerate(columns))
        arrays = ", ".join(f"?::{kind}[]" for kind in columns.values())
        given = f"WITH given ({', '.join(columns)}) AS"
        # Nothing in these comes from elsewhere.
        self._for_sqlite = f"{given} (SELECT {values} FROM json_each(?)) {statement}"  # noqa: S608
        self._for_postgresql = f"{given} (SELECT * FROM unnest({arrays})) {statement}"  # noqa: S608

    def run(
        self,
        connection: Connection,
        rows: Sequence[Sequence[Any]],
        *others: Any,
        execute: Callable[[Connection, str, Sequence[Any]], Any] = run,
    ) -> Any:
        """Run it with these rows, one at least, and its other parameters; returns its rows."""
        if connection.dialect.name == "sqlite":
            return execute(connection, self._for_sqlite, (_encode(rows), *others))
        arrays = map(list, zip(*rows, strict=True))
        return execute(connection, self._for_postgresql, (*arrays, *others))
