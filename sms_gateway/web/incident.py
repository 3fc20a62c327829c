"""What is kept of an error that nobody expected."""

import logging
import secrets

from ..log import log_error

log = logging.getLogger(__name__)


def report(error: BaseException) -> str:
    """Log by which types of exception and where it happened; return a short name for it."""
    incident = secrets.token_hex(4)
    log_error(log, "incident", error, incident=incident)
    return incident
