"""An index by which messages to a number are found."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NAME = "delivery_recipient"
_COLUMNS: list[Any] = [sa.text("(id >> 9)"), "recipient"]


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(_NAME, "delivery", _COLUMNS)
        return
    # Others go on writing while it is built, which no transaction may hold.
    with op.get_context().autocommit_block():
        # What is left of a migration that was interrupted is not used, and only costs.
        op.drop_index(_NAME, "delivery", if_exists=True, postgresql_concurrently=True)
        op.create_index(_NAME, "delivery", _COLUMNS, postgresql_concurrently=True)
