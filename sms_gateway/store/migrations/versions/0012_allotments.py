"""What each worker holds of the limits of upstreams and routes."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "allotment",
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("worker", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("rate_held", sa.Integer(), nullable=False),
        sa.Column("rate_wanted", sa.Integer(), nullable=False),
        sa.Column("window_held", sa.Integer(), nullable=False),
        sa.Column("window_wanted", sa.Integer(), nullable=False),
        sa.Column("speed", sa.Float(), nullable=False),
        sa.Column("ceiling", sa.Float(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
