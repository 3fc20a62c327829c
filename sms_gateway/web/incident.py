"""What is kept of an error that nobody expected."""

import logging
import secrets
import traceback
from pathlib import PurePath

log = logging.getLogger(__name__)

#: The innermost places that are worth a log line.
_FRAMES = 12


def report(error: BaseException) -> str:
    """Log where and by which types of exception it happened; return a short name for it.

    The words of an exception are left out: they may quote a key, a number or a text.
    """
    incident = secrets.token_hex(4)
    types: list[str] = []
    places: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(types) < _FRAMES:
        types.append(type(cause).__name__)
        frames = traceback.extract_tb(cause.__traceback__)[-_FRAMES:]
        places += [f"{PurePath(f.filename).name}:{f.lineno} {f.name}" for f in frames]
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        else:
            cause = cause.__cause__ or cause.__context__
    log.error(
        "incident %s",
        incident,
        extra={"error": " from ".join(types), "at": " > ".join(places)},
    )
    return incident
