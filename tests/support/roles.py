"""Roles in PostgreSQL, as docs/postgresql/grants.sql gives them their rights."""

from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from sms_gateway.store import database_url, grants

GRANTS = Path(__file__).parents[2] / "docs/postgresql/grants.sql"
NAMES: dict[grants.Role, str] = {role: f"sendsmsnow_{role}" for role in grants.ROLES}

_MADE = "SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'sendsmsnow_')"


def granted(database: str, script: str | None = None) -> dict[grants.Role, str]:
    """Make the roles that are not there yet, and apply the file, or another script, as the owner
    of the tables; the URL of the database for each role."""
    engine = create_engine(database_url(database), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        made = set(connection.execute(text(_MADE)).scalars())
        for name in set(NAMES.values()) - made:
            connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN")
        connection.exec_driver_sql(GRANTS.read_text() if script is None else script)
    engine.dispose()
    url = make_url(database)
    return {
        role: url.set(username=name).render_as_string(hide_password=False)
        for role, name in NAMES.items()
    }
