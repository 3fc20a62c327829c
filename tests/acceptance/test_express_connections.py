"""Express over sockets: which requests go so, and one after the other on a connection."""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import certificates
from support.command import descendants
from support.http import ask, read_all, read_one, send_bytes
from support.serving import Server, serve
from support.two_ways import LARGE

GET = b"GET /sendsms/?%b HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /sendsms/?%b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
#: Seconds; nothing here should come near.
PATIENCE = 60


@contextlib.contextmanager
def served(gate: Path, *options: str, certfile: str = "", keyfile: str = "") -> Iterator[Server]:
    app = f"support.two_ways:application({str(gate)!r})"
    with serve(app, options=options, certfile=certfile, keyfile=keyfile) as running:
        try:
            yield running
        finally:
            gate.touch()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("open") / "gate") as running:
        yield running


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


@pytest.fixture
def gated(gate: Path) -> Iterator[Server]:
    """A server of a test's own, whose gate is shut."""
    with served(gate) as running:
        yield running


def answer(connection: socket.socket) -> str:
    """The body of the next answer."""
    connection.settimeout(PATIENCE)
    head, body = read_one(connection)
    assert b" 200 OK\r\n" in head
    return body.decode()


def until_seen(server: Server, what: str) -> None:
    """Waits for something to happen in the server."""
    deadline = time.monotonic() + PATIENCE
    while what not in ask(server, "/sendsms/?seen").body.decode():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_read(server: Server) -> None:
    """Returns when the server has read all that was sent to it before."""
    for _ in range(2):  # what is there at the same moment may be read in any order
        assert ask(server, "/sendsms/?seen").status == 200


@pytest.mark.parametrize("request_", [GET % b"x", POST % (b"x", 3, b"a=b"), POST % (b"", 0, b"")])
def test_plain_requests_go_express_one_after_the_other(server, request_):
    with send_bytes(server, b"") as connection:
        for _ in range(3):
            connection.sendall(request_)
            assert answer(connection).startswith("express: ")


def test_a_body_may_come_by_itself(server):
    ways: list[str] = []
    with send_bytes(server, b"") as connection:
        # One that is late goes the plain way, and on a machine that stands still each may be.
        while "express: a=b" not in ways and len(ways) < 20:
            connection.sendall(POST % (b"", 3, b""))
            is_read(server)
            connection.sendall(b"a=b")
            ways.append(answer(connection))
    assert ways[-1] == "express: a=b"
    assert {*ways} <= {"express: a=b", "plain: a=b"}


def test_a_body_in_more_pieces_goes_the_plain_way(server):
    with send_bytes(server, POST % (b"", 3, b"")) as connection:
        for piece in (b"a", b"="):
            is_read(server)
            connection.sendall(piece)
        is_read(server)
        connection.sendall(b"b")
        assert answer(connection) == "plain: a=b"
        # The connection is as good as before, once gunicorn is done with it.
        is_read(server)
        connection.sendall(GET % b"x")
        assert answer(connection) == "express: "


def test_a_body_that_is_late_goes_the_plain_way(server):
    with send_bytes(server, POST % (b"late", 3, b"")) as connection:
        until_seen(server, "late plain")
        connection.sendall(b"a=b")
        assert answer(connection) == "plain: a=b"


OTHER = {
    "HTTP/1.0": (GET % b"x").replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n"),
    "another path": (GET % b"x").replace(b"sendsms", b"status"),
    "an escape": (GET % b"x").replace(b"sendsms", b"%73endsms"),
    "another header": (GET % b"x").replace(b"Host: a\r\n", b"Host:\ta\r\n"),
    "chunks": (GET % b"x").replace(b"GET", b"POST")[:-2]
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a large body": POST % (b"", 100_000, b"x" * 100_000),
}


@pytest.mark.parametrize("request_", OTHER.values(), ids=OTHER)
def test_other_requests_go_the_plain_way_and_leave_express_open(server, request_):
    with send_bytes(server, b"") as connection:
        for _ in range(2):
            connection.sendall(request_)
            assert answer(connection).startswith("plain: ")
            is_read(server)
            connection.sendall(GET % b"x")
            assert answer(connection) == "express: "


def test_a_request_in_two_pieces_goes_the_plain_way(server):
    with send_bytes(server, (GET % b"x")[:10]) as connection:
        is_read(server)
        connection.sendall((GET % b"x")[10:])
        assert answer(connection) == "plain: "


def test_of_requests_in_one_piece_the_first_is_answered_and_the_end_tells_of_the_others(server):
    sent = read_all(send_bytes(server, GET % b"first" + GET % b"second"))
    assert sent.endswith(b"\r\n\r\nplain: ")
    assert sent.count(b"HTTP/1.1 ") == 1


def test_a_request_that_comes_during_another_is_answered_in_its_turn(gated, gate):
    with send_bytes(gated, GET % b"wait") as connection:
        until_seen(gated, "wait express")
        connection.sendall(POST % (b"second", 1, b"2"))
        is_read(gated)
        assert "second" not in ask(gated, "/sendsms/?seen").body.decode()
        gate.touch()
        assert answer(connection) == "express: "
        assert answer(connection) == "express: 2"
        connection.sendall(GET % b"third")
        assert answer(connection) == "express: "


def test_what_is_no_request_is_refused_in_its_turn(gated, gate):
    with send_bytes(gated, GET % b"wait") as connection:
        until_seen(gated, "wait express")
        connection.sendall(b"no request\r\n\r\n")
        is_read(gated)
        gate.touch()
        assert answer(connection) == "express: "
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


def test_no_more_is_read_while_a_request_is_answered(gated, gate):
    with send_bytes(gated, GET % b"wait") as connection:
        until_seen(gated, "wait express")
        connection.setblocking(False)
        sent = 0
        # A server that goes on reading would go on making room.
        while select.select([], [connection], [], 1)[1]:
            sent += connection.send(b"x" * 65536)
            assert sent < 2**28
        gate.touch()
        assert answer(connection) == "express: "


def test_a_client_that_is_gone_before_its_answer_leaves_no_trace(gated, gate):
    gone = send_bytes(gated, GET % b"wait")
    until_seen(gated, "wait express")
    gone.close()
    is_read(gated)
    gate.touch()
    # What it asked for is done all the same.
    until_seen(gated, "wait done")
    assert "Traceback" not in gated.stderr()


def test_a_client_that_does_not_read_its_answer_is_asked_nothing_more(server):
    with send_bytes(server, GET % b"large") as connection:
        until_seen(server, "large done")
        connection.sendall(GET % b"unread")
        is_read(server)
        assert "unread" not in ask(server, "/sendsms/?seen").body.decode()
        assert len(answer(connection)) == LARGE
        assert answer(connection) == "express: "


@pytest.mark.parametrize("path", [b"sendsms", b"status"], ids=["express", "plain"])
def test_a_client_that_does_not_read_its_answer_is_let_go(gate, path):
    with served(gate, "--keep-alive", "1") as server:
        (process,) = descendants(server.process.pid)
        before = sockets(process)
        with send_bytes(server, (GET % b"large").replace(b"sendsms", path)) as deaf:
            until_seen(server, "large done")
            deadline = time.monotonic() + PATIENCE
            while sockets(process) > before:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert len(read_all(deaf)) < LARGE


def sockets(process: int) -> int:
    """How many sockets a process has open."""
    count = 0
    for link in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += str(link.readlink()).startswith("socket:")
    return count


def test_a_stop_waits_for_what_is_being_answered_and_closes_its_connection(gate):
    with served(gate, "--graceful-timeout", "60") as server:
        connection, idle = send_bytes(server, GET % b"wait"), send_bytes(server, GET % b"x")
        assert answer(idle) == "express: "
        until_seen(server, "wait express")
        server.process.terminate()
        assert read_all(idle) == b""  # from here on it is stopping
        gate.touch()
        assert read_all(connection).endswith(b"\r\nConnection: close\r\n\r\nexpress: ")
        assert server.process.wait(PATIENCE) == 0


def test_a_stop_waits_for_the_body_of_a_request_that_has_begun(gate):
    with served(gate, "--graceful-timeout", "60") as server:
        idle = send_bytes(server, GET % b"x")
        assert answer(idle) == "express: "
        connection = send_bytes(server, POST % (b"", 3, b""))
        is_read(server)
        server.process.terminate()
        assert read_all(idle) == b""
        connection.sendall(b"a=b")
        assert read_all(connection).endswith(b": a=b")
        assert server.process.wait(PATIENCE) == 0


def test_without_keep_alive_each_connection_is_closed_after_its_answer(gate):
    with served(gate, "--keep-alive", "0") as server:
        sent = read_all(send_bytes(server, GET % b"x"))
        assert sent.endswith(b"\r\nConnection: close\r\n\r\nexpress: ")


def test_requests_go_express_over_tls(gate, tmp_path):
    cert, key = certificates.self_signed(tmp_path, "localhost")
    with served(gate, certfile=str(cert), keyfile=str(key)) as server:
        context = ssl.create_default_context(cafile=cert)
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as tcp,
            context.wrap_socket(tcp, server_hostname="localhost") as connection,
        ):
            for _ in range(3):
                connection.sendall(POST % (b"", 3, b"a=b"))
                assert answer(connection) == "express: a=b"
