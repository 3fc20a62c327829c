"""Whom the requests of an account may name as sender, and what callers call their messages."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("senders", sa.Text(), nullable=True))
    # A default that is no expression rewrites no table: neither in SQLite nor in PostgreSQL.
    op.add_column("message", sa.Column("reference", sa.Text(), server_default="", nullable=False))
