"""Has PostgreSQL read large tables by their indexes."""

from sqlalchemy import Connection, text

_OFF = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    # Processes that help cost more than these statements.
    "max_parallel_workers_per_gather": "0",
}
_BY_INDEX = text(
    f"SELECT {', '.join(f'''set_config('{name}', '{off}', true)''' for name, off in _OFF.items())}"
)


def by_index(connection: Connection) -> None:
    """Have the rest of a transaction read by indexes, row by row.

    Its statements read few rows of large tables. PostgreSQL expects many more of a partitioned
    table, as it leaves out partitions only while it executes, and would read all of it.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(_BY_INDEX)
