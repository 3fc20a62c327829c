"""Stores everything in the database: tables, statements, group commit and migrations."""

from .clock import ClockError
from .engine import Store, database_file, database_url
from .group_commit import GroupCommit, QueueFullError
from .limits import Limits
from .migrate import migrate, pending_migration
from .outcome import OutcomeUnknownError, OverdueError

__all__ = [
    "ClockError",
    "GroupCommit",
    "Limits",
    "OutcomeUnknownError",
    "OverdueError",
    "QueueFullError",
    "Store",
    "database_file",
    "database_url",
    "migrate",
    "pending_migration",
]
