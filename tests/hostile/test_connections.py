"""Hostile HTTP by express and against each of gunicorn's parsers: hidden requests, and very
slow clients."""

import importlib.util
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.serving import Server, serve

from . import connections, probe
from .cases import FAULT, FORM, GOOD, GOOD_FORM, SECRETS, SOAP, Case, chunked, request

#: Seconds that a connection may do nothing, and that a body may take.
IDLE, BODY = 1, 1


@pytest.fixture(scope="module", params=["express", "python", "fast"])
def parser(request: pytest.FixtureRequest) -> str:
    if request.param == "fast" and not importlib.util.find_spec("gunicorn_h1c"):
        # In CI neither: of the version that gunicorn 27 asks for none is published.
        pytest.skip("gunicorn's parser in C is not installed (pip install 'sendsmsnow[fast]')")
    return request.param


@pytest.fixture(scope="module")
def journal(parser: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(parser) / "calls"


@pytest.fixture(scope="module")
def server(parser: str, journal: Path) -> Iterator[Server]:
    app = f"hostile.faces:application({str(journal)!r}, {BODY})"
    worker, parser = ("express", "auto") if parser == "express" else ("asgi", parser)
    options = ["--http-parser", parser, "--keep-alive", str(IDLE)]
    with serve(app, worker=worker, options=options) as running:
        yield running


def accepted(journal: Path) -> int:
    return len(journal.read_text().splitlines()) if journal.exists() else 0


def answers(server: Server, data: bytes, wait: float = 60) -> bytes:
    """All that comes back until the connection is closed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        connection.sendall(data)
        try:
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:
            return b""


def good_request_is_answered(server: Server, journal: Path) -> None:
    before = accepted(journal)
    answer = answers(server, request(GOOD, Connection="close"))
    assert b" 200 " in answer.partition(b"\r\n")[0]
    assert accepted(journal) == before + 1


@pytest.mark.parametrize("case", connections.SMUGGLING, ids=lambda case: case.name)
def test_a_request_hidden_in_another_is_not_heard(
    case: Case, server: Server, journal: Path
) -> None:
    before = accepted(journal)
    (data,) = case.pieces()
    answer = answers(server, data)
    # One answer, that is no success, and the connection is closed: nothing to smuggle into.
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 500", b"HTTP/1.1 501", b"")
    assert accepted(journal) == before
    good_request_is_answered(server, journal)


def test_what_is_hidden_would_have_been_heard_by_itself(server: Server, journal: Path) -> None:
    before = accepted(journal)
    assert b"<error>0</error>" in answers(server, connections.HIDDEN)
    assert accepted(journal) == before + 1


@pytest.mark.parametrize(
    "case", [*connections.HEADS, *connections.BODIES], ids=lambda case: case.name
)
def test_a_hostile_connection_gets_its_answer_by_each_way(
    case: Case, server: Server, journal: Path
) -> None:
    before = accepted(journal)
    assert probe.outcome(probe.send(server.port, case)) in case.expected | {400}
    assert accepted(journal) == before
    good_request_is_answered(server, journal)


SLOW = {
    "a connection that says nothing": [b""],
    "half a request line": [b"POST "],
    "a head that is never complete": [connections.head()[:-2] + b"X: y"],
    "a head, a letter at a time": [bytes([each]) for each in connections.head()],
    "a SOAP body that does not come": [connections.head("Content-Length: 1000")],
    "a SOAP body, a letter at a time": [
        # At its pace this takes two minutes, if it is let.
        connections.head(f"Content-Length: {len(GOOD) + 2_000}"),
        *(bytes([each]) for each in GOOD + b" " * 2_000),
    ],
    "SOAP chunks that do not come": [
        connections.head("Transfer-Encoding: chunked") + chunked(GOOD)[:100]
    ],
}


@pytest.mark.parametrize("pieces", SLOW.values(), ids=SLOW)
def test_a_client_that_takes_too_long_is_let_go(
    pieces: list[bytes], server: Server, journal: Path
) -> None:
    before = accepted(journal)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.05)
        except ConnectionError:
            pass
        try:
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:
            answer = b""
    assert not answer or probe.outcome(answer) in (FAULT, 408)
    assert accepted(journal) == before
    good_request_is_answered(server, journal)


def test_a_client_that_reads_no_answer_holds_up_nobody(server: Server, journal: Path) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wsdl = connections.head("Host: a", line=f"GET {SOAP}?wsdl HTTP/1.1")
        deaf.setblocking(False)
        try:
            for _ in range(1000):
                deaf.send(wsdl)
        except (BlockingIOError, ConnectionError):
            pass
        good_request_is_answered(server, journal)


def test_what_is_sent_before_an_answer_is_not_left_without_one(
    server: Server, journal: Path
) -> None:
    before = accepted(journal)
    answer = answers(server, request(GOOD_FORM, FORM) * 3)
    # The first is answered, and the end of the connection says that the others are not.
    assert answer.count(b"<error>0</error>") == accepted(journal) - before == 1


def test_no_line_of_the_log_has_a_traceback_or_a_word_of_a_request(
    server: Server, journal: Path
) -> None:
    good_request_is_answered(server, journal)
    written = server.stderr()
    for secret in ("Traceback", *SECRETS):
        assert secret not in written


def test_a_body_that_is_announced_and_never_comes_is_refused(server: Server) -> None:
    head = connections.head("Content-Length: 99999999999", "Connection: close")
    assert probe.outcome(answers(server, head)) == FAULT
