"""Errors of transactions whose outcome is unknown, or that came too late."""

from ..errors import GatewayError, UnavailableError


class OutcomeUnknownError(UnavailableError):
    """COMMIT was sent and not answered: the transaction is committed, or it is not.

    After every other error of a transaction nothing of it is stored.
    """

    def __init__(self, transaction: str = "") -> None:
        """`transaction`: its id (xid8) and timeline in PostgreSQL, and since when the server has
        not crashed (Unix seconds), with blanks between; empty when it cannot be looked up."""
        super().__init__(
            "the database was lost while this was committed, and it is not known whether it was "
            "done: look, before it is tried again"
        )
        self.transaction = transaction


class OverdueError(GatewayError):
    """The transaction did not get the write lock in time: nothing is stored, now or later."""
