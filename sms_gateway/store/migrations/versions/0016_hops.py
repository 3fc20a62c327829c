"""How many relays a message has passed."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A default that is no expression rewrites no table: neither in SQLite nor in PostgreSQL.
    op.add_column("message", sa.Column("hops", sa.Integer(), server_default="0", nullable=False))
