"""A day of traffic with encryption: no text and no number is in the database, and all works."""

import json
import re
import smtplib
import socket
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from support.encrypted import LINES, key_file
from support.running import Running, environment, get_json, serve, wait_for
from support.smsc import Smsc, start_smsc

from sms_gateway.store import database_url
from sms_gateway.store.tables import metadata
from soap_client import SmsClient

DOMAIN = "sms.example.com"
#: Who messages go to, come from and came to; all of them in no other form than digits.
TO, AND_TO, REFUSED, MAILED, HANDSET = (f"3249411110{n}" for n in range(5))
OURS, NOBODYS = "32470222201", "32470222202"
NUMBERS = (TO, AND_TO, REFUSED, MAILED, HANDSET, OURS, NOBODYS)
#: A word of each text.
WORDS = ("aardvark", "bittern", "cormorant", "dormouse", "echidna", "ferret", "gazelle", "hoopoe")
AARDVARK, BITTERN, CORMORANT, DORMOUSE, ECHIDNA, FERRET, GAZELLE, HOOPOE = WORDS


class Callback:
    """A customer's server: what it was told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def types(self) -> set[str]:
        return {event["type"] for event in self.told}


@pytest.fixture
def callback() -> Iterator[Callback]:
    started = Callback()
    thread = threading.Thread(target=started.server.serve_forever)
    thread.start()
    yield started
    started.server.shutdown()
    thread.join()
    started.server.server_close()


@pytest.fixture
def smsc(tmp_path: Path) -> Iterator[Smsc]:
    with start_smsc(tmp_path) as started:
        yield started


KEY, NEW_KEY = LINES


@contextmanager
def opened(
    folder: Path, database: str, smsc: Smsc, keys: str | None
) -> Iterator[tuple[Running, int]]:
    """The gateway, and the port at which it takes mails."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {
        "upstream": smsc.url,
        "mail_bind": f"127.0.0.1:{port}",
        "mail_domain": DOMAIN,
        "callback_allow_private": "127.0.0.0/8",
    }
    if keys is not None:
        settings["encryption_key_file"] = keys
    with serve(folder, database, **settings) as gateway:
        yield gateway, port


def call(gateway: Running, path: str, **fields: str) -> Any:
    result = get_json(f"{gateway.url}{path}?{urllib.parse.urlencode(fields)}")["result"]
    assert result["error"] == 0, result
    return result


def a_day(gateway: Running, mail_port: int, smsc: Smsc, callback: Callback) -> str:
    """Accept, deliver, receipts, received messages, callbacks, mail in, resend; the key."""
    key = gateway.create_key("--rate", "none", "--multi")
    gateway.run("key", "set", "acme", "--callback", callback.url)
    gateway.run("number", "assign", f"+{OURS}", "acme")
    wait_for(lambda: smsc.journal("bind"), 60)
    # Out: by HTTP, by SOAP and by mail.
    first = call(
        gateway,
        "/sendsms/",
        recipients=f"+{TO},+{AND_TO}",
        message=f"An {AARDVARK}",
        apikey=key,
        reference=f"order {HOOPOE}",
    )
    with SmsClient(key, address=f"{gateway.url}/sendsms/soap/") as client:
        client.send(f"+{TO}", f"A {BITTERN} " * 20)
    shown = gateway.run("key", "show", "acme")
    (address,) = re.findall(r"^mail +(\S+@\S+)$", shown, re.M)
    with smtplib.SMTP("127.0.0.1", mail_port, timeout=30) as smtp:
        smtp.sendmail("a@example.org", [address], _mail(address, MAILED, f"A {CORMORANT}"))
    refused = call(
        gateway,
        "/sendsms/",
        recipients=f"+{REFUSED}",
        message=f"A {DORMOUSE} #invalid-destination:1",
        apikey=key,
    )
    _until(gateway, key, first["id"], "delivered")
    _until(gateway, key, refused["id"], "failed")
    call(gateway, "/resendsms/", apikey=key, id=refused["id"])
    # In: to us, in two parts of which one never comes, to nobody, and a receipt that fits nothing.
    pdu: dict[str, Any] = {"source_addr_ton": 1, "source_addr_npi": 1, "source_addr": HANDSET}
    ours: dict[str, Any] = {**pdu, "dest_addr_ton": 1, "destination_addr": OURS, "data_coding": 0}
    smsc.offer(**ours, short_message=f"An {ECHIDNA}".encode())
    part = b"\x05\x00\x03\x07\x02\x01" + f"A {FERRET}".encode()
    smsc.offer(**ours, esm_class=0x40, short_message=part)
    smsc.offer(**{**ours, "destination_addr": NOBODYS}, short_message=f"A {GAZELLE}".encode())
    receipt = f"id:none sub:001 dlvrd:001 stat:DELIVRD err:000 text:A {DORMOUSE}"
    smsc.offer(**ours, esm_class=0x04, short_message=receipt.encode())
    told = {"delivery.delivered", "delivery.failed", "message.received"}
    wait_for(lambda: told <= callback.types(), 60)
    return key


def _mail(to: str, subject: str, body: str) -> bytes:
    return f"From: a@example.org\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{body}\r\n".encode()


def _until(gateway: Running, key: str, id: str, state: str) -> None:
    wait_for(lambda: call(gateway, "/status/", apikey=key, id=id)["state"] == state, 60)


def whole(database: str) -> bytes:
    """All that is in a database: the bytes of its files, or every row of every table."""
    url = database_url(database)
    if url.get_backend_name() == "sqlite":
        file = Path(str(url.database))
        # Beside the files there is the socket by which the worker is woken.
        files = [each for each in file.parent.glob(f"{file.name}*") if each.is_file()]
        return b"".join(each.read_bytes() for each in files)
    engine = create_engine(url)
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        found = []
        for table in metadata.sorted_tables:
            cursor.execute(f"SELECT t::text FROM {table.name} t")
            found += [row[0] for row in cursor.fetchall()]
    engine.dispose()
    # Octets are shown as hexadecimal.
    octets = [bytes.fromhex(each) for row in found for each in re.findall(r"\\x([0-9a-f]+)", row)]
    return "\n".join(found).encode() + b"\n".join(octets)


def found_in(database: str) -> set[str]:
    """Which of the day's words and numbers are in a database."""
    content = whole(database)
    return {word for word in (*WORDS, *NUMBERS) if word.encode() in content}


def check_it_works(gateway: Running, key: str, callback: Callback) -> None:
    """Whatever looks for a number or shows a text finds them."""
    received = call(gateway, "/getsms/", apikey=key)["messages"]
    assert [(m["from"], m["to"], m["message"]) for m in received] == [
        (f"+{HANDSET}", f"+{OURS}", f"An {ECHIDNA}")
    ]
    (event,) = (e["data"] for e in callback.told if e["type"] == "message.received")
    assert event["message"] == f"An {ECHIDNA}"
    recipients = {e["data"].get("recipient") for e in callback.told}
    assert {f"+{TO}", f"+{AND_TO}", f"+{REFUSED}"} <= recipients
    assert {e["data"].get("reference") for e in callback.told} >= {f"order {HOOPOE}"}
    assert gateway.run("number", "list").split("\n")[1].startswith(OURS)
    assert NOBODYS in gateway.run("number", "unowned")
    stopped = gateway.run("forget", "--yes", f"+{TO}")
    assert stopped.startswith("sent=2 ")


@pytest.mark.timeout(600)
def test_no_text_and_no_number_of_a_day_is_in_the_database(
    tmp_path: Path, database: str, smsc: Smsc, callback: Callback
) -> None:
    keys = key_file(tmp_path, KEY)
    with opened(tmp_path, database, smsc, keys) as (gateway, mail_port):
        key = a_day(gateway, mail_port, smsc, callback)
        assert found_in(database) == set()
        check_it_works(gateway, key, callback)
    assert found_in(database) == set()
    sent = {entry["destination"] for entry in smsc.submits()}
    assert sent == {TO, AND_TO, REFUSED, MAILED}
    assert any(AARDVARK in entry["text"] for entry in smsc.submits())
    log = (tmp_path / "serve.log").read_text()
    assert not [word for word in (*WORDS, *NUMBERS, KEY) if word in log]


@pytest.mark.timeout(600)
def test_what_was_in_clear_is_encrypted_while_the_gateway_serves(
    tmp_path: Path, database: str, smsc: Smsc, callback: Callback
) -> None:
    with opened(tmp_path, database, smsc, None) as (gateway, mail_port):
        key = a_day(gateway, mail_port, smsc, callback)
    # That this test finds what is there.
    assert found_in(database) == {*WORDS, *NUMBERS}
    keys = key_file(tmp_path, KEY)
    with opened(tmp_path, database, smsc, keys) as (gateway, _):
        received = call(gateway, "/getsms/", apikey=key)
        assert "in clear" in gateway.run("encryption", "status")
        assert "all values are of the key" in gateway.run("encryption", "rekey")
        status = json.loads(gateway.run("encryption", "status", "--json"))
        assert {each["key"] for each in status["values"]} == {status["encrypts"]}
        assert found_in(database) == set()
        assert call(gateway, "/getsms/", apikey=key) == received
        assert call(gateway, "/sendsms/", recipients=f"+{TO}", message=f"An {AARDVARK}", apikey=key)


def command(database: str, keys: str | None, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """What a command of the gateway does with these keys."""
    setting = {} if keys is None else {"encryption_key_file": keys}
    return subprocess.run(
        [sys.executable, "-m", "sms_gateway", *arguments],
        env=environment(database, **setting),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_keys_are_changed_given_up_and_missed_by_command(tmp_path: Path, database: str) -> None:
    keys = key_file(tmp_path, KEY)
    assert command(database, keys, "key", "create", "acme").returncode == 0
    assert command(database, keys, "number", "assign", f"+{OURS}", "acme").returncode == 0
    # To a new key: everybody writes by it, then all is written by it.
    key_file(tmp_path, NEW_KEY, KEY)
    rekeyed = command(database, keys, "encryption", "rekey")
    assert rekeyed.stderr == "number: 1 rows changed\n"
    assert re.fullmatch(r"all values are of the key \S{8}\n", rekeyed.stdout)
    key_file(tmp_path, NEW_KEY)
    assert command(database, keys, "number", "list").stdout.split("\n")[1].startswith(OURS)
    # A file of the old key, one without any, and no file.
    for lines, status, words in (
        ([KEY], 1, "it is encrypted with keys that encryption_key_file has not"),
        ([], 2, "there is no key in it"),
        (None, 1, "encryption_key_file is not set"),
    ):
        given = None if lines is None else key_file(tmp_path, *lines)
        refused = command(database, given, "worker")
        assert refused.returncode == status
        (line,) = refused.stderr.splitlines()
        assert words in line
        assert KEY not in line
    # And back to values in clear.
    key_file(tmp_path, "none", NEW_KEY)
    assert command(database, keys, "encryption", "rekey").stdout == "all are in clear\n"
    assert command(database, None, "number", "list").stdout.split("\n")[1].startswith(OURS)
    assert OURS.encode() in whole(database)
    told = command(database, None, "encryption", "status").stdout.splitlines()
    assert told[0] == "new values are stored in clear"
    assert re.fullmatch(r"number\.digits +in clear +1", told[1])
