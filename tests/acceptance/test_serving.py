"""The server itself: its start, its stop, and clients that do not play by the rules."""

import socket
import time
from collections.abc import Iterator

import pytest
from support.http import ask, read_all, send_bytes
from support.serving import Server, serve

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
#: The same by express.
EXPRESS = b"GET /sendsms/?apikey=good HTTP/1.1\r\nHost: x\r\n\r\n"
either = pytest.mark.parametrize("request_", [REQUEST, EXPRESS], ids=["plain", "express"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("support.scripted:application()", options=["--keep-alive", "1"]) as running:
        yield running


def is_closed(connection: socket.socket) -> bool:
    """Waits for the server to do so."""
    return connection.recv(1000) == b""


@either
def test_a_connection_serves_one_request_after_the_other(server, request_):
    connection = send_bytes(server, request_)
    for _ in range(3):
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        connection.sendall(request_)
    connection.close()


@either
def test_connections_that_ask_nothing_for_too_long_are_closed(server, request_):
    idle = send_bytes(server, b"")
    halfway = send_bytes(server, request_[:20])
    used = send_bytes(server, request_)
    assert used.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert read_all(halfway).startswith(b"HTTP/1.1 408 ")
    for connection in (idle, used):
        assert is_closed(connection)
        connection.close()


def test_dribbling_headers_does_not_keep_a_connection_open(server):
    connection = send_bytes(server, REQUEST[:-2])
    connection.settimeout(0.1)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection.sendall(b"X: y\r\n")
            if connection.recv(1000) == b"":
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    else:
        pytest.fail("the server never closed the connection")
    connection.close()


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /sendsms/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"GET / HTTP/7\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_without_a_traceback(server, data):
    assert read_all(send_bytes(server, data)).startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in server.stderr()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /?" + b"x" * 8200 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"431"),
    ],
)
def test_long_lines_and_many_headers_are_refused(server, line, status):
    assert read_all(send_bytes(server, line)).startswith(b"HTTP/1.1 " + status)


def test_an_upgrade_to_websocket_is_passed_over(server):
    upgrade = b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    connection = send_bytes(server, REQUEST[:-2] + upgrade + key + b"\r\n")
    assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    connection.close()


@either
def test_at_the_limit_of_connections_the_one_idle_longest_makes_room(request_):
    options = ["--worker-connections", "10"]
    with serve("support.scripted:application()", options=options) as server:
        used, *idle = [send_bytes(server, b"") for _ in range(10)]
        # In this order, for the last to be answered has been let in after all others.
        for connection in (idle[-1], used):
            connection.sendall(request_)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        # All may be about to ask: nobody makes room yet.
        refused = ask(server, "/sendsms/?apikey=good")
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert b"<error>30</error>" in refused.body
        time.sleep(1.1)
        assert ask(server, "/healthz").status == 200
        assert read_all(idle[0]).startswith(b"HTTP/1.1 503 ")
        for connection in (idle[-1], used):
            connection.sendall(request_)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        for connection in (used, *idle):
            connection.close()


@either
def test_a_stop_waits_for_no_idle_client_and_runs_the_applications_own_stop(request_):
    with serve("support.scripted:application()", options=["--graceful-timeout", "30"]) as server:
        assert "the application starts" in server.stderr()
        idle, used = send_bytes(server, b""), send_bytes(server, request_)
        assert used.recv(1000).startswith(b"HTTP/1.1 200 ")
        server.process.terminate()
        assert server.process.wait(60) == 0
        assert is_closed(idle)
        assert is_closed(used)
        idle.close()
        used.close()
    assert "the application stops" in server.stderr()


def test_a_stop_gives_up_on_a_stalled_client_before_the_arbiter_gives_up_on_the_worker():
    head = b"POST /sendsms/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"
    with serve("support.scripted:application()") as server:
        stalled = send_bytes(server, head)
        ask(server, "/healthz")
    assert "the application stops" in server.stderr()
    stalled.close()


def test_an_application_that_cannot_start_stops_the_server_and_tells_no_secret():
    with (
        pytest.raises(AssertionError) as caught,
        serve("support.scripted:application(start='fails')"),
    ):
        pass
    written = str(caught.value)
    assert "did not start" in written
    assert "ValueError" in written
    assert "password=secret" not in written
