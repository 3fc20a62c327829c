"""Parts of received messages are remembered for a while after they were joined."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incoming_part", sa.Column("joined_at", sa.BigInteger(), nullable=True))
