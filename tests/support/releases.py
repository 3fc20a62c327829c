"""Databases and conversations of released versions: tests/recorded/releases."""

import json
import time
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Boolean, Connection, MetaData, Table, create_engine, text

import sms_gateway.store
from sms_gateway.store import database_url

FOLDER = Path(__file__).parents[1] / "recorded" / "releases"
RELEASES = sorted(file.parent.name for file in FOLDER.glob("*/database.json"))
#: What a release is recorded with, and what later versions go on with.
SETTINGS = """
[upstreams]
away = "smpp://user:password@127.0.0.1:1"

[[routes]]
prefix = ""
upstreams = ["default"]

[[routes]]
prefix = "39"
upstreams = ["away"]

[[routes]]
prefix = "33"
closed = true
"""
_MIGRATIONS = Path(sms_gateway.store.__file__).with_name("migrations")


def recorded(release: str, name: str) -> Any:
    """What was written down: `database` or `conversation`."""
    return json.loads((FOLDER / release / f"{name}.json").read_text())


def fill(url: str, release: str) -> dict[str, list[dict[str, Any]]]:
    """Make an empty database that of a release, as if it had been recorded now; its rows."""
    record = recorded(release, "database")
    (version,) = record["rows"].pop("alembic_version")
    later = time.time_ns() // 1_000_000 - record["recorded_at"]
    engine = create_engine(database_url(url))
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        config.attributes["connection"] = connection
        command.upgrade(config, version["version_num"])
    metadata = MetaData()
    metadata.reflect(engine)
    rows = {
        table.name: [_at(table, row, later) for row in record["rows"][table.name]]
        for table in metadata.sorted_tables
        if table.name in record["rows"]
    }
    with engine.begin() as connection:
        for name, content in rows.items():
            if content:
                connection.execute(metadata.tables[name].insert(), content)
                _number_on(connection, metadata.tables[name])
    engine.dispose()
    return rows


def _at(table: Table, row: dict[str, Any], later: int) -> dict[str, Any]:
    """A row as its table takes it, with all times that much later (milliseconds)."""
    made = {}
    for name, value in row.items():
        if isinstance(value, dict):
            value = bytes.fromhex(value["hex"])
        elif isinstance(table.c[name].type, Boolean):
            value = bool(value)
        elif name == "next_free":
            value += later * 1_000
        elif (value and name.endswith(("_at", "_until", "_since"))) or name == "at":
            value = value and value + later
        made[name] = value
    return made


def _number_on(connection: Connection, table: Table) -> None:
    """PostgreSQL goes on behind the rows that came with a number."""
    if connection.dialect.name == "postgresql" and "id" in table.c:
        sequence = connection.execute(
            text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table.name}
        ).scalar_one()
        if sequence is not None:
            most = text(f"SELECT setval(:sequence, (SELECT max(id) FROM {table.name}))")
            connection.execute(most, {"sequence": sequence})
