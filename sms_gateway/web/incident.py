"""Logs unexpected errors, each under an incident number."""

import logging
import secrets

from ..log import log_error

log = logging.getLogger(__name__)


def report(error: BaseException) -> str:
    """Log an error's exception types and place; return the incident's number."""
    incident = secrets.token_hex(4)
    log_error(log, "incident", error, incident=incident)
    return incident
