"""What each process may do in PostgreSQL: the table of rights, the file, and the database agree."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError
from support.books import Books
from support.roles import GRANTS, NAMES, granted

from sms_gateway import database as databases
from sms_gateway.deliver.housekeeper import Housekeeper
from sms_gateway.errors import UnavailableError
from sms_gateway.settings import load
from sms_gateway.store import Store, grants
from sms_gateway.store.engine import ERASED_IN
from sms_gateway.store.tables import metadata

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def test_the_file_is_what_the_command_prints() -> None:
    """Otherwise: `sendsmsnow grants > docs/postgresql/grants.sql`."""
    command = [sys.executable, "-m", "sms_gateway", "grants"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert GRANTS.read_text("utf-8") == done.stdout


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_of_every_table_it_is_said_who_may_use_it(table: str) -> None:
    """A new table needs a line in `GRANTS` of sms_gateway/store/grants.py: who may do what with it,
    and no role that has no statement about it."""
    assert grants.GRANTS.get(table), f"who may use the table {table}?"


def test_rights_are_on_tables_and_columns_that_there_are() -> None:
    assert set(grants.GRANTS) == set(metadata.tables)
    for role in grants.ROLES:
        for _, relation, columns in grants.rights(role):
            if relation in metadata.tables:
                assert set(columns or ()) <= set(metadata.tables[relation].columns.keys())


def test_a_right_on_a_column_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"counter": {"web": grants.Rights("* - scope nonsense")}}
    monkeypatch.setattr(grants, "GRANTS", wrong)
    with pytest.raises(ValueError, match="counter has no column nonsense"):
        list(grants.rights("web"))


_RELATIONS = """
    SELECT relname, relkind::text, privilege_type AS privilege
    FROM pg_class CROSS JOIN aclexplode(relacl) AS acl
    WHERE relnamespace = 'public'::regnamespace AND grantee = CAST(:role AS regrole)
"""
_COLUMNS = """
    SELECT relname, attname, privilege_type AS privilege
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid CROSS JOIN aclexplode(attacl) AS acl
    WHERE relnamespace = 'public'::regnamespace AND grantee = CAST(:role AS regrole)
"""


def rights_of(connection: Connection, role: str) -> set[tuple[str, str, str]]:
    """What the database lets a role do: privilege, relation, column ("" for all of them)."""
    whole = connection.execute(text(_RELATIONS), {"role": role})
    some = connection.execute(text(_COLUMNS), {"role": role})
    return {(row.privilege, row.relname, "") for row in whole} | {
        (row.privilege, row.relname, row.attname) for row in some
    }


@on_postgresql
def test_the_file_gives_each_role_the_rights_of_the_table_and_no_others(
    database: str, store: Store
) -> None:
    # What was granted before, by hand or by an older version, is taken away.
    granted(database)
    granted(database, "GRANT ALL ON account, session TO sendsmsnow_mail, sendsmsnow_web")
    granted(database, "GRANT UPDATE (text) ON message TO sendsmsnow_mail")
    granted(database, "GRANT SELECT ON message TO PUBLIC")
    granted(database)
    with store.read() as connection:
        maintains = connection.dialect.server_version_info >= (17,)  # type: ignore[operator]
        for role, name in NAMES.items():
            said = {
                (privilege, relation, column)
                for privilege, relation, columns in grants.rights(role)
                for column in (columns or ("",))
                if privilege != "EXECUTE"
            }
            if maintains and role in grants.SCRUBBERS:
                said |= {("MAINTAIN", relation, "") for relation in ERASED_IN}
            assert rights_of(connection, name) == said, role
            assert grants.missing(connection, role) == []  # the owner may do anything
        may = (
            "SELECT has_function_privilege(CAST(:role AS name), to_regproc(:name)::oid, 'EXECUTE')"
        )
        for name in grants.FUNCTIONS:
            holders = {
                role
                for role, user in NAMES.items()
                if connection.execute(text(may), {"role": user, "name": name}).scalar_one()
            }
            assert holders == {"worker"}
        public = "SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE grantee = 0"
        ours = f"{public} AND relnamespace = 'public'::regnamespace"
        assert connection.execute(text(ours)).scalar_one() == 0


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    store = Store(url)
    try:
        with store.to_write() as connection:
            yield connection
    finally:
        store.close()


def is_refused(connection: Connection, statement: str) -> bool:
    """Whether a statement fails, and for want of a right."""
    try:
        connection.exec_driver_sql(statement)
    except ProgrammingError as error:
        return isinstance(error.orig, InsufficientPrivilege)
    finally:
        connection.rollback()
    return False


FORBIDDEN: dict[grants.Role, list[str]] = {
    "web": [
        "UPDATE delivery SET claimed_by = 1",
        "UPDATE delivery SET upstream = 'mine'",
        "DELETE FROM account",
        "UPDATE account SET enabled = true",
        "UPDATE account SET kinds = 'premium', parts_per_day = NULL",
        "UPDATE account SET callback_url = 'https://mine.example'",
        "INSERT INTO account (name, senders) VALUES ('a', '*')",
        "SELECT callback_secret FROM account",
        "SELECT * FROM worker",
        "DELETE FROM message",
        "DELETE FROM delivery",
        "DELETE FROM step",
        "UPDATE step SET detail = ''",
        "UPDATE message SET account_id = 1",
        "INSERT INTO number (digits, account_id, assigned_at) VALUES ('1', 1, 1)",
        "DELETE FROM received",
        "DELETE FROM cap_trip",
        "SELECT * FROM event",
        "DELETE FROM audit",
        "INSERT INTO audit_retention VALUES (1)",
    ],
    "worker": [
        "INSERT INTO account (name) VALUES ('a')",
        "UPDATE account SET key_hash = ''",
        "UPDATE account SET next_free = 0",
        "SELECT key_hash FROM account",
        "INSERT INTO message (id) VALUES ('a')",
        "INSERT INTO delivery (recipient) VALUES ('+32494000000')",
        "SELECT * FROM session",
        "INSERT INTO session (account_id) VALUES (1)",
        "INSERT INTO number (digits, account_id, assigned_at) VALUES ('1', 1, 1)",
        "SELECT detail FROM step",
        "UPDATE counter SET parts = 0",
        "SELECT facts FROM audit",
        "SELECT * FROM old_key",
    ],
    "mail": [
        "SELECT text FROM message",
        "SELECT * FROM message",
        "UPDATE message SET text = ''",
        "SELECT recipient FROM delivery",
        "UPDATE delivery SET state = 'queued'",
        "SELECT * FROM received",
        "SELECT * FROM incoming_part",
        "SELECT key_hash FROM account",
        "SELECT callback_secret FROM account",
        "INSERT INTO account (name) VALUES ('a')",
        "UPDATE account SET enabled = true",
        "SELECT * FROM session",
        "SELECT * FROM key_request",
        "SELECT * FROM step",
        "DELETE FROM stop",
        "DELETE FROM idempotency",
        "SELECT * FROM audit",
        "DELETE FROM audit",
        "SELECT * FROM old_key",
    ],
    "operator": [
        "DELETE FROM account",
        "DELETE FROM message",
        "SELECT * FROM session",
        "DELETE FROM audit",
    ],
}
NOBODY = [
    "ALTER TABLE message ADD COLUMN more TEXT",
    "DROP TABLE message",
    "DROP INDEX message_account",
    "TRUNCATE counter",
    "UPDATE audit SET facts = ''",
    "DROP TRIGGER audit_is_kept ON audit",
    "ALTER TABLE audit DISABLE TRIGGER ALL",
    "CREATE TABLE mine (id INTEGER)",
    "CREATE TRIGGER mine AFTER INSERT ON message EXECUTE FUNCTION audit_is_kept()",
    "UPDATE alembic_version SET version_num = ''",
    "ALTER TABLE message OWNER TO CURRENT_USER",
    "SELECT setval('delivery_id_seq', 1)",
    "COPY message TO PROGRAM 'cat'",
]


@on_postgresql
@pytest.mark.parametrize("role", grants.ROLES)
def test_what_a_role_has_no_right_to_is_refused(database: str, role: grants.Role) -> None:
    with connected(granted(database)[role]) as connection:
        assert [each for each in FORBIDDEN[role] + NOBODY if not is_refused(connection, each)] == []


@on_postgresql
def test_a_worker_has_the_rights_to_keep_house(database: str, store: Store) -> None:
    books = Books(store)
    with closing(Store(granted(database)["worker"])) as theirs:
        Housekeeper(theirs, books.ledger, books.worker).keep()


@on_postgresql
def test_a_process_whose_role_lacks_a_right_does_not_start(database: str) -> None:
    urls = granted(database)
    for role in ("web", "worker", "mail"):
        settings = load(None, {"database_url": urls[role]}, {})
        with databases.opened(settings, role):  # type: ignore[arg-type]
            pass
    # As after a migration that brought a table and a column.
    granted(database, "REVOKE ALL ON counter, alembic_version FROM sendsmsnow_mail")
    granted(database, "REVOKE UPDATE (next_free) ON account FROM sendsmsnow_mail")
    granted(database, "REVOKE ALL ON SEQUENCE delivery_id_seq FROM sendsmsnow_mail")
    settings = load(None, {"database_url": urls["mail"]}, {})
    with pytest.raises(UnavailableError) as refused, databases.opened(settings, "mail"):
        pass
    assert (
        "may not do all that mail does (UPDATE on account, SELECT on alembic_version, "
        "DELETE on counter, INSERT on counter, SELECT on counter, UPDATE on counter, "
        "USAGE on delivery_id_seq); the owner of the tables has to apply what sendsmsnow grants "
        "prints"
    ) in str(refused.value)
    # One process does not do for another.
    with pytest.raises(UnavailableError, match="may not do all that worker does"):  # noqa: SIM117
        with databases.opened(settings, "worker"):
            pass


@on_postgresql
def test_roles_may_have_any_name(database: str) -> None:
    odd = {role: f'{role} "50%" o\'clock' for role in grants.ROLES}
    for name in odd.values():
        quoted = name.replace('"', '""')
        granted(database, f'CREATE ROLE "{quoted}"'.replace("%", "%%"))
    with connected(database) as connection:
        connection.connection.cursor().execute(grants.sql(odd).replace("BEGIN;", "", 1))
        for name in odd.values():
            asked = text("SELECT has_table_privilege(:name, 'alembic_version', 'SELECT')")
            assert connection.execute(asked, {"name": name}).scalar_one()
        connection.rollback()


def test_two_processes_do_not_share_a_role() -> None:
    command = [sys.executable, "-m", "sms_gateway", "grants", "--web", "a", "--mail", "a"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "each needs a role of its own" in done.stderr


def test_on_sqlite_nobody_lacks_a_right(tmp_path: object) -> None:
    store = Store(f"sqlite:///{tmp_path}/sms.sqlite3")
    with store.read() as connection:
        assert grants.missing(connection, "web") == []
    store.close()
