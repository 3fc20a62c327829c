"""The queue in tables of its own, and room for changes in place.

Only new tables and one column: programs of the version before go on beside this one. The workers
take over the deliveries that those have queued, and then drop the indexes that only those need
(`adoption`, `migrate.contract`).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# A page has room for a new version of each of its rows: whole batches of neighbours change at once.
_HALF = {"fillfactor": "50"}
# Vacuumed after so many dead rows, however long the table is.
_SHORT = {
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "5000",
    "autovacuum_analyze_scale_factor": "0",
    "autovacuum_analyze_threshold": "20000",
    "autovacuum_vacuum_cost_delay": "0",
}
_LONG = {"autovacuum_vacuum_scale_factor": "0.02", "autovacuum_vacuum_insert_scale_factor": "0.05"}
_STORED: dict[str, dict[str, str]] = {
    "queue": _SHORT,
    "claim": _SHORT,
    "awaited": _SHORT,
    "lease": _HALF | _SHORT,
    "worker": _HALF | _SHORT,
    "account": _HALF | _SHORT,
    "counter": _HALF | _SHORT,
    "event": _SHORT,
    "delivery": _HALF | _LONG,
    "part": _HALF | _LONG,
}


def _attempted() -> list[Any]:
    return [
        sa.Column("delivery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("possible_duplicate", sa.Boolean(), nullable=False),
        sa.Column("claimed_by", sa.BigInteger(), nullable=True),
        sa.Column("upstream", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id"),
    ]


def upgrade() -> None:
    op.create_table("queue", *_attempted(), sa.Column("due_at", sa.BigInteger(), nullable=False))
    op.create_index(
        "queue_claim", "queue", ["lane", "priority", "account_id", "due_at", "delivery_id"]
    )
    op.create_index("queue_expiring", "queue", ["expires_at"])
    asleep = sa.text("lane = 'asleep'")
    op.create_index(
        "queue_asleep", "queue", ["due_at"], sqlite_where=asleep, postgresql_where=asleep
    )
    op.create_table("claim", *_attempted())
    op.create_table(
        "awaited",
        sa.Column("delivery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id"),
    )
    op.create_index(op.f("ix_awaited_expires_at"), "awaited", ["expires_at"])
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.add_column("worker", sa.Column("schema", sa.Text(), nullable=False, server_default=""))
    if op.get_bind().dialect.name == "postgresql":
        for table, stored in _STORED.items():
            values = ", ".join(f"{name} = {value}" for name, value in stored.items())
            op.execute(f"ALTER TABLE {table} SET ({values})")
