"""Defines the partial indexes and the index on an expression.

Only migrations import this module: these definitions make SQLAlchemy import its whole PostgreSQL
dialect, 3 MiB.
"""

from typing import Any

from sqlalchemy import Column, Index, text

from .lookup import BLOCK
from .queue import ASLEEP
from .tables import delivery, early_receipt, queue
from .tables import metadata as metadata


def _partial(name: str, where: str, *columns: Column[Any]) -> None:
    Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


_partial("queue_asleep", f"lane = '{ASLEEP}'", queue.c.due_at)
_partial("early_receipt_waiting", "NOT given_up", early_receipt.c.id)
Index("delivery_recipient", text(BLOCK), delivery.c.recipient)
