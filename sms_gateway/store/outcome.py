"""How a transaction may end besides having failed: nobody knows, or nobody waits for it."""

from ..errors import GatewayError, UnavailableError


class OutcomeUnknownError(UnavailableError):
    """COMMIT was sent and not answered: the transaction is committed, or it is not.

    Every other error of a transaction says that nothing of it remains.
    """

    def __init__(self, transaction: str = "") -> None:
        """`transaction`: what PostgreSQL calls it (xid8); empty when it cannot be asked about."""
        super().__init__(
            "the database was lost while this was committed, and it is not known whether it was "
            "done: look, before it is tried again"
        )
        self.transaction = transaction


class OverdueError(GatewayError):
    """The turn to write did not come in time: nothing is stored, now or later."""
