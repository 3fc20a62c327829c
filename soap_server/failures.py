"""How what should not have happened is logged: where and what kind, and none of its words.

The words of an exception may repeat what was sent: a key, a number, a text.
"""

import logging
import traceback

log = logging.getLogger("soap_server")


def log_failure(event: str, error: Exception) -> None:
    """Log an exception by its type and the place it comes from."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        event,
        extra={"exception": type(error).__name__, "where": f"{where.filename}:{where.lineno}"},
    )
