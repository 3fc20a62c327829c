"""Dedicated numbers that accounts share, each by keywords of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "keyword",
        sa.Column("digits", sa.Text(), primary_key=True),
        sa.Column("word", sa.Text(), primary_key=True),
        sa.Column("account_id", _ID, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("assigned_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_keyword_account_id", "keyword", ["account_id"])
    # PostgreSQL takes no samples of numbers.
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE keyword ALTER COLUMN digits SET STATISTICS 0")
