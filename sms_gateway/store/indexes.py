"""Defines the partial indexes and the index on an expression.

Only migrations import this module: these definitions make SQLAlchemy import its whole PostgreSQL
dialect, 3 MiB.
"""

import re
from typing import Any

from sqlalchemy import Column, Index, text

from .lookup import BITS
from .queue import ASLEEP
from .tables import delivery, early_receipt, message, queue
from .tables import metadata as metadata


def _partial(name: str, where: str, *columns: Column[Any]) -> None:
    Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


_partial("queue_asleep", f"lane = '{ASLEEP}'", queue.c.due_at)
_partial("early_receipt_waiting", "NOT given_up", early_receipt.c.id)
_partial("message_erased", "erased_at IS NOT NULL", message.c.erased_at)
# PostgreSQL's is `delivery_number`, of larger blocks.
Index("delivery_recipient", text(f"(id >> {BITS['sqlite']})"), delivery.c.recipient)

_HISTORY = "message|delivery|part|step"


def is_compared(thing: Any, name: str | None, kind: str, is_reflected: bool, _: Any) -> bool:
    """Whether Alembic compares something of a database with the tables of the program.

    Not the partitions of the history, nor its foreign keys: PostgreSQL has none there (`periods`).
    Nor the index of numbers, which differs.
    """
    if kind == "table":
        return not re.fullmatch(f"({_HISTORY})_(before|rest|p[0-9]+)", name or "")
    if kind == "index":
        return name not in ("delivery_recipient", "delivery_number")
    if kind == "foreign_key_constraint":
        tables = {thing.table.name, thing.referred_table.name}
        return tables.isdisjoint(_HISTORY.split("|"))
    return True
