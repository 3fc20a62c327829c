"""How an account wants its mails to be read."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite adds a column without a copy of the table, which others refer to.
    op.add_column(
        "account",
        sa.Column("mail_whole", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("account", sa.Column("mail_machines", sa.Boolean(), nullable=True))
