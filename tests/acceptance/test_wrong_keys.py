"""Wrong keys at a running gateway: slowed by network over all its processes, and right keys never.

What is asserted of time is that something waited; that something did not, by what was not waited
for: the answer came while others were still held.
"""

import socket
import time
import urllib.parse
from pathlib import Path

import pytest
from support.running import Running, serve

from soap_client import SmsClient, SmsError

A, B = "203.0.113.9", "198.51.100.9"
SLOWED = 5.0


def request(path: str, key: str, network: str = "") -> bytes:
    fields = {"apikey": key, "recipients": "+32494000000", "message": "hi", "id": "x"}
    lines = [
        f"GET {path}?{urllib.parse.urlencode(fields)} HTTP/1.1",
        "Host: localhost",
        *([f"X-Forwarded-For: {network}"] if network else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ask(gateway: Running, written: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
    connection.sendall(written)
    return connection


def answer(connection: socket.socket) -> bytes:
    """The next answer, which is of a few hundred octets."""
    return connection.recv(65536)


def is_held(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    finally:
        connection.settimeout(60)
    return False


def seconds(gateway: Running, key: str, network: str, path: str = "/sendsms/") -> float:
    began = time.monotonic()
    with ask(gateway, request(path, key, network)) as connection:
        assert b"<error>50</error>" in answer(connection)
    return time.monotonic() - began


@pytest.mark.parametrize("worker", ["express", "asgi"])
def test_wrong_keys_wait_and_right_ones_do_not(database: str, tmp_path: Path, worker: str) -> None:
    with serve(tmp_path, database, web_worker=worker, workers="2") as gateway:
        key = gateway.create_key("--rate", "none")
        # The ten are counted by whichever process has them.
        for path in ("/sendsms/", "/getsms/", "/status/", "/resendsms/", "/sendsms/") * 2:
            seconds(gateway, "wrong", A, path)
        held = [ask(gateway, request(path, "wrong", A)) for path in ("/sendsms/", "/getsms/") * 3]
        with ask(gateway, request("/sendsms/", key, A)) as right:
            assert b"<error>0</error>" in answer(right)
        with ask(gateway, request("/sendsms/", "wrong", B)) as other:
            assert b"<error>50</error>" in answer(other)
        assert all(map(is_held, held))
        for connection in held:
            with connection:
                assert b"<error>50</error>" in answer(connection)
        assert seconds(gateway, "wrong", A) >= SLOWED - 0.1
    log = (tmp_path / "serve.log").read_text()
    assert log.count("too many wrong keys") == 1
    assert "network=203.0.113.0/24" in log


def test_soap_counts_too(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path / 'sms.sqlite3'}", proxies="none") as gateway:
        for number in range(11):
            began = time.monotonic()
            address = f"{gateway.url}/sendsms/soap/"
            with SmsClient("wrong", address=address) as client, pytest.raises(SmsError) as caught:
                client.send("+32494000000", f"hi {number}")
            assert caught.value.code == 50
        assert time.monotonic() - began >= SLOWED - 0.1


@pytest.mark.parametrize(
    "limits", [{"connections": "10"}, {"connections_per_network": "10"}], ids=["all", "network"]
)
@pytest.mark.parametrize("worker", ["express", "asgi"])
def test_who_is_held_makes_room(tmp_path: Path, worker: str, limits: dict[str, str]) -> None:
    """Of the same network, as that is the harder case."""
    database = f"sqlite:///{tmp_path / 'sms.sqlite3'}"
    with serve(tmp_path, database, web_worker=worker, proxies="none", **limits) as gateway:
        key = gateway.create_key("--rate", "none")
        for _ in range(10):
            seconds(gateway, "wrong", "")
        held = [ask(gateway, request("/sendsms/", "wrong")) for _ in range(10)]
        time.sleep(1)
        with ask(gateway, request("/sendsms/", key)) as right:
            assert b"<error>0</error>" in answer(right)
        ended = [connection for connection in held if not is_held(connection)]
        assert len(ended) == 1
        assert b" 503 " in answer(ended[0])
        for connection in held:
            connection.close()
