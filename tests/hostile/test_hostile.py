"""Hostile requests against the whole gateway: refused in form, cheap, logged without a word of
theirs, and the next good request is answered."""

import http.client
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support import accounts, databases, running, tables
from support.command import descendants

from sms_gateway.accounts import key_hash
from sms_gateway.store import Store
from sms_gateway.store import accounts as account_statements
from sms_gateway.store.tables import message

from . import connections, documents, forms, headers, probe
from .cases import FORM, GOOD, GOOD_FORM, KEY, NUMBER, SECRETS, SOAP, Case, chunked

ALL = [*documents.CASES, *connections.CASES, *forms.CASES]

#: What a case may cost the web process: processor milliseconds, and megabytes.
MOST_CPU, MOST_MEMORY = 50, 32
#: A case that costs more is measured again, as others may have been at work there.
TRIES = 3
#: How a request may be refused for a header of it. SOAP has its Fault.
REFUSALS = (400, 403, 413, 414, 415, 417, 431, 500, 501)
#: What the document has for what is asked of all paths.
ON_ALL = "as without it, or refused"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[running.Running]:
    with running.serve(folder, databases.fresh_sqlite(folder)) as started:
        yield started


@pytest.fixture(scope="module")
def store(gateway: running.Running) -> Iterator[Store]:
    opened = Store(gateway.env["SENDSMSNOW_DATABASE_URL"])
    accounts.create(opened, "hostile", rate=None, multi=True)
    with opened.write() as connection:
        account_statements.change(connection, "hostile", key_hash=key_hash(KEY), key_hint=KEY[-4:])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def web_process(gateway: running.Running) -> int:
    """The process that answers requests."""
    (worker,) = descendants(gateway.children()["web"])
    return worker


def messages(store: Store) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(message)).scalar_one()


def good_requests_are_answered(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for path, body in ((SOAP, GOOD), (FORM, GOOD_FORM)):
            kind = "text/xml" if path == SOAP else "application/x-www-form-urlencoded"
            connection.request("POST", path, body, {"Content-Type": kind})
            response = connection.getresponse()
            answer = response.read()
            assert (response.status, b"<error>0</error>" in answer) == (200, True), answer
    finally:
        connection.close()


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_hostile_request_is_refused_and_cheap_and_the_next_one_is_answered(
    case: Case, gateway: running.Running, store: Store, web_process: int, record_property
) -> None:
    list(zip(range(1), case.pieces(), strict=False))  # put together before the clock runs
    before = messages(store)
    for _ in range(TRIES):
        meter = probe.Meter(web_process)
        came = probe.outcome(probe.send(gateway.port, case))
        cost = meter.read()
        assert came in case.expected
        if cost.cpu <= MOST_CPU:
            break
    assert messages(store) == before
    assert cost.cpu <= MOST_CPU
    assert cost.memory <= MOST_MEMORY
    good_requests_are_answered(gateway.port)
    assert messages(store) == before + 2
    record_property("hostile", [case.name, str(came), str(cost.cpu), f"{cost.memory:.1f}"])


@pytest.fixture(scope="module")
def paths(gateway: running.Running) -> list[tuple[str, str, int]]:
    """Method, target and status of what is asked with a hostile header, and without."""
    page = probe.send_bytes(gateway.port, headers.asked("GET", "/"))
    found = re.search(rb'href="(/static/[^"]+)"', page)
    assert found
    asked = [(m, found[1].decode() if t == "static" else t) for m, t in headers.PATHS]
    return [
        (method, target, _status(probe.send_bytes(gateway.port, headers.asked(method, target))))
        for method, target in asked
    ]


def _status(answer: bytes) -> int:
    return int(answer[9:12])


def _cost(gateway: running.Running, web_process: int, asked: bytes) -> tuple[int, probe.Cost]:
    for _ in range(TRIES):
        meter = probe.Meter(web_process)
        status = _status(probe.send_bytes(gateway.port, asked))
        cost = meter.read()
        if cost.cpu <= MOST_CPU:
            break
    return status, cost


def _is_cheap(costs: list[probe.Cost], name: str, record_property) -> None:
    cpu, memory = max(cost.cpu for cost in costs), max(cost.memory for cost in costs)
    assert cpu <= MOST_CPU
    assert memory <= MOST_MEMORY
    record_property("hostile", [name, ON_ALL, str(cpu), f"{memory:.1f}"])


@pytest.mark.parametrize("name", headers.HEADERS)
def test_a_hostile_header_is_cheap_on_every_path(
    name: str, gateway, store, web_process: int, paths, record_property
) -> None:
    header, value = headers.HEADERS[name]
    before, costs = messages(store), []
    for method, target, usual in paths:
        for times in (1, headers.MOST):
            asked = headers.asked(method, target, header, value, times)
            status, cost = _cost(gateway, web_process, asked)
            assert status in (usual, *REFUSALS), (method, target, times)
            costs.append(cost)
    assert messages(store) == before
    good_requests_are_answered(gateway.port)
    _is_cheap(costs, name, record_property)


@pytest.mark.parametrize("name", [*headers.QUERIES, *headers.TARGETS])
def test_a_hostile_address_is_cheap_on_every_path(
    name: str, gateway, store, web_process: int, paths, record_property
) -> None:
    if name in headers.TARGETS:
        targets = [headers.TARGETS[name]()]
    else:
        query = headers.QUERIES[name]()
        targets = [f"{target.partition('?')[0]}?{query}" for _, target, _ in paths]
    before, costs = messages(store), []
    for target in targets:
        status, cost = _cost(gateway, web_process, headers.asked("GET", target))
        assert status < 500, target[:40]
        costs.append(cost)
    assert messages(store) == before
    good_requests_are_answered(gateway.port)
    _is_cheap(costs, name, record_property)


def test_no_line_of_the_log_has_a_traceback_or_a_word_of_a_request(
    gateway: running.Running, folder: Path, store: Store
) -> None:
    good_requests_are_answered(gateway.port)
    for case in ALL[::10]:
        probe.send(gateway.port, case)
    # What a deliberate fault says is logged; that it is here shows that this is the right log.
    written = (folder / "serve.log").read_text()
    assert "SOAP request refused" in written
    for secret in ("Traceback", *SECRETS, KEY[:12], NUMBER[2:], "ENTITY", "passwd"):
        assert secret not in written


def test_the_web_process_is_the_same_after_all_and_has_not_grown(
    gateway: running.Running, store: Store, web_process: int
) -> None:
    cases = [case for case in ALL if case.name not in ("20 MB", "form: a form of 20 MB")]
    for case in cases[::3]:
        probe.send(gateway.port, case)
    meter = probe.Meter(web_process)
    for case in cases[::3]:
        probe.send(gateway.port, case)
    assert descendants(gateway.children()["web"]) == [web_process]
    assert meter.read().memory <= MOST_MEMORY


def test_two_hundred_clients_that_stall_keep_nobody_waiting(
    gateway: running.Running, store: Store
) -> None:
    begun = [
        b"",
        b"POST ",
        connections.head()[:-2],
        connections.head("Content-Length: 1000") + GOOD[:100],
        connections.head("Transfer-Encoding: chunked") + chunked(GOOD)[:100],
        connections.head("Content-Length: 1000", line=f"POST {FORM} HTTP/1.1") + GOOD_FORM[:20],
    ]
    stalled = []
    try:
        for number in range(200):
            connection = probe.socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
            connection.sendall(begun[number % len(begun)])
            stalled.append(connection)
        began = time.monotonic()
        good_requests_are_answered(gateway.port)
        # Far less than the stalled ones may take.
        assert time.monotonic() - began < 60
    finally:
        for connection in stalled:
            connection.close()


def test_the_document_has_each_case() -> None:
    heading, *rows = tables.rows("hostile")
    assert heading == ["What is sent", "Answer", "CPU ms", "Memory MB"]
    assert [row[0] for row in rows] == sorted([*(case.name for case in ALL), *headers.NAMES])
    expected = {case.name: {str(each) for each in case.expected} for case in ALL}
    expected |= {name: {ON_ALL} for name in headers.NAMES}
    for name, answer, cpu, memory in rows:
        assert answer in expected[name], name
        assert int(cpu) <= MOST_CPU, name
        assert float(memory) <= MOST_MEMORY, name
    text = re.sub(r"\s+", " ", tables.parts("hostile")[0])
    assert f"at most {MOST_CPU / 1000:g} second of processor time and {MOST_MEMORY} MB" in text
