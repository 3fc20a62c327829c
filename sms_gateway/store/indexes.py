"""The indexes on a part of a table.

The program never asks for them by name, only migrations need to know them: and for these words
SQLAlchemy imports all that it has for PostgreSQL, 3 MiB.
"""

from sqlalchemy import Index, text

from .tables import delivery, early_receipt
from .tables import metadata as metadata

Index(
    "delivery_queued",
    delivery.c.route,
    delivery.c.due_at,
    delivery.c.id,
    sqlite_where=text("state = 'queued'"),
    postgresql_where=text("state = 'queued'"),
)
Index(
    "delivery_submitting",
    delivery.c.claimed_by,
    sqlite_where=text("state = 'submitting'"),
    postgresql_where=text("state = 'submitting'"),
)
Index(
    "delivery_expiring",
    delivery.c.state,
    delivery.c.expires_at,
    sqlite_where=text("state IN ('queued', 'submitted')"),
    postgresql_where=text("state IN ('queued', 'submitted')"),
)
Index(
    "delivery_uncertain",
    delivery.c.recipient,
    sqlite_where=text("state = 'uncertain'"),
    postgresql_where=text("state = 'uncertain'"),
)
Index(
    "early_receipt_waiting",
    early_receipt.c.id,
    sqlite_where=text("NOT given_up"),
    postgresql_where=text("NOT given_up"),
)
