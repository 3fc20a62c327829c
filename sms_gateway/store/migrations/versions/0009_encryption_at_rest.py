"""The keys by which values are encrypted, and what binds a number to its message."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "encryption_key",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("check_value", sa.Text(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.add_column("delivery", sa.Column("binding", sa.Text(), nullable=True))
