"""Old keys that are valid for a while, deleted accounts, and no statistics on what people say.

PostgreSQL keeps samples of each column in pg_statistic, where an erased text or number would stay
until the next ANALYZE, or for ever. Nothing that we ask needs them for these columns.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Texts, numbers, addresses, secrets, and what is made of them.
_PRIVATE = {
    "account": {
        "name": "text",
        "key_hint": "text",
        "sender": "text",
        "senders": "text",
        "mail_address": "text",
        "mail_senders": "text",
        "callback_url": "text",
        "callback_secret": "text",
        "callback_paused_reason": "text",
    },
    "message": {"sender": "text", "text": "text", "reference": "text"},
    "delivery": {"recipient": "text"},
    "step": {"detail": "text"},
    "early_receipt": {"recipient": "text", "error": "text", "raw": "text"},
    "number": {"digits": "text"},
    "received": {"sender": "text", "recipient": "text", "text": "text"},
    "incoming_part": {"sender": "text", "recipient": "text", "text": "bytea"},
    "idempotency": {"content_hash": "bytea"},
    "stop": {"recipient": "text"},
    "event": {"failure": "text"},
    "key_request": {"address": "text", "network": "text", "failure": "text"},
    "counter": {"scope": "text"},
    "cap_trip": {"scope": "text", "failure": "text"},
}
# What these are built from is more than columns, so that a new type would have them built anew
# meanwhile, while nobody may write.
_INDEXES: dict[str, tuple[list[Any], str | None]] = {
    "delivery_recipient": ([sa.text("(id >> 9)"), "recipient"], None),
    "delivery_uncertain": (["recipient"], "state = 'uncertain'"),
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _drop_statistics()
    op.add_column("account", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "old_key",
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("key_hint", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("key_hash"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_old_key_account_id", "old_key", ["account_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE old_key ALTER COLUMN key_hint SET STATISTICS 0")


def _drop_statistics() -> None:
    # Each statement by itself, as it keeps others away for a moment. All may be done once more,
    # where a migration was interrupted.
    with op.get_context().autocommit_block():
        for name in _INDEXES:
            op.drop_index(name, "delivery", if_exists=True, postgresql_concurrently=True)
        # A new type drops the samples, and so does the same one, which changes no row.
        for table, columns in _PRIVATE.items():
            changes = ", ".join(
                f"ALTER COLUMN {name} SET STATISTICS 0, ALTER COLUMN {name} TYPE {kind}"
                for name, kind in columns.items()
            )
            op.execute(f"ALTER TABLE {table} {changes}")
        for name, (columns_of, where) in _INDEXES.items():
            op.create_index(
                name,
                "delivery",
                columns_of,
                postgresql_where=where and sa.text(where),
                postgresql_concurrently=True,
            )
