"""Writes the log of all processes: one line for each event with its facts, on standard error.

An exception is logged by its types and places. Its message is left out, as it may quote a key, a
number or a text. Kept are only messages of the operating system (`No space left on device`), and
the name of a missing module.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import PurePath
from typing import TextIO

from .moments import iso

#: The packages that `log_level` applies to; of others only warnings and errors are logged.
OURS = ("sms_gateway", "soap_server", "soap_client", "email_gateway", "wsdl")

# The attributes of a record without facts.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# The most places (the innermost ones) and causes of an error that are logged.
_FRAMES = 12
_CAUSES = 5


def setup(level: str, form: str, stream: TextIO | None = None) -> None:
    """Log to `stream` (default: standard error); `form` is `text` or `json`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    handler.addFilter(_without_words_of_errors)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())


def facts(record: logging.LogRecord) -> dict[str, object]:
    """The facts of an event: its `extra`, and the types and places of its exception."""
    found = {name: value for name, value in vars(record).items() if name not in _USUAL}
    if record.exc_info and record.exc_info[1] is not None:
        found |= error_facts(record.exc_info[1])
    return {name: _plain(value) for name, value in found.items()}


def error_facts(error: BaseException) -> dict[str, str]:
    """The types of an exception and its causes, and the places of their tracebacks."""
    causes = list(_causes(error))
    frames = [frame for each in causes for frame in traceback.extract_tb(each.__traceback__)]
    places = [f"{PurePath(f.filename).name}:{f.lineno} {f.name}" for f in frames[-_FRAMES:]]
    return {"error": " from ".join(map(_told, causes)), "at": " > ".join(places)}


def log_error(log: logging.Logger, event: str, error: BaseException, **facts: object) -> None:
    """Log an unexpected error, with its `error_facts`."""
    log.error(event, extra=facts | error_facts(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_CAUSES):
        if error is None:
            return
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__


def _told(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{name} ({error.strerror})"
    if isinstance(error, ImportError) and error.name:
        return f"{name} ({error.name})"
    return name


def _plain(value: object) -> object:
    """A fact as a number, a boolean or a text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, BaseException):
        return _told(value)
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(str(_plain(each)) for each in value)
    return str(value)


def _without_words_of_errors(record: logging.LogRecord) -> bool:
    """Replace exceptions among the arguments, as in `log.error("failed: %s", error)`."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            _told(arg) if isinstance(arg, BaseException) else arg for arg in record.args
        )
    return True


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO    sms_gateway.deliver.worker: submitted  segments=2`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = iso(record.created * 1_000)
        line = f"{moment} {record.levelname:7} {record.name}: {record.getMessage()}"
        shown = [f"{name}={_quoted(value)}" for name, value in facts(record).items()]
        return _one_line("  ".join([line, " ".join(shown)]) if shown else line)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, process, event and the facts."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": iso(record.created * 1_000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "event": record.getMessage(),
        }
        return json.dumps({**facts(record), **line}, ensure_ascii=False)


def _quoted(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    """A text without line ends, so that no input can forge a line of the log."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
