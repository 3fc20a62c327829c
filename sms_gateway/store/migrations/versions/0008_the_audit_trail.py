"""The audit trail, which the database itself lets nobody change."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WHY = "the audit trail is only added to: see sendsmsnow audit --prune"
_OLD_ENOUGH = "EXISTS (SELECT 1 FROM audit_retention WHERE audit_retention.before > OLD.at)"
_SQLITE = (
    f"""
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, '{_WHY}'); END
    """,
    f"""
    CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit WHEN NOT {_OLD_ENOUGH}
    BEGIN SELECT RAISE(ABORT, '{_WHY}'); END
    """,
    # INSERT OR REPLACE deletes without a word to the trigger above.
    f"""
    CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE audit.id = NEW.id)
    BEGIN SELECT RAISE(ABORT, '{_WHY}'); END
    """,  # noqa: S608 - words of ours
)
_POSTGRESQL = (
    f"""
    CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND {_OLD_ENOUGH} THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION '{_WHY}';
    END $$
    """,
    """
    CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_kept()
    """,
    f"""
    CREATE FUNCTION audit_is_not_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '{_WHY}';
    END $$
    """,
    """
    CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_not_emptied()
    """,
)


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("face", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_account", "audit", ["account_id", "id"])
    op.create_index("audit_at", "audit", ["at"])
    op.create_table(
        "audit_retention",
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("before"),
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if is_sqlite else _POSTGRESQL:
        op.execute(statement)
    if not is_sqlite:
        # As migration 0007 does for all that names people.
        for name in ("operator", "network", "account", "facts"):
            op.execute(f"ALTER TABLE audit ALTER COLUMN {name} SET STATISTICS 0")
