"""Defines for how long a process waits for PostgreSQL, and how many connections it opens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of the connections of a process; SQLite has none of them."""

    #: The seconds in which a host has to let us in, to acknowledge what was sent, and to answer a
    #: transaction of the group commit.
    silence: float = 5.0
    #: The seconds after which the server ends a statement, or a transaction in which nothing
    #: happens.
    statement: float = 60.0
    #: The seconds after which the server ends a statement that waits for another's lock.
    lock: float = 3.0
    #: The most connections of a process.
    connections: int = 15


#: The limits without settings, as of commands and tests.
DEFAULT_LIMITS = Limits()
