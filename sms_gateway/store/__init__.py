"""What is kept: tables, one statement per function, group commit and migrations."""

from .engine import Store, database_file, database_url
from .group_commit import GroupCommit, QueueFull
from .migrate import migrate, pending_migration
from .outcome import OutcomeUnknown, Overdue

__all__ = [
    "GroupCommit",
    "OutcomeUnknown",
    "Overdue",
    "QueueFull",
    "Store",
    "database_file",
    "database_url",
    "migrate",
    "pending_migration",
]
