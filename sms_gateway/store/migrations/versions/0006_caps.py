"""Caps of keys, counted parts, and the caps that were reached."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A default that is no expression rewrites no table: neither in SQLite nor in PostgreSQL.
    op.add_column(
        "account", sa.Column("free", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("account", sa.Column("kinds", sa.Text(), nullable=True))
    for period in ("minute", "day", "month"):
        op.add_column("account", sa.Column(f"parts_per_{period}", sa.BigInteger(), nullable=True))
    op.create_table(
        "counter",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "period", "start"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cap_trip",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("refusals", sa.BigInteger(), nullable=False),
        sa.Column("refused_parts", sa.BigInteger(), nullable=False),
        sa.Column("tripped_at", sa.BigInteger(), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "period", "start"),
        sqlite_with_rowid=False,
    )
    op.create_index("cap_trip_due", "cap_trip", ["due_at"])
