"""Providers push to a whole gateway, whose web processes are not its worker."""

import contextlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import select
from support import running

from sms_gateway.callbacks.signature import new_secret
from sms_gateway.sms.message import State
from sms_gateway.store import Store, accounts, history, tables

SECRET = "Ab-_" * 8
OURS = "+32488000001"
NAME = "north / 100%25 süd?"


@contextlib.contextmanager
def two_gateways(
    folder: Path, database: str
) -> Iterator[tuple[running.Running, running.Running, Store]]:
    """One that sends by way of another, which tells it by its callbacks; and the other's store."""
    (folder / "there").mkdir()
    there_db = f"sqlite:///{folder}/there/sms.sqlite3"
    settings = {"upstream": "sandbox:?delay=0.3", "callback_allow_private": "127.0.0.0/8"}
    with running.serve(folder / "there", there_db, **settings) as there:
        key = there.create_key("--rate", "none", "--sender", OURS)
        secret = new_secret()
        url = (
            f"{there.url}/sendsms/?apikey={key}&idempotent=1&push_secret={SECRET}"
            f"&callback_secret={quote(secret, safe='')}"
        )
        with (
            running.serve(folder, database, upstream=url, workers="2") as here,
            contextlib.closing(Store(there_db)) as theirs,
        ):
            address = here.run("upstream", "address", "default").strip()
            assert address == f"{here.url}/upstream/default/{SECRET}"
            with theirs.write() as connection:
                accounts.change(connection, "acme", callback_url=address, callback_secret=secret)
            yield here, there, theirs


def test_another_gateway_tells_of_receipts_and_messages(
    tmp_path: Path, database: str, store: Store
) -> None:
    with two_gateways(tmp_path, database) as (here, there, theirs):
        key = here.create_key("--rate", "none", "--multi")
        for gateway in (here, there):
            gateway.run("number", "assign", OURS, "acme")
        time.sleep(1.2)  # until its worker has seen that there is a callback
        numbers = "+32494000000,+32494000001,+32494000009"
        sent = here.run("send", numbers, "Grüße €" * 30, "--apikey", key)
        id = re.findall(r"id=(\w{32})", sent)[0]

        def states() -> list[State]:
            with store.read() as connection:
                found = history.of_message(connection, id)
            assert found is not None
            return [delivery.state for delivery in found.deliveries]

        expected = [State.DELIVERED, State.UNDELIVERABLE, State.DELIVERED]
        running.wait_for(lambda: states() == expected, 60)

        def received() -> list[tuple[str, str, bool]]:
            with store.read() as connection:
                rows = connection.execute(select(tables.received)).all()
            return [(row.sender, row.recipient, row.account_id is not None) for row in rows]

        running.wait_for(received, 60)
        assert received() == [("+32494000009", OURS, True)]
        # What was taken is not pushed again.
        running.wait_for(lambda: not _events(theirs), 60)
    log = (tmp_path / "serve.log").read_text() + (tmp_path / "there" / "serve.log").read_text()
    assert SECRET not in log
    assert "Grüße" not in log


def _events(store: Store) -> list[object]:
    with store.read() as connection:
        return list(connection.execute(select(tables.event)))


def cpu(pids: list[int]) -> float:
    """User and system time of processes, seconds (proc(5))."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


HOSTILE = {
    "a long name": (f"/upstream/{'x' * 7000}/y", b""),
    "a name of escapes": (f"/upstream/{'%25' * 2500}/y", b""),
    "a wrong secret with a large body": (f"/upstream/default/{SECRET[1:]}", b"x" * 4_000_000),
    "many slashes": ("/upstream" + "/" * 7000, b""),
    "deep JSON": (f"/upstream/default/{SECRET}", b"[" * 250_000),
    "a large number": (f"/upstream/default/{SECRET}", b"9" * 250_000),
    "many small values": (f"/upstream/default/{SECRET}", b"[" + b"0," * 125_000 + b"0]"),
    "many names": (
        f"/upstream/default/{SECRET}",
        json.dumps({f"{n:x}": n for n in range(16_000)}).encode(),
    ),
    "a body too large": (f"/upstream/default/{SECRET}", b"x" * 3_000_000),
}
TIMES = 10


def ask(port: int, path: str, body: bytes) -> bytes:
    """The status of the answer to a push."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        with contextlib.suppress(ConnectionError):
            connection.sendall(head.encode() + body)
        answer = connection.recv(100)
    return answer.split(b" ")[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pushed")


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[running.Running]:
    upstream = f"http://127.0.0.1:1/?apikey=k&push_secret={SECRET}"
    file = folder / "gateway.toml"
    file.write_text(f'[upstreams]\n"{NAME}" = "{upstream}"\n', "utf-8")
    url = f"sqlite:///{folder}/sms.sqlite3"
    with running.serve(folder, url, "--config", str(file), upstream=upstream) as started:
        yield started


def test_an_upstream_may_have_any_name(gateway: running.Running, folder: Path) -> None:
    config = str(folder / "gateway.toml")
    address = gateway.run("upstream", "address", NAME, "--config", config).strip()
    assert address.isascii()
    fields = {"id": 1, "from": "+32494000000", "to": OURS, "message": "Hi"}
    body = json.dumps({"type": "message.received", "data": fields}).encode()
    path = address.removeprefix(gateway.url)
    assert [ask(gateway.port, path, body) for _ in range(2)] == [b"200", b"200"]
    # Stored once, and as that upstream's.
    url = f"sqlite:///{folder}/sms.sqlite3"
    with contextlib.closing(Store(url)) as store, store.read() as connection:
        (row,) = connection.execute(select(tables.received))
    assert (row.upstream, row.text) == (NAME, "Hi")


@pytest.mark.parametrize(("secret", "status"), [(SECRET, b"408"), ("wrong", b"404")])
def test_a_push_that_does_not_come_whole_is_refused(
    gateway: running.Running, secret: str, status: bytes
) -> None:
    """As any other body: at once where it is nobody's, and otherwise when it comes too slowly."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        head = f"POST /upstream/default/{secret} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(1000).split(b" ")[1] == status


def test_what_hostile_pushes_cost_is_bounded(gateway: running.Running, folder: Path) -> None:
    web = gateway.children()["web"]
    pids = [web, *running.children_of(web)]
    costs = {}
    for name, (path, body) in HOSTILE.items():
        before = cpu(pids)
        statuses = {ask(gateway.port, path, body) for _ in range(TIMES)}
        costs[name] = (cpu(pids) - before) / TIMES
        assert statuses <= {b"400", b"404", b"413"}, (name, statuses)
    assert max(costs.values()) <= 0.05, costs
    assert SECRET[1:] not in (folder / "serve.log").read_text()


def test_without_a_secret_there_is_no_way_in(tmp_path: Path) -> None:
    upstream = "http://127.0.0.1:1/?apikey=k"
    with running.serve(tmp_path, f"sqlite:///{tmp_path}/sms.sqlite3", upstream=upstream) as started:
        assert ask(started.port, f"/upstream/default/{SECRET}", b"{}") == b"404"
        assert started.run("upstream", "address") == ""
