"""Defines the partial indexes and the index on an expression.

Only migrations import this module: these definitions make SQLAlchemy import its whole PostgreSQL
dialect, 3 MiB.
"""

from typing import Any

from sqlalchemy import Column, Index, text

from .lookup import BLOCK
from .tables import delivery, early_receipt
from .tables import metadata as metadata


def _partial(name: str, where: str, *columns: Column[Any]) -> None:
    Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


_partial("delivery_queued", "state = 'queued'", delivery.c.route, delivery.c.due_at, delivery.c.id)
_partial("delivery_submitting", "state = 'submitting'", delivery.c.claimed_by)
_partial(
    "delivery_expiring",
    "state IN ('queued', 'submitted')",
    delivery.c.state,
    delivery.c.expires_at,
)
_partial("delivery_uncertain", "state = 'uncertain'", delivery.c.recipient)
_partial("early_receipt_waiting", "NOT given_up", early_receipt.c.id)
Index("delivery_recipient", text(BLOCK), delivery.c.recipient)
