"""Nobody shuts others out by the number of their connections, and who is not served is told so."""

import re
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import needs
from support.serving import Server, serve

from sms_gateway.serving.http_server import BACKLOG

from .cases import FORM, GOOD, GOOD_FORM, SOAP, request
from .connections import head
from .crowds import CLOSED, WAITING, Crowd, crowd, served

#: Each in a network of its own.
ATTACKER, OTHER = "127.0.7.1", "127.0.9.9"
CAPACITY, PER_NETWORK, BODIES = 400, 150, 40
LIMITS = (PER_NETWORK, BODIES)

HALF_FORM = request(GOOD_FORM, FORM)[: -len(GOOD_FORM) + 10]
SLOW = {
    "bodies of which a part came": HALF_FORM,
    "bodies of SOAP": request(GOOD)[:-50],
    "bodies in chunks": head("Transfer-Encoding: chunked") + b"5\r\nhello\r\n",
    "half a head": request(GOOD_FORM, FORM)[:40],
    "nothing": b"",
}


@pytest.fixture(params=["express", "asgi"], scope="module")
def worker(request: pytest.FixtureRequest) -> str:
    return request.param


def started(
    worker: str, tmp: str, *, capacity: int = CAPACITY, limits: tuple[int, ...] = LIMITS,
    proxies: tuple[str, ...] = (), patience: float = 60,
):  # fmt: skip
    app = f"hostile.faces:application({tmp!r}, 60, {limits!r}, {proxies!r}, {patience})"
    return serve(app, worker=worker, options=["--worker-connections", str(capacity)])


@pytest.fixture(scope="module")
def server(worker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    journal = str(tmp_path_factory.mktemp(worker) / "calls")
    with started(worker, journal) as running:
        yield running


@pytest.mark.parametrize("sends", SLOW.values(), ids=SLOW)
def test_2000_connections_of_one_address_shut_out_nobody_else(
    server: Server, sends: bytes, worker: str, request: pytest.FixtureRequest
) -> None:
    with crowd(server.port, ATTACKER, 2000, sends) as attackers:
        latencies = []
        for _ in range(30):
            attackers.watch(0.15)
            latencies.append(served(server.port, OTHER) * 1000)
        found = attackers.outcomes()
    middle, worst = statistics.median(latencies), max(latencies)
    print(f"\n{request.node.name}: {dict(found)}; 30 of 30 of the other address answered, ", end="")
    print(f"median {middle:.1f} ms, worst {worst:.0f} ms")
    assert found[CLOSED] == 0
    assert found[WAITING] <= PER_NETWORK
    assert found[WAITING] + found["503"] + found["200"] == 2000
    assert worst < 2000


@pytest.mark.parametrize("times", [2, 5, 10])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "unfinished"])
def test_beyond_the_capacity_everybody_is_answered_or_refused_with_an_answer(
    worker: str, times: int, whole: bool, tmp_path
) -> None:
    capacity, count = 200, 200 * times
    sends = request(GOOD_FORM, FORM) if whole else HALF_FORM
    journal = tmp_path / "calls"
    # All in one network: that of the clients is not what is looked at here.
    with (
        started(worker, str(journal), capacity=capacity, limits=(10**6, 10**6)) as running,
        crowd(running.port, ATTACKER, count, sends) as come,
    ):
        come.watch(8)
        found = come.outcomes()
        taken = sum(b"<error>0</error>" in client.told for client in come.clients)
        if not whole:
            # Those that hold all places make room for who comes later.
            assert served(running.port, OTHER) < 5
    refused = found["503"]
    print(f"\n{worker}, {times} times: answered {taken}, refused {refused}, waiting "
          f"{found[WAITING]}, closed silently {found[CLOSED]}")  # fmt: skip
    assert found[CLOSED] == 0
    assert taken + refused + found[WAITING] == count
    assert found[WAITING] <= (0 if whole else capacity)
    assert taken == (len(journal.read_text().splitlines()) if whole else 0)
    for client in come.clients:
        if client.outcome == "503":
            assert b"Retry-After: 5\r\n" in client.told
            assert b"<error>30</error>" in client.told


ACTION = {"SOAPAction": '"urn:sendSmsNow#sendSms"'}


def filled(port: int, capacity: int) -> Crowd:
    """All places taken by requests that are being waited for, for less than a second."""
    come = Crowd(port, OTHER, capacity, b"POST ")
    come.watch(0.3)
    return come


@pytest.mark.parametrize(
    ("sends", "status", "said"),
    [
        (request(GOOD, **ACTION), b"200", b"<error>30</error>"),
        (request(GOOD, Content_Type='application/soap+xml; action="urn:sendSmsNow#sendSms"'),
         b"200", b"<error>30</error>"),
        # Whatever operation this is of, its answer would have another form.
        (request(GOOD, SOAPAction='"urn:sendSmsNow#getSms"'), b"503", b"soap:Server"),
        (request(GOOD), b"503", b"soap:Server"),
        (request(GOOD_FORM, FORM, Accept="application/json"), b"503", b'"error": ?30'),
        (request(GOOD_FORM, FORM), b"503", b"<error>30</error>"),
        (b"GET /sendsms/?format=json HTTP/1.1\r\nHost: a\r\n\r\n", b"503", b'"error": ?30'),
        # Who says nothing is told after a second.
        (b"", b"503", b"<error>30</error>"),
    ],
)  # fmt: skip
def test_a_refusal_is_in_the_terms_of_the_path(
    worker: str, sends: bytes, status: bytes, said: bytes, tmp_path
) -> None:
    if SOAP.encode() in sends and status == b"200":
        sends = sends.replace(b"SOAPAction", b"SOAPACTION")
    with (
        started(worker, str(tmp_path / "calls"), capacity=10, limits=(10**6, 10**6)) as running,
        socket.socket() as connection,
    ):
        taken = filled(running.port, 10)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", running.port))
        began = time.monotonic()
        connection.sendall(sends)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
        took = time.monotonic() - began
        taken.close()
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nretry-after: 5\r\n" in answer.lower()
    assert b"\r\nConnection: close\r\n" in answer
    assert re.search(said, answer)
    assert took < (0.5 if sends else 4)


def test_a_request_that_comes_too_slowly_is_answered_408(worker: str, tmp_path) -> None:
    with (
        started(worker, str(tmp_path / "calls"), patience=1) as running,
        crowd(running.port, ATTACKER, 10, HALF_FORM) as bodies,
        crowd(running.port, OTHER, 10, HALF_FORM[:30]) as heads,
    ):
        for come in (bodies, heads):
            come.watch(5)
            assert come.outcomes() == {"408": 10}
        served(running.port, ATTACKER)


def forwarded(*clients: str) -> bytes:
    named = f"X-Forwarded-For: {', '.join(clients)}\r\n".encode()
    return HALF_FORM.replace(b"\r\n", b"\r\n" + named, 1) if clients else HALF_FORM


def test_behind_a_proxy_bodies_count_by_the_client_that_it_names(worker: str, tmp_path) -> None:
    proxy, others = "127.0.7.1", "127.0.8.1"
    with started(worker, str(tmp_path / "calls"), limits=(30, 10), proxies=(proxy,)) as running:
        port = running.port

        def refused(address: str, count: int, *clients: str) -> int:
            come = crowds.enter_context(crowd(port, address, count, forwarded(*clients)))
            come.watch(2.5)
            assert come.outcomes()[CLOSED] == 0
            return come.outcomes()["503"]

        with ExitStack() as crowds:
            # The proxy's own connections have no limit, and clients who are not named none.
            assert refused(proxy, 60) == 0
            assert refused(proxy, 15, "203.0.113.7") == 5
            # Others of its network are it, to the limits; other networks are not.
            assert refused(proxy, 3, "203.0.113.200") == 3
            assert refused(proxy, 10, "203.0.112.7") == 0
            # What a client says of itself in front of the proxy's word is nothing.
            assert refused(proxy, 3, "198.51.100.1", "203.0.113.7") == 3
            # Who is no proxy is not believed: ten bodies, whatever it says.
            assert refused(others, 15, "192.0.2.1") == 5
        # They have gone, and are not counted any more.
        time.sleep(0.3)
        with ExitStack() as crowds:
            assert refused(proxy, 10, "203.0.113.7") == 0


def backlog(port: int) -> int:
    """How many connections the system keeps waiting at a port (ss(8): Send-Q of a listener)."""
    command = ["ss", "-Hltn", f"sport = :{port}"]
    return int(subprocess.run(command, capture_output=True, check=True).stdout.split()[2])


def test_the_backlog_is_the_one_that_was_asked_for(server: Server) -> None:
    if shutil.which("ss") is None:
        needs.lacking("ss (iproute2) is not installed")
    somaxconn = int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert backlog(server.port) == min(BACKLOG, somaxconn)


def test_800_clients_that_connect_at_once_are_all_let_in(worker: str, tmp_path) -> None:
    with (
        started(worker, str(tmp_path / "calls"), capacity=1000, limits=(1000, 1000)) as running,
        crowd(running.port, ATTACKER, 800, request(GOOD_FORM, FORM)) as come,
    ):
        come.watch(20)
        assert come.outcomes() == {"200": 800}
