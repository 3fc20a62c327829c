"""What is logged: events with their facts, one line each, and no words of exceptions."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from sms_gateway import log

SECRET = "fdd9b2c0a6d0474cb4c8e4a6a7b1e9f0"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in log.OURS)]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def lines(form: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    log.setup(level, form, stream)
    return stream


def fail() -> None:
    try:
        raise ValueError(f"no such key: {SECRET}")
    except ValueError as error:
        raise RuntimeError(f"{SECRET} failed") from error


def test_an_event_is_a_line_with_its_facts() -> None:
    stream = lines("text")
    facts = {
        "segments": 2,
        "upstreams": ["north", "south"],
        "reason": "0x58 throttled",
        "at_all": None,
    }
    logging.getLogger("sms_gateway.deliver.worker").info("submitted", extra=facts)
    time, _, rest = stream.getvalue().partition(" ")
    assert time.endswith("Z")
    assert rest == (
        "INFO    sms_gateway.deliver.worker: submitted  "
        'segments=2 upstreams=north,south reason="0x58 throttled" at_all=none\n'
    )


def test_an_event_is_a_json_object_with_its_facts() -> None:
    stream = lines("json")
    logging.getLogger("sms_gateway.deliver.worker").info(
        "submitted", extra={"segments": 2, "at": "é"}
    )
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line.pop("process") > 0
    assert line == {
        "level": "info",
        "logger": "sms_gateway.deliver.worker",
        "event": "submitted",
        "segments": 2,
        "at": "é",
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_logged_by_types_and_places_without_its_words(form: str) -> None:
    stream = lines(form)
    try:
        fail()
    except RuntimeError as error:
        logging.getLogger("sms_gateway").exception("it failed: %s", error)
        logging.getLogger("sms_gateway").error("again", extra={"why": error})
    text = stream.getvalue()
    assert SECRET not in text
    assert text.count("\n") == 2
    assert "it failed: RuntimeError" in text
    assert "RuntimeError from ValueError" in text
    assert "test_log.py:" in text


def test_what_the_system_says_is_kept() -> None:
    stream = lines("text")
    logging.getLogger("sms_gateway").error("full", extra={"error": OSError(28, "No space left")})
    assert 'error="OSError (No space left)"' in stream.getvalue()


def test_a_module_that_is_missing_is_named() -> None:
    error = ModuleNotFoundError("No module named 'psycopg'", name="psycopg")
    assert log.error_facts(error)["error"] == "ModuleNotFoundError (psycopg)"


def test_the_first_of_a_group_of_exceptions_is_followed() -> None:
    error = ExceptionGroup("both", [KeyError("a"), ValueError("b")])
    assert log.error_facts(error)["error"] == "ExceptionGroup from KeyError"


def test_a_chain_of_causes_without_end_is_cut() -> None:
    first, second = ValueError(), KeyError()
    first.__context__, second.__context__ = second, first
    assert log.error_facts(first)["error"].count("from") == 4


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_comes_from_outside_cannot_forge_a_line(form: str) -> None:
    stream = lines(form)
    logging.getLogger("sms_gateway").info(
        "a\nb", extra={"sender": "x\n2026 INFO y", "n": "\x1b[0m"}
    )
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


def test_the_level_is_about_our_lines_and_others_have_to_warn() -> None:
    stream = lines("text", "debug")
    logging.getLogger("sms_gateway.accept.gateway").debug("ours")
    logging.getLogger("zeep.transports").info("theirs")
    logging.getLogger("zeep.transports").warning("their warning")
    assert "ours" in stream.getvalue()
    assert "theirs" not in stream.getvalue()
    assert "their warning" in stream.getvalue()


def test_a_second_setup_replaces_the_first() -> None:
    first = lines("text")
    second = lines("json", "warning")
    logging.getLogger("sms_gateway").info("not at this level")
    logging.getLogger("sms_gateway").warning("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
    assert second.getvalue().count("\n") == 1
